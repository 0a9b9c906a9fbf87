"""Dagster resources that hand out plain core objects.

Add here: a resource.
Keep out: decisions.
"""
