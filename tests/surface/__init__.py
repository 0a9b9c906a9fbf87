"""Snapshots of what people and other programs hold on to."""
