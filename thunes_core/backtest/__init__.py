"""The kernel, its metrics, sweeps and portfolios.

Add here: a measure of a simulated run.
Keep out: live trading, search.
"""
