"""What a person sees of the research assets in the UI: figures, fold table, pictures, findings.

Add here: a way of showing research. Keep out: computing what is shown.
"""

import base64
import math
from collections.abc import Mapping
from typing import Any

import dagster as dg

from thunes_core.domain.results import Evidence, WalkForwardResult
from thunes_core.reporting.plots import equity_drawdown_png, folds_png
from thunes_pipelines.resources.registry import Registered, Settled, content


def of_walk(result: WalkForwardResult, folder: str) -> dict[str, Any]:
    """Return the metadata of a walk-forward."""
    title = f"{result.strategy} {result.symbol} {result.interval}"
    return {
        **numbers(result.metrics),
        "trials": result.trials,
        "chosen": dg.MetadataValue.json(result.chosen.shown),
        "folds": dg.MetadataValue.md(content.fold_table(result)),
        "equity": picture(equity_drawdown_png(result.stitched, f"{title}: stitched tests")),
        "folds_picture": picture(folds_png(result.folds, title)),
        "data_fingerprint": result.data_fingerprint,
        "stored_in": dg.MetadataValue.path(folder),
    }


def of_candidate(evidence: Evidence, registered: Registered) -> dict[str, Any]:
    """Return the metadata of a registered candidate."""
    return {
        "version": registered.version,
        "ruling": str(registered.ruling.outcome),
        "policy": str(registered.ruling.policy),
        "why": registered.ruling.why,
        "findings": dg.MetadataValue.md(content.evidence_table(evidence)),
        "mlflow_run": dg.MetadataValue.url(registered.url),
        **numbers(evidence.figures),
    }


def of_champion(settled: Settled, url: str) -> dict[str, Any]:
    """Return the metadata of the champion in force."""
    champion = settled.champion
    return {
        "version": champion.version,
        "version_before": settled.before or "none",
        "outcome": "promoted" if settled.is_new else "kept",
        "why": settled.why,
        "parameters": dg.MetadataValue.json(champion.parameters.shown),
        "fingerprint": champion.parameters.fingerprint,
        "mlflow_run": dg.MetadataValue.url(url),
    }


def numbers(values: Mapping[str, float]) -> dict[str, float]:
    """Return the values that are numbers; Dagster draws each over time."""
    return {name: float(v) for name, v in values.items() if math.isfinite(v)}


def picture(png: bytes) -> dg.MarkdownMetadataValue:
    """Embed a small PNG."""
    return dg.MetadataValue.md(f"![](data:image/png;base64,{base64.b64encode(png).decode()})")
