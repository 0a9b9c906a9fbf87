"""What a candidate stands on: figures that measure luck, and findings that judge them.

`judge` re-runs the tests of a walk-forward at twice the costs, the champion and buy-and-hold on the
same bars, and every trial for the probability of overfitting.

Add here: a figure, a finding. Keep out: what follows from the verdict (promotion).
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

import numpy as np
import polars as pl

from thunes_core.backtest import metrics
from thunes_core.backtest.kernel import Floats
from thunes_core.backtest.simulate import CASH
from thunes_core.domain.limits import Costs, LotRules, Protection
from thunes_core.domain.parameters import ParameterSet
from thunes_core.domain.results import Evidence, Finding, WalkForwardResult
from thunes_core.errors import BadInput
from thunes_core.research.overfitting import parameter_spread, pbo
from thunes_core.research.splits import Span
from thunes_core.research.stitching import stitch
from thunes_core.research.windows import Terms, Window, longest_warmup, try_build
from thunes_core.strategies.base import build_from, strategy_class

BEATS_CHAMPION = "beats_champion"


@dataclass(frozen=True, slots=True)
class Thresholds:
    """What each finding asks for. Sharpe ratios per year; shares and probabilities in [0, 1]."""

    sharpe: float = 0.5
    dsr: float = 0.95
    pbo: float = 0.5
    efficiency: float = 0.25
    spread: float = 0.5
    trades: int = 10


@dataclass(frozen=True, slots=True)
class Luck:
    """How often luck was tried: the counts that deflate, and the variance of the tries' Sharpe.

    `trials` and `trial_variance` (per day) are of every trial ever run for the study, or None for
    those of this walk-forward. `walk_forwards` were ever judged for symbol and interval, with
    `walk_forward_variance` (per day) of their stitched Sharpe ratios.
    """

    walk_forwards: int = 1
    walk_forward_variance: float | None = None
    trials: int | None = None
    trial_variance: float | None = None


def judge(
    result: WalkForwardResult,
    bars: pl.DataFrame,
    *,
    champion: ParameterSet | None = None,
    costs: Costs = Costs(),  # noqa: B008 - immutable
    protection: Protection = Protection(),  # noqa: B008 - immutable
    lots: LotRules = LotRules(),  # noqa: B008 - immutable
    cash: float = CASH,
    walk_forwards_judged: int = 1,
    luck: Luck | None = None,
    thresholds: Thresholds = Thresholds(),
) -> Evidence:
    """Judge a walk-forward on the `bars` it was run on; figures by name, and the findings.

    `champion` (None: there is none) is run on the same test bars and must be beaten.
    """
    asked = luck or Luck(walk_forwards=walk_forwards_judged)
    case = _Case(result, bars, Terms(cash, costs, protection, lots))
    figures = {
        **_stitched_figures(case),
        **_luck_figures(case, asked),
        **_comparison_figures(case, champion),
    }
    return Evidence(figures, tuple(_findings(figures, thresholds, champion)))


class _Case:
    """A walk-forward with the bars it was run on."""

    def __init__(self, result: WalkForwardResult, bars: pl.DataFrame, terms: Terms) -> None:
        self.result, self.bars, self.terms = result, bars, terms
        self._lead = longest_warmup(result.strategy)

    def window(self, start: datetime | None, end: datetime | None) -> Window:
        """Return the window of bars from `start` to `end` (excluded); None is the far end."""
        times = self.bars["open_time"]
        first = 0 if start is None else int(times.search_sorted(start))
        last = len(times) if end is None else int(times.search_sorted(end))
        return Window(self.bars, Span(first, last), self._lead)

    def tests(self) -> Window:
        """Return the window of all tests together."""
        folds = self.result.folds
        return self.window(folds[0].test_start, folds[-1].test_end)

    def retested(self, terms: Terms) -> tuple[pl.DataFrame, pl.DataFrame]:
        """Run every fold's choice on its test again, under other terms, and stitch."""
        tests = [
            self.window(fold.test_start, fold.test_end).backtest(build_from(fold.parameters), terms)
            for fold in self.result.folds
        ]
        return stitch(tests, terms.cash)

    def daily(self, equity: pl.DataFrame) -> Floats:
        """Return daily returns of an equity frame that began with the terms' cash."""
        ends = metrics.day_ends(equity["open_time"].dt.epoch("us").to_numpy())
        return metrics.daily_returns(equity["equity"].to_numpy()[ends], self.terms.cash)


def _stitched_figures(case: _Case) -> dict[str, float]:
    result = case.result
    space = strategy_class(result.strategy).space
    shown = ("sharpe", "total_return", "max_drawdown", "trades", "win_rate", "profit_factor")
    return {
        **{name: result.metrics.get(name, math.nan) for name in shown},
        "efficiency": efficiency(result),
        "spread": parameter_spread(space, [f.parameters.values for f in result.folds]),
        "folds_positive": sum(f.test_metrics["total_return"] > 0 for f in result.folds)
        / len(result.folds),
    }


def efficiency(result: WalkForwardResult) -> float:
    """Return walk-forward efficiency: growth per day out of sample over growth in sample.

    Growth is the mean log return; NaN when the training windows did not grow.
    """
    inside = [_log_growth(f.train_metrics["total_return"]) for f in result.folds]
    outside = [_log_growth(f.test_metrics["total_return"]) for f in result.folds]
    train_days = sum(_days(f.train_start, f.train_end) for f in result.folds)
    test_days = sum(_days(f.test_start, f.test_end) for f in result.folds)
    rate = sum(inside) / train_days
    return sum(outside) / test_days / rate if rate > 0 else math.nan


def _log_growth(total_return: float) -> float:
    return math.log(max(1.0 + total_return, 1e-12))


def _days(start: datetime, end: datetime) -> float:
    return (end - start).total_seconds() / 86_400


def _luck_figures(case: _Case, luck: Luck) -> dict[str, float]:
    stitched = case.daily(case.result.stitched)
    matrix = trial_returns(case)
    trials = luck.trials or case.result.trials
    variance = luck.trial_variance
    if variance is None:
        variance = trial_variance(case.result.trial_table)
    return {
        "psr": metrics.psr(stitched),
        "dsr": metrics.dsr(stitched, luck.walk_forwards, _variance_of_walks(luck, stitched)),
        "dsr_in_sample": metrics.dsr(_chosen_returns(case), trials, variance),
        "pbo": _pbo(matrix),
        "trials": float(trials),
        "walk_forwards": float(luck.walk_forwards),
    }


def _variance_of_walks(luck: Luck, stitched: Floats) -> float:
    """Return the variance of walk-forwards' Sharpe per day; that of pure luck when unknown."""
    if luck.walk_forward_variance is not None:
        return luck.walk_forward_variance
    return 1.0 / max(len(stitched) - 1, 1)


def trial_variance(table: pl.DataFrame) -> float:
    """Return the variance (ddof 1) of the trials' Sharpe ratios, per day; NaN below two."""
    sharpes = table["sharpe"].drop_nulls().to_numpy() / math.sqrt(metrics.DAYS_A_YEAR)
    return float(sharpes.var(ddof=1)) if len(sharpes) > 1 else math.nan


def _chosen_returns(case: _Case) -> Floats:
    window = case.window(case.result.chosen_from, case.result.chosen_until)
    return window.daily_returns(window.run(build_from(case.result.chosen), case.terms))


def trial_returns(case: _Case) -> Floats:
    """Return daily returns (days, trials) of every distinct parameter set tried, over all bars."""
    result = case.result
    names = list(strategy_class(result.strategy).space.dimensions)
    tried = (
        result.trial_table.filter(pl.col("sharpe").is_not_null())
        .select(names)
        .unique(maintain_order=True)
    )
    window = case.window(None, None)
    columns = [
        window.daily_returns(window.run(strategy, case.terms))
        for values in tried.iter_rows(named=True)
        if (strategy := try_build(result.strategy, values)) is not None
    ]
    return np.column_stack(columns) if columns else np.empty((window.days, 0))


def _pbo(matrix: Floats) -> float:
    try:
        return pbo(matrix)
    except BadInput:
        return math.nan


def _comparison_figures(case: _Case, champion: ParameterSet | None) -> dict[str, float]:
    dear, dear_trades = case.retested(case.terms.at_costs(2.0))
    doubled = metrics.metrics_of(dear, dear_trades, cash=case.terms.cash)
    tests = case.tests()
    figures = {
        "double_costs_sharpe": doubled["sharpe"],
        "double_costs_return": doubled["total_return"],
        "buy_and_hold_sharpe": metrics.sharpe(_held_returns(tests.bars)),
        "buy_and_hold_return": float(tests.bars["close"][-1] / tests.bars["open"][0] - 1.0),
    }
    if champion is not None:
        run = tests.run(build_from(champion), case.terms)
        figures["champion_sharpe"] = metrics.sharpe(tests.daily_returns(run))
        figures["champion_return"] = float(run.equity[-1]) / run.start_cash - 1.0
    return figures


def _held_returns(bars: pl.DataFrame) -> Floats:
    ends = metrics.day_ends(bars["open_time"].dt.epoch("us").to_numpy())
    return metrics.daily_returns(bars["close"].to_numpy()[ends], float(bars["open"][0]))


def _findings(
    figures: dict[str, float], asked: Thresholds, champion: ParameterSet | None
) -> Iterable[Finding]:
    f = figures
    yield _at_least("stitched_sharpe", f["sharpe"], asked.sharpe, "stitched out-of-sample Sharpe")
    yield _at_least("dsr", f["dsr"], asked.dsr, "probability that the Sharpe is not luck (DSR)")
    yield _at_most("pbo", f["pbo"], asked.pbo, "probability of backtest overfitting")
    yield _at_least("efficiency", f["efficiency"], asked.efficiency, "walk-forward efficiency")
    yield _at_most("spread", f["spread"], asked.spread, "spread of the choices over folds")
    yield _at_least("double_costs", f["double_costs_return"], 0.0, "return at twice the costs")
    yield _at_least(
        "buy_and_hold", f["sharpe"], f["buy_and_hold_sharpe"], "Sharpe against buy and hold's"
    )
    yield _at_least("trades", f["trades"], asked.trades, "closed trades out of sample")
    if champion is not None:
        yield _above(
            BEATS_CHAMPION, f["sharpe"], f["champion_sharpe"], "Sharpe against the champion's"
        )


def _at_least(name: str, value: float, threshold: float, what: str) -> Finding:
    passed = value >= threshold
    return Finding(name, value, threshold, passed, _sentence(what, value, "at least", threshold))


def _above(name: str, value: float, threshold: float, what: str) -> Finding:
    passed = value > threshold
    return Finding(name, value, threshold, passed, _sentence(what, value, "above", threshold))


def _at_most(name: str, value: float, threshold: float, what: str) -> Finding:
    passed = value <= threshold
    return Finding(name, value, threshold, passed, _sentence(what, value, "at most", threshold))


def _sentence(what: str, value: float, rule: str, threshold: float) -> str:
    return f"{what}: {value:.3g}, {rule} {threshold:.3g} is asked for"
