"""What is written of a walk-forward into the registry: tags, metrics, tables, pictures.

Plain values only; `registry.py` puts them into MLflow.

Add here: a fact that a person compares in MLflow. Keep out: MLflow itself.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import polars as pl

from thunes_core.clock import to_millis
from thunes_core.domain.results import Evidence, FoldResult, WalkForwardResult
from thunes_core.reporting.plots import equity_drawdown_png, folds_png, promise_png
from thunes_core.reporting.trial_plots import trials_png
from thunes_core.research.promise import promise_of
from thunes_core.research.promotion import Ruling
from thunes_core.research.search import study_page
from thunes_core.research.stitching import chosen_trials, trials_of
from thunes_core.strategies.base import strategy_class
from thunes_pipelines.resources.champions import FINGERPRINT

ORIGIN = ("data", "bars_from", "bars_until", "walk", "trial", "trials", "code", "dagster_run")
"""Tags that say where a version comes from."""
PROMISED_DAYS = (1, 7, 30, 90, 180, 365)
"""Days whose band is shown with a version; the file `evidence/promise.csv` has them all."""
VERDICT, WHY, POLICY, EVIDENCE = "thunes.verdict", "thunes.why", "thunes.policy", "thunes.evidence"


@dataclass(frozen=True, slots=True)
class Point:
    """One value of a curve: MLflow's step, and the time it stands for (ms since 1970)."""

    name: str
    value: float
    step: int
    time_ms: int


def finite(values: Mapping[str, float], prefix: str = "") -> dict[str, float]:
    """Return the values that are numbers; MLflow refuses the others."""
    return {prefix + name: float(v) for name, v in values.items() if math.isfinite(v)}


def version_tags(
    result: WalkForwardResult, evidence: Evidence, ruling: Ruling, context: Mapping[str, str]
) -> dict[str, str]:
    """Return the tags of a registered version: what it is, what it stands on, what became of it."""
    return {
        "thunes.strategy": result.strategy,
        "thunes.symbol": result.symbol,
        "thunes.interval": result.interval,
        FINGERPRINT: result.chosen.fingerprint,
        "thunes.data": result.data_fingerprint,
        "thunes.bars_from": str(result.bars_from),
        "thunes.bars_until": str(result.chosen_until),
        "thunes.trial": str(_trial_number(result)),
        VERDICT: str(ruling.outcome),
        POLICY: str(ruling.policy),
        WHY: ruling.why,
        EVIDENCE: evidence_json(evidence, promise_of(result)),
        **{f"thunes.{name}": value for name, value in context.items()},
    }


def _trial_number(result: WalkForwardResult) -> int | None:
    """Return the number of the final fit's trial that was chosen."""
    found = chosen_trials(result)["number"]
    return None if found.is_empty() else int(found[0])


def evidence_json(evidence: Evidence, promise: pl.DataFrame) -> str:
    """Return figures, findings and some days of the promised band as JSON; no number is null."""
    figures = {k: v if math.isfinite(v) else None for k, v in evidence.figures.items()}
    findings = [
        {
            "name": f.name,
            "value": f.value if math.isfinite(f.value) else None,
            "threshold": f.threshold if math.isfinite(f.threshold) else None,
            "passed": f.passed,
            "sentence": f.sentence,
        }
        for f in evidence.findings
    ]
    days = promise.filter(pl.col("day").is_in(PROMISED_DAYS))
    told = {
        str(day): [round(v, 6) for v in (low, middle, high)]
        for day, low, middle, high in days.select("day", "low", "middle", "high").iter_rows()
    }
    return json.dumps({"figures": figures, "findings": findings, "promise": told}, sort_keys=True)


def evidence_table(evidence: Evidence) -> str:
    """Return the findings as a Markdown table."""
    lines = ["| finding | value | asked | passed | |", "|---|---:|---:|---|---|"]
    lines += [
        f"| {f.name} | {f.value:.3g} | {f.threshold:.3g} | {'yes' if f.passed else '**no**'} "
        f"| {f.sentence} |"
        for f in evidence.findings
    ]
    return "\n".join(lines)


def fold_table(result: WalkForwardResult) -> str:
    """Return the folds as a Markdown table."""
    head = "| fold | train from | test from | test to | chosen | Sharpe train | Sharpe test "
    lines = [
        head + "| return test | trades |",
        "|---:|---|---|---|---|---:|---:|---:|---:|",
        *(_fold_line(fold) for fold in result.folds),
    ]
    return "\n".join(lines)


def _fold_line(fold: FoldResult) -> str:
    test = fold.test_metrics
    return (
        f"| {fold.number} | {fold.train_start:%Y-%m-%d} | {fold.test_start:%Y-%m-%d} "
        f"| {fold.test_end:%Y-%m-%d} | {_choice(fold)} | {fold.train_metrics['sharpe']:.2f} "
        f"| {test['sharpe']:.2f} | {test['total_return']:.2%} | {test['trades']:.0f} |"
    )


def _short(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def note(result: WalkForwardResult, evidence: Evidence, why: str) -> str:
    """Return what MLflow shows on the run's first page, as Markdown."""
    span = f"{result.folds[0].test_start:%Y-%m-%d} to {result.folds[-1].test_end:%Y-%m-%d}"
    return "\n\n".join(
        [
            f"**{result.strategy} {result.symbol} {result.interval}**, tested {span}, "
            f"{result.trials} trials. Chosen: `{result.chosen.shown}`",
            f"Ruling: {why}",
            evidence_table(evidence),
            fold_table(result),
        ]
    )


def compared_params(result: WalkForwardResult, verdict: str) -> dict[str, str]:
    """Return what tells two walk-forwards apart: choices, bars, verdict, how it was searched.

    MLflow sorts by name and plots the first: those of the strategy should come first.
    """
    return {
        **{name: str(value) for name, value in result.chosen.shown.items()},
        "walk_verdict": verdict,
        "walk_bars_from": f"{result.bars_from:%Y-%m-%d %H:%M}",
        "walk_bars_until": f"{result.chosen_until:%Y-%m-%d %H:%M}",
        "walk_bars": result.data_fingerprint[:16],
        "walk_folds": str(len(result.folds)),
        "walk_trials": str(result.trials),
        **{f"walk_{name}": value for name, value in result.made_with.items()},
        **{f"walk_fold_{f.number}": _fold_choice(f) for f in result.folds},
    }


def _fold_choice(fold: FoldResult) -> str:
    return f"{fold.test_start:%Y-%m-%d} to {fold.test_end:%Y-%m-%d}: {_choice(fold)}"


def _choice(fold: FoldResult) -> str:
    return ", ".join(f"{k} {_short(v)}" for k, v in fold.parameters.shown.items())


def compared_figures(result: WalkForwardResult, evidence: Evidence) -> dict[str, float]:
    """Return the figures that say which of two walks is better, where, and why.

    All metrics of the stitched curve and of the evidence; each fold's own test; and for each
    finding 1 where it passed, else 0.
    """
    named = ("sharpe", "total_return", "max_drawdown")
    where = {f"fold_{f.number}_{m}": f.test_metrics[m] for f in result.folds for m in named}
    why = {f"passed_{finding.name}": float(finding.passed) for finding in evidence.findings}
    return finite({**result.metrics, **evidence.figures, **where, **why})


def fold_curve(result: WalkForwardResult) -> list[Point]:
    """Return Sharpe and return of each fold's test as curves over the fold's number."""
    return [
        Point(name, fold.test_metrics[metric], fold.number, to_millis(fold.test_end))
        for fold in result.folds
        for name, metric in (("sharpe_by_fold", "sharpe"), ("return_by_fold", "total_return"))
        if math.isfinite(fold.test_metrics[metric])
    ]


def fold_frame(result: WalkForwardResult) -> pl.DataFrame:
    """Return one row per fold: spans, chosen parameters, metrics of train and test."""
    return pl.DataFrame(
        [
            {
                "fold": fold.number,
                "train_start": fold.train_start,
                "train_end": fold.train_end,
                "test_start": fold.test_start,
                "test_end": fold.test_end,
                **fold.parameters.shown,
                **{f"train_{name}": value for name, value in fold.train_metrics.items()},
                **{f"test_{name}": value for name, value in fold.test_metrics.items()},
            }
            for fold in result.folds
        ],
        infer_schema_length=None,
    )


def daily_curve(equity: pl.DataFrame, cash: float | None = None) -> list[Point]:
    """Return equity (100 at the start) and drawdown (per cent) at the end of each UTC day."""
    start = cash or float(equity["equity"][0])
    days = (
        equity.group_by_dynamic("open_time", every="1d")
        .agg(pl.col("equity").last())
        .with_columns(index=pl.col("equity") * (100.0 / start))
        .with_columns(fall=(pl.col("index") / pl.col("index").cum_max() - 1.0) * 100.0)
    )
    rows = days.select("open_time", "index", "fall").iter_rows()
    return [
        point
        for step, (day, index, fall) in enumerate(rows)
        for point in (
            Point("equity_index", index, step, to_millis(day)),
            Point("drawdown_percent", fall, step, to_millis(day)),
        )
    ]


def search_curve(result: WalkForwardResult, fold: int) -> Iterator[Point]:
    """Yield each trial's Sharpe ratio and the best feasible one so far, by trial number."""
    trials = result.trial_table.filter(pl.col("fold") == fold)
    highest = -math.inf
    for number, sharpe, feasible in trials.select("number", "sharpe", "feasible").iter_rows():
        if sharpe is None:
            continue
        yield Point("trial_sharpe", sharpe, number, 0)
        if feasible and sharpe > highest:
            highest = sharpe
        if math.isfinite(highest):
            yield Point("best_trial_sharpe", highest, number, 0)


def artefacts(result: WalkForwardResult, evidence: Evidence) -> dict[str, str | bytes]:
    """Return the files of the parent run by path: tables as CSV, texts, pictures."""
    title = f"{result.strategy} {result.symbol} {result.interval}"
    space = strategy_class(result.strategy).space
    promise = promise_of(result)
    return {
        "parameters.json": result.chosen.canonical(),
        "evidence/evidence.json": evidence_json(evidence, promise),
        "evidence/promise.csv": promise.write_csv(),
        "plots/promise.png": promise_png(promise, f"{title}: growth promised after a takeover"),
        "evidence/findings.md": evidence_table(evidence),
        "folds.md": fold_table(result),
        "folds.csv": fold_frame(result).write_csv(),
        "trials.csv": result.trial_table.write_csv(),
        "stitched.csv": result.stitched.write_csv(),
        "plots/equity.png": equity_drawdown_png(result.stitched, f"{title}: stitched tests"),
        "plots/folds.png": folds_png(result.folds, title),
        "plots/final_fit_trials.png": trials_png(
            result.trial_table.filter(pl.col("fold") == 0),
            list(space.dimensions),
            f"{title}: trials of the final fit",
        ),
        "plots/final_fit_trials.html": study_page(space, trials_of(result.trial_table, space, 0)),
    }
