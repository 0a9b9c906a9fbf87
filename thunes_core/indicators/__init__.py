"""Series in, series out: one formula a function, with its source.

Add here: a formula that a strategy reads.
Keep out: thresholds, positions, orders.
"""
