"""The Typer commands, one file a group.

Add here: a command.
Keep out: logic that a job needs too.
"""
