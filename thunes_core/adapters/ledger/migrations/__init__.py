"""Migrations of the ledger, run by Alembic when it is opened.

Add here: a step from one schema to the next, in `versions`.
Keep out: reads and writes of facts.
"""
