"""Doers: the only part that touches the world.

Add here: an implementation of a port.
Keep out: decisions, strategies, research.
"""
