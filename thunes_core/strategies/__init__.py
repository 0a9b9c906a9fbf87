"""Closed bars in, target exposure out.

Add here: one file per strategy.
Keep out: orders, balances, modes.
"""
