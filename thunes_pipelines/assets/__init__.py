"""The assets, one file a group.

Add here: an asset.
Keep out: formulas.
"""
