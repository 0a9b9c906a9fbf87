"""The bars lake: store, importers of foreign files, ingestion, quarantine.

Add here: one way of getting bars in or out. Keep out: what makes bars valid (domain).
"""
