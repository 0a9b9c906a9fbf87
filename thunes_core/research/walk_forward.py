"""Walk-forward (semantics §6): choose on train, test from flat on what follows, stitch, re-fit.

Every search is kept in a study named by what it depends on (code of the strategy, bars, space,
rules, seed): a killed walk-forward continues where it was, and a revised bar re-runs only the folds
whose training holds it.

Add here: a step of the walk-forward. Keep out: one fold's work (folds), judging the result
(evidence), storing it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import polars as pl

from thunes_core.backtest import metrics
from thunes_core.domain.bars import Interval, fingerprint, require_valid
from thunes_core.domain.parameters import study_key
from thunes_core.domain.results import WalkForwardResult
from thunes_core.research.compute import Compute, Progress, in_turn
from thunes_core.research.folds import FoldDone, FoldTask, SearchPlan, cut, moment
from thunes_core.research.objective import Rules
from thunes_core.research.search import Stopping, Studies
from thunes_core.research.splits import Plan, walk_forward_plan
from thunes_core.research.stitching import stitch, trial_table
from thunes_core.research.windows import Terms, longest_reach, longest_warmup


@dataclass(frozen=True, slots=True)
class WalkForwardOptions:
    """How to walk: folds and windows, search, what makes a trial acceptable, and the terms of runs.

    `anchored` training begins at the first bar and grows, else it rolls with a fixed length.
    `min_trades` closed trades in a training window, and a drawdown no deeper than `max_drawdown`
    (a fraction, 1 = any), make a trial feasible. `purge_bars` None means the longest warm-up or
    label that the strategy's space can ask for. `objectives`, `stopping` and `parts` as in `Rules`
    and `SearchPlan`. `studies` is the place that keeps the trials.
    """

    folds: int = 6
    trials: int = 100
    seed: int = 7
    anchored: bool = True
    train_share: float = 0.2
    purge_bars: int | None = None
    min_trades: int = 5
    max_drawdown: float = 1.0
    sampler: str = "tpe"
    objectives: tuple[str, ...] = ("sharpe",)
    stopping: Stopping = field(default_factory=Stopping)
    parts: int = 0
    terms: Terms = field(default_factory=Terms)
    studies: Studies | None = None

    @property
    def search_plan(self) -> SearchPlan:
        """How each fold searches."""
        rules = Rules(self.objectives, self.min_trades, self.max_drawdown, self.terms)
        return SearchPlan(
            self.trials, self.seed, self.sampler, rules, self.stopping, self.parts, self.studies
        )

    def in_words(self) -> dict[str, str]:
        """Return what tells two walks of the same bars apart."""
        costs = self.terms.costs
        return {
            "seed": str(self.seed),
            "sampler": self.sampler,
            "objectives": ", ".join(self.objectives),
            "windows": "anchored" if self.anchored else "rolling",
            "first_window": f"{self.train_share:.0%} of the bars",
            "trials_a_fold": str(self.trials),
            "rules": f"{self.min_trades} trades, drawdown {self.max_drawdown:.0%}",
            "costs": f"taker {costs.taker_fee:.3%}, slippage {costs.slippage:.3%}",
        }


def walk_forward(
    bars: pl.DataFrame,
    *,
    strategy: str,
    symbol: str,
    interval: str,
    options: WalkForwardOptions,
    progress: Progress | None = None,
    compute: Compute = in_turn,
) -> WalkForwardResult:
    """Walk `strategy` over `bars` of one symbol, sorted and valid, and stitch the tests.

    Deterministic: the same bars, options and seed give the same result, resumed or not, wherever
    `compute` runs the folds. Raises `BarsInvalid` for broken bars and `BadInput` when the history
    is too short.
    """
    require_valid(bars, Interval(interval))
    lead = longest_warmup(strategy)
    purge = max(lead, longest_reach(strategy))
    plan = walk_forward_plan(
        len(bars),
        folds=options.folds,
        train_share=options.train_share,
        purge=purge if options.purge_bars is None else options.purge_bars,
        anchored=options.anchored,
    )
    study = study_key(strategy, symbol, interval)
    tasks = list(_tasks(bars, plan, strategy, study, lead, options))
    done = compute(tasks, progress or _unheard)
    return _joined(bars, plan, study, done, options)


def _unheard(done: int, total: int, name: str) -> None:
    """Tell nobody."""


def _tasks(
    bars: pl.DataFrame,
    plan: Plan,
    strategy: str,
    study: str,
    lead: int,
    options: WalkForwardOptions,
) -> Iterator[FoldTask]:
    """Yield the folds in order and then the final fit, each with a seed of its own."""
    seed, search = options.seed * 1_000, options.search_plan
    for s in plan.splits:
        task = FoldTask(
            s.number, strategy, study, bars, s.train, s.test, lead, seed + s.number, search
        )
        yield cut(task)
    last = seed + len(plan.splits) + 1
    yield cut(FoldTask(0, strategy, study, bars, plan.newest, None, lead, last, search))


def _joined(
    bars: pl.DataFrame, plan: Plan, study: str, done: list[FoldDone], options: WalkForwardOptions
) -> WalkForwardResult:
    """Stitch the tests, table the trials; the last of `done` is the final fit."""
    strategy, symbol, interval = study.split(".")
    cash = options.terms.cash
    stitched, trades = stitch([d.test for d in done if d.test is not None], cash)
    fitted = done[-1].fitted
    return WalkForwardResult(
        strategy=strategy,
        symbol=symbol,
        interval=interval,
        folds=tuple(d.fold for d in done if d.fold is not None),
        stitched=stitched,
        metrics=metrics.metrics_of(stitched, trades, cash=cash),
        chosen=fitted.parameters,
        trials=sum(len(d.tried) for d in done),
        data_fingerprint=fingerprint(bars),
        trial_table=trial_table(done),
        files=fitted.files,
        bars_from=moment(bars, 0),
        chosen_from=moment(bars, plan.newest.start),
        chosen_until=moment(bars, plan.newest.stop),
        made_with=options.in_words(),
    )
