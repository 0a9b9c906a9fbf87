"""Splits, search, walk-forward, evidence, models.

Add here: a statistic that judges a parameter set.
Keep out: orders, MLflow.
"""
