"""When, in what order, with what shown: Dagster and the commands.

Add here: an asset, a job, a command.
Keep out: formulas, SQL text, order logic.
"""
