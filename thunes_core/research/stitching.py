"""Join what the folds gave: the tests into one compounding curve, the trials into one table.

Add here: another joint view of all folds. Keep out: running anything.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl

from thunes_core.domain.parameters import ParameterSpace
from thunes_core.domain.results import BacktestResult, WalkForwardResult
from thunes_core.research.folds import FoldDone
from thunes_core.research.objective import FIGURES
from thunes_core.research.search import Outcome, Tried
from thunes_core.strategies.base import strategy_class


def stitch(tests: Sequence[BacktestResult], cash: float) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Join tests that each began with `cash` into one curve and one list of trades.

    Money and quantities of each test are scaled by what the ones before it made. Returns equity
    (open_time, equity, quantity) and trades as in `BacktestResult`, with the fold's number.
    """
    curves, trades, money = [], [], cash
    for number, test in enumerate(tests, 1):
        factor = money / cash
        scaled = [pl.col(name) * factor for name in ("equity", "quantity")]
        curves.append(test.equity.select("open_time", *scaled))
        scaled = [pl.col(name) * factor for name in ("quantity", "pnl", "fees")]
        trades.append(test.trades.with_columns(*scaled, fold=pl.lit(number)))
        money = float(curves[-1]["equity"][-1])
    return pl.concat(curves), pl.concat(trades)


def trial_table(done: Sequence[FoldDone]) -> pl.DataFrame:
    """Return one row per trial, columns as in `WalkForwardResult`; fold 0 is the final fit."""
    rows = [
        {**_row(one.fold.number if one.fold else 0, tried), "search": one.search}
        for one in done
        for tried in one.tried
    ]
    return pl.DataFrame(rows, infer_schema_length=None)


def trials_of(table: pl.DataFrame, space: ParameterSpace, fold: int) -> list[Tried]:
    """Return the trials of one fold from a table of trials; 0 is the final fit."""
    rows = table.filter(pl.col("fold") == fold).iter_rows(named=True)
    return [
        Tried(row["number"], {name: row[name] for name in space.dimensions}, _outcome(row))
        for row in rows
    ]


def chosen_trials(result: WalkForwardResult) -> pl.DataFrame:
    """Return the rows of the final fit's trials that have the chosen values; empty if not kept."""
    if result.trial_table.is_empty():
        return pl.DataFrame(schema={"number": pl.Int64, "feasible": pl.Boolean})
    names = strategy_class(result.strategy).space.dimensions
    same = [pl.col(name) == result.chosen.values[name] for name in names]
    return result.trial_table.filter(pl.col("fold") == 0, *same)


def _outcome(row: Mapping[str, Any]) -> Outcome | None:
    if row["sharpe"] is None:
        return None
    return Outcome(row["sharpe"], 0.0 if row["feasible"] else 1.0)


def _row(fold: int, tried: Tried) -> dict[str, object]:
    outcome = tried.outcome
    figures = outcome.figures if outcome else {}
    return {
        "fold": fold,
        "number": tried.number,
        **tried.values,
        **{name: _finite(figures.get(name)) for name in FIGURES},
        "feasible": outcome is not None and outcome.feasible,
    }


def _finite(value: float | None) -> float | None:
    return None if value is None or math.isnan(value) else value
