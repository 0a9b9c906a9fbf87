"""Walk-forward (semantics §6): choose on train, test from flat on what follows, stitch, re-fit.

Every search is kept in a journal named by what it depends on (bars, space, terms, seed): a killed
walk-forward continues where it was, and a revised bar re-runs only the folds whose training holds
it.

Add here: a step of the walk-forward. Keep out: judging the result (evidence), storing it.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import polars as pl

from thunes_core.backtest import metrics
from thunes_core.backtest.simulate import run_metrics
from thunes_core.domain.bars import Interval, fingerprint, require_valid
from thunes_core.domain.parameters import Value, study_key
from thunes_core.domain.results import BacktestResult, FoldResult, WalkForwardResult
from thunes_core.errors import BadInput
from thunes_core.research.fitting import Fitted, fitting_of, searched_values
from thunes_core.research.search import Outcome, SearchOptions, Tried, best, search
from thunes_core.research.splits import Plan, Split, walk_forward_plan
from thunes_core.research.stitching import stitch, trial_table
from thunes_core.research.windows import Terms, Window, longest_reach, longest_warmup
from thunes_core.strategies.base import build_from, strategy_class

RULES = 1
"""Raise it when the same inputs would give other trials: old journals are then not used."""

Progress = Callable[[int, int, str], None]
"""Called with trials finished, trials in all, and a sentence."""


@dataclass(frozen=True, slots=True)
class WalkForwardOptions:
    """How to walk: folds and windows, search, what makes a trial acceptable, and the terms of runs.

    `min_trades` closed trades in a training window, and a drawdown no deeper than `max_drawdown`
    (a fraction, 1 = any), make a trial feasible. `purge_bars` None means the longest warm-up that
    the strategy's space can ask for. `journal` is the folder that keeps the trials.
    """

    folds: int = 6
    trials: int = 100
    seed: int = 7
    anchored: bool = False
    train_share: float = 0.3
    purge_bars: int | None = None
    min_trades: int = 5
    max_drawdown: float = 1.0
    sampler: str = "tpe"
    terms: Terms = field(default_factory=Terms)
    journal: Path | None = None


def walk_forward(
    bars: pl.DataFrame,
    *,
    strategy: str,
    symbol: str,
    interval: str,
    options: WalkForwardOptions,
    progress: Progress | None = None,
) -> WalkForwardResult:
    """Walk `strategy` over `bars` of one symbol, sorted and valid, and stitch the tests.

    Deterministic: the same bars, options and seed give the same result, resumed or not. Raises
    `BarsInvalid` for broken bars and `BadInput` when the history is too short.
    """
    require_valid(bars, Interval(interval))
    walk = _Walk(bars, strategy, study_key(strategy, symbol, interval), options, progress)
    folds, searched = [], []
    for split in walk.plan.splits:
        tried, fold = walk.fold(split)
        folds.append(fold)
        searched.append(tried)
    newest, fitted = walk.newest()
    stitched, trades = stitch(walk.tests, options.terms.cash)
    return WalkForwardResult(
        strategy=strategy,
        symbol=symbol,
        interval=interval,
        folds=tuple(folds),
        stitched=stitched,
        metrics=metrics.metrics_of(stitched, trades, cash=options.terms.cash),
        chosen=fitted.parameters,
        trials=sum(len(tried) for tried in (*searched, newest)),
        data_fingerprint=fingerprint(bars),
        trial_table=trial_table([*searched, newest]),
        files=fitted.files,
        bars_from=_moment(bars, 0),
        chosen_from=_moment(bars, walk.plan.newest.start),
        chosen_until=_moment(bars, walk.plan.newest.stop),
    )


class _Walk:
    """The state of one walk: the plan, and the tests run so far."""

    def __init__(
        self,
        bars: pl.DataFrame,
        strategy: str,
        study: str,
        options: WalkForwardOptions,
        progress: Progress | None,
    ) -> None:
        self._bars, self._strategy, self._study = bars, strategy, study
        self._options, self._progress = options, progress
        self._lead, self._fitting = longest_warmup(strategy), fitting_of(strategy)
        self.plan: Plan = walk_forward_plan(
            len(bars),
            folds=options.folds,
            train_share=options.train_share,
            purge=self._purge(),
            anchored=options.anchored,
        )
        self.tests: list[BacktestResult] = []

    def _purge(self) -> int:
        """Return the rows between train and test: as asked, or what a warm-up or label reaches."""
        asked = self._options.purge_bars
        return max(self._lead, longest_reach(self._strategy)) if asked is None else asked

    def fold(self, split: Split) -> tuple[list[Tried], FoldResult]:
        """Choose on the fold's training window and test the choice."""
        train = Window(self._bars, split.train, self._lead)
        tried, fitted = self._choose(train, split.number, f"fold {split.number}")
        chosen, terms = fitted.parameters, self._options.terms
        test = Window(self._bars, split.test, self._lead).backtest(build_from(chosen), terms)
        self.tests.append(test)
        seen = train.honest_run(self._fitting, searched_values(chosen), terms)
        fold = FoldResult(
            number=split.number,
            train_start=_moment(self._bars, split.train.start),
            train_end=_moment(self._bars, split.train.stop),
            test_start=_moment(self._bars, split.test.start),
            test_end=_moment(self._bars, split.test.stop),
            parameters=chosen,
            trials=len(tried),
            train_metrics=run_metrics(seen) if seen else {},
            test_metrics=test.metrics,
            test_equity=test.equity,
        )
        return tried, fold

    def newest(self) -> tuple[list[Tried], Fitted]:
        """Choose on the newest training window: the candidate."""
        window = Window(self._bars, self.plan.newest, self._lead)
        return self._choose(window, len(self.plan.splits) + 1, "final fit")

    def _choose(self, train: Window, number: int, name: str) -> tuple[list[Tried], Fitted]:
        options, seed = self._options, self._options.seed * 1_000 + number
        tried = search(
            strategy_class(self._strategy).space,
            lambda values: self._evaluate(train, values),
            SearchOptions(options.trials, seed, options.sampler, self._journal(train, seed)),
            progress=self._tell(number, name),
        )
        found = best(tried)
        if found is None:
            raise BadInput(
                f"{self._strategy}: expected at least one combination that the strategy accepts; "
                f"none of {len(tried)} was; raise the number of trials"
            )
        return tried, train.fit(self._fitting, found.values)

    def _evaluate(self, train: Window, values: Mapping[str, Value]) -> Outcome | None:
        run = train.honest_run(self._fitting, values, self._options.terms)
        if run is None:
            return None
        equity = run.equity
        sharpe = metrics.sharpe(train.daily_returns_of(equity, run.start_cash))
        drawdown = metrics.max_drawdown(equity, run.start_cash)
        figures = {
            "sharpe": sharpe,
            "total_return": float(equity[-1]) / run.start_cash - 1.0,
            "max_drawdown": drawdown,
            "trades": float(run.closed),
        }
        objective = sharpe if math.isfinite(sharpe) else 0.0
        return Outcome(objective, self._violation(run.closed, drawdown), figures)

    def _violation(self, trades: int, drawdown: float) -> float:
        """Return by how much the rules are broken, as a share of each limit; 0 when kept."""
        options = self._options
        too_few = max(options.min_trades - trades, 0) / max(options.min_trades, 1)
        too_deep = max(-drawdown - options.max_drawdown, 0.0)
        return too_few + too_deep

    def _journal(self, train: Window, seed: int) -> Path | None:
        options = self._options
        if options.journal is None:
            return None
        depends_on = (
            RULES,
            fingerprint(train.led),
            len(train.bars),
            repr(strategy_class(self._strategy).space),
            repr((options.terms, options.min_trades, options.max_drawdown)),
            (seed, options.sampler),
        )
        key = hashlib.sha256(repr(depends_on).encode()).hexdigest()[:16]
        return options.journal / self._study / f"{key}.log"

    def _tell(self, number: int, name: str) -> Callable[[int, int], None] | None:
        progress = self._progress
        if progress is None:
            return None
        each, total = self._options.trials, self._options.trials * (len(self.plan.splits) + 1)
        return lambda done, _: progress((number - 1) * each + done, total, name)


def _moment(bars: pl.DataFrame, row: int) -> datetime:
    """Return the open time of `row`; of the row after the last, the end of the last bar."""
    times = bars["open_time"]
    last: datetime = times[min(row, len(times) - 1)]
    return last if row < len(times) else last + Interval(bars["interval"][0]).duration
