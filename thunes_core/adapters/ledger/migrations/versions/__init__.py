"""Migrations of the ledger, run by Alembic when it is opened.

Add here: a step from one schema to the next, numbered.
Keep out: reads and writes of facts.
"""
