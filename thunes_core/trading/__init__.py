"""One closed bar, one decision, effects through ports.

Add here: a step of the tick.
Keep out: SQL, HTTP, Dagster.
"""
