"""Figures of a walk-forward: what happened, how likely it is luck, how it compares.

Each function returns figures by name; NaN where a figure cannot be had.

Add here: a figure. Keep out: thresholds and verdicts (evidence).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
import polars as pl

from thunes_core.backtest import metrics
from thunes_core.backtest.kernel import Floats
from thunes_core.domain.bars import Interval
from thunes_core.domain.parameters import ParameterSet, Value
from thunes_core.domain.results import WalkForwardResult
from thunes_core.errors import BadInput
from thunes_core.research.bootstrap import sharpe_band
from thunes_core.research.fitting import fitting_of, searched_values, try_build
from thunes_core.research.neighbours import even_sample, neighbours
from thunes_core.research.overfitting import cross_validated, overfitting, parameter_spread
from thunes_core.research.splits import Span
from thunes_core.research.stitching import chosen_trials, stitch
from thunes_core.research.windows import Terms, Window, longest_reach, longest_warmup
from thunes_core.strategies.base import build_from, strategy_class

Figures = dict[str, float]
SAMPLED_SETS, SAMPLED_MODELS = 64, 16
"""How many parameter sets, spread evenly over the space, stand for the choice there was;
fewer where each has to be fitted."""
EMBARGO_SHARE = 0.01
"""Embargo after a tested block, as a share of the history (López de Prado 2018, ch. 7)."""


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


class Case:
    """A walk-forward with the bars it was run on."""

    def __init__(self, result: WalkForwardResult, bars: pl.DataFrame, terms: Terms) -> None:
        self.result, self.bars, self.terms = result, bars, terms
        self.space = strategy_class(result.strategy).space
        self._lead, self._fitting = longest_warmup(result.strategy), fitting_of(result.strategy)
        a_day = timedelta(days=1) / Interval(result.interval).duration
        self.warmup_days: int = math.ceil(self._lead / a_day)
        self.label_days: int = math.ceil(longest_reach(result.strategy) / a_day)

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

    def daily_returns(self, window: Window, sets: Iterable[Mapping[str, Value]]) -> Floats:
        """Run every set that is accepted honestly over `window`; return (days, sets)."""
        columns = [
            window.daily_returns(run)
            for values in sets
            if (run := window.honest_run(self._fitting, values, self.terms)) is not None
        ]
        return np.column_stack(columns) if columns else np.empty((window.days, 0))

    def daily(self, equity: pl.DataFrame) -> Floats:
        """Return daily returns of an equity frame that began with the terms' cash."""
        ends = metrics.day_ends(equity["open_time"].dt.epoch("us").to_numpy())
        return metrics.daily_returns(equity["equity"].to_numpy()[ends], self.terms.cash)


def stitched_figures(case: Case) -> Figures:
    """Return what the stitched tests did, their bootstrap band, and how the folds agree.

    `rules_kept` is 1 where the choice keeps the rules of its own search (trades, drawdown), else 0.
    """
    result = case.result
    shown = ("sharpe", "total_return", "max_drawdown", "trades", "win_rate", "profit_factor")
    band = sharpe_band(case.daily(result.stitched))
    return {
        **{name: result.metrics.get(name, math.nan) for name in shown},
        "sharpe_low": band.low,
        "sharpe_high": band.high,
        "bootstrap": band.gained,
        "efficiency": efficiency(result),
        "spread": parameter_spread(
            case.space, [searched_values(f.parameters) for f in result.folds]
        ),
        "folds_positive": sum(f.test_metrics["total_return"] > 0 for f in result.folds)
        / len(result.folds),
        "rules_kept": _kept_rules(result),
    }


def _kept_rules(result: WalkForwardResult) -> float:
    tried = chosen_trials(result)["feasible"]
    return float(tried.any()) if len(tried) else math.nan


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


def luck_figures(case: Case, luck: Luck) -> Figures:
    """Return both deflated Sharpe ratios, the overfitting of the choice, and the counts.

    The choice is measured on sets spread evenly over the space and run over all bars: trials of a
    search crowd around its optimum, and among near equals the best is the best of nothing.
    """
    stitched = case.daily(case.result.stitched)
    sampled = case.daily_returns(case.window(None, None), _sample(case))
    trials = luck.trials or case.result.trials
    variance = luck.trial_variance
    if variance is None:
        variance = trial_variance(case.result.trial_table)
    return {
        "psr": metrics.psr(stitched),
        "dsr": metrics.dsr(stitched, luck.walk_forwards, _variance_of_walks(luck, stitched)),
        "dsr_in_sample": metrics.dsr(_chosen_returns(case)[:, 0], trials, variance),
        **_choice_figures(sampled),
        **_second_view(sampled, case.label_days, case.warmup_days),
        "trials": float(trials),
        "walk_forwards": float(luck.walk_forwards),
    }


def _sample(case: Case) -> Iterable[dict[str, Value]]:
    """Return up to `SAMPLED_SETS` evenly spread sets that the strategy accepts, seeded."""
    count = (
        SAMPLED_MODELS if hasattr(strategy_class(case.result.strategy), "fitted") else SAMPLED_SETS
    )
    layout = even_sample(case.space, 4 * count, seed=1)
    accepted = (v for v in layout if try_build(case.result.strategy, v) is not None)
    return [values for values, _ in zip(accepted, range(count), strict=False)]


def _choice_figures(sampled: Floats) -> Figures:
    try:
        found = overfitting(sampled)
    except BadInput:
        return dict.fromkeys(("pbo", "pbo_loss"), math.nan)
    return {"pbo": found.probability, "pbo_loss": found.loss}


def _second_view(sampled: Floats, label_days: int, warmup_days: int) -> Figures:
    """Choose and measure by combinatorial purged cross-validation: what the folds may have hid.

    Training ends a label (at least a day) before a tested block, and begins a warm-up and the
    embargo after it: what is decided there still looks back into the block, not the other way.
    """
    embargo = warmup_days + math.ceil(EMBARGO_SHARE * len(sampled))
    try:
        paths = cross_validated(sampled, purge=max(label_days, 1), embargo=embargo)
    except BadInput:
        return dict.fromkeys(("cpcv_sharpe", "cpcv_positive"), math.nan)
    annual = paths * math.sqrt(metrics.DAYS_A_YEAR)
    return {"cpcv_sharpe": float(np.median(annual)), "cpcv_positive": float((paths > 0).mean())}


def _variance_of_walks(luck: Luck, stitched: Floats) -> float:
    """Return the variance of walk-forwards' Sharpe per day; that of pure luck when unknown."""
    if luck.walk_forward_variance is not None:
        return luck.walk_forward_variance
    return 1.0 / max(len(stitched) - 1, 1)


def trial_variance(table: pl.DataFrame) -> float:
    """Return the variance (ddof 1) of the trials' Sharpe ratios, per day; NaN below two."""
    sharpes = table["sharpe"].drop_nulls().to_numpy() / math.sqrt(metrics.DAYS_A_YEAR)
    return float(sharpes.var(ddof=1)) if len(sharpes) > 1 else math.nan


def _chosen_returns(case: Case, sets: Iterable[Mapping[str, Value]] = ()) -> Floats:
    """Run the choice, then `sets`, on the newest training window; return (days, 1 + sets)."""
    window = case.window(case.result.chosen_from, case.result.chosen_until)
    return case.daily_returns(window, [searched_values(case.result.chosen), *sets])


def plateau_figures(case: Case) -> Figures:
    """Return how much of the choice's Sharpe its neighbours keep in the newest training window.

    `plateau` is the median neighbour's Sharpe over the choice's own, at most 1; `needle` would be
    near 0. NaN where the choice earned nothing there or has no neighbours.
    """
    beside = neighbours(case.space, searched_values(case.result.chosen))
    sharpes = metrics.annual_sharpe(_chosen_returns(case, beside).T)
    own, others = float(sharpes[0]), np.nan_to_num(sharpes[1:], nan=0.0)
    if not own > 0 or not len(others):
        return {"plateau": math.nan}
    return {"plateau": min(float(np.median(others)) / own, 1.0)}


def comparison_figures(case: Case, champion: ParameterSet | None) -> Figures:
    """Return the tests at twice the costs, holding, and the champion on the same bars."""
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
