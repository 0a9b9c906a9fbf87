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
from thunes_core.research.contest import Contest
from thunes_pipelines.promotion import Settled
from thunes_pipelines.resources.registry import Registered, content


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


def of_candidate(evidence: Evidence, registered: Registered, contest: Contest) -> dict[str, Any]:
    """Return the metadata of a registered candidate."""
    return {
        "version": registered.version,
        "ruling": str(registered.ruling.outcome),
        "policy": str(registered.ruling.policy),
        "why": registered.ruling.why,
        "findings": dg.MetadataValue.md(content.evidence_table(evidence)),
        "challenger_and_champion": dg.MetadataValue.md(contest.table()),
        "challenger_and_champion_picture": picture(contest_png(contest)),
        "mlflow_run": dg.MetadataValue.url(registered.url),
        **numbers(evidence.figures),
    }


def files_of(contest: Contest) -> dict[str, str | bytes]:
    """Return the files that show challenger and champion in MLflow."""
    return {
        "evidence/challenger_and_champion.md": contest.table(),
        "plots/challenger_and_champion.png": contest_png(contest),
    }


def contest_png(contest: Contest) -> bytes:
    """Draw the challenger's stitched tests, with the champion's run on the same bars behind."""
    return equity_drawdown_png(
        contest.challenger_equity,
        "Challenger (stitched tests) and champion on the same bars",
        benchmark=contest.champion_equity,
        benchmark_name=f"champion, version {contest.version}",
    )


def of_champion(settled: Settled, url: str | None) -> dict[str, Any]:
    """Return the metadata of the champion in force, or of there being none."""
    told = {
        "outcome": str(settled.outcome),
        "why": settled.why,
        "version_before": settled.before or "none",
    }
    champion = settled.champion
    if champion is None:
        return {**told, "version": "none"}
    return {
        **told,
        "version": champion.version,
        "parameters": dg.MetadataValue.json(champion.parameters.shown),
        "fingerprint": champion.parameters.fingerprint,
        **({"mlflow_run": dg.MetadataValue.url(url)} if url else {}),
    }


def numbers(values: Mapping[str, float]) -> dict[str, float]:
    """Return the values that are numbers; Dagster draws each over time."""
    return {name: float(v) for name, v in values.items() if math.isfinite(v)}


def picture(png: bytes) -> dg.MarkdownMetadataValue:
    """Embed a small PNG."""
    return dg.MetadataValue.md(f"![](data:image/png;base64,{base64.b64encode(png).decode()})")
