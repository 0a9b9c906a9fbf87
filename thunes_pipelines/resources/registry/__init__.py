"""The registry of parameter sets in MLflow: what we believe and why. The only importer of mlflow.

Add here: a question to MLflow.
Keep out: judging, the rule of promotion (thunes_core.research).
"""

from thunes_pipelines.resources.registry.versions import Candidate, Registered, Registry

__all__ = ["Candidate", "Registered", "Registry"]
