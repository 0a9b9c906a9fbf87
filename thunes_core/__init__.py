"""The pure library: what is true and what to do.

Add here: a sub-package of `docs/architecture.md`.
Keep out: dagster, mlflow, thunes_pipelines.
"""
