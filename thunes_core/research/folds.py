"""One fold of a walk-forward: choose on its training window, test the choice on what follows.

A task holds only the bars that its fold needs and depends on nothing else, so that any process on
any host can run it, again if need be, with the same result.

Add here: what one fold does. Keep out: dividing time, joining folds, where tasks are run.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

import polars as pl

from thunes_core.backtest.simulate import run_metrics
from thunes_core.domain.bars import Interval, fingerprint
from thunes_core.domain.results import BacktestResult, FoldResult
from thunes_core.errors import BadInput
from thunes_core.research.fitting import Fitted, fitting_of, searched_values
from thunes_core.research.objective import Objective, Rules
from thunes_core.research.search import (
    SearchOptions,
    Stopping,
    Studies,
    Tried,
    best,
    search,
)
from thunes_core.research.sources import code_fingerprint
from thunes_core.research.splits import Span
from thunes_core.research.windows import Window
from thunes_core.strategies.base import build_from, strategy_class

RULES = 3
"""Raise it when the engine would give other trials of the same inputs: old studies are then not
used. Strategies and indicators count by their code."""

Tell = Callable[[int, int], None]
"""Called with trials finished and trials asked for."""


@dataclass(frozen=True, slots=True)
class SearchPlan:
    """How every fold of a walk-forward searches, and by what rules.

    `parts` above 1 runs a trial part after part of its window and gives it up when it is clearly
    worse than the best. `studies` keeps the trials; None forgets them.
    """

    trials: int = 100
    seed: int = 7
    sampler: str = "tpe"
    rules: Rules = field(default_factory=Rules)
    stopping: Stopping = field(default_factory=Stopping)
    parts: int = 0
    studies: Studies | None = None


@dataclass(frozen=True, slots=True, eq=False)
class FoldTask:
    """A fold to run: its bars, and as rows of them what to train and (None: nothing) test on.

    `lead` rows before a span warm up. Fold 0 is the final fit.
    """

    number: int
    strategy: str
    study: str
    bars: pl.DataFrame
    train: Span
    test: Span | None
    lead: int
    seed: int
    plan: SearchPlan

    @property
    def name(self) -> str:
        """What people call it."""
        return f"fold {self.number}" if self.number else "final fit"


@dataclass(frozen=True, slots=True, eq=False)
class FoldDone:
    """What a fold gave: its search's name and trials, the fitted choice, and the test if any."""

    search: str
    tried: list[Tried]
    fitted: Fitted
    fold: FoldResult | None = None
    test: BacktestResult | None = None


def cut(task: FoldTask) -> FoldTask:
    """Return the task with no more bars than it needs."""
    first = max(task.train.start - task.lead, 0)
    stop = max(task.train.stop, task.test.stop if task.test else 0)
    return FoldTask(
        task.number,
        task.strategy,
        task.study,
        task.bars[first:stop],
        _moved(task.train, first),
        _moved(task.test, first) if task.test else None,
        task.lead,
        task.seed,
        task.plan,
    )


def _moved(span: Span, rows: int) -> Span:
    return Span(span.start - rows, span.stop - rows)


def run_fold(task: FoldTask, tell: Tell | None = None) -> FoldDone:
    """Search, choose, fit, and test from flat with warm-up from before the test."""
    fitting, rules = fitting_of(task.strategy), task.plan.rules
    train = Window(task.bars, task.train, task.lead)
    name = search_name(task, train)
    objective = Objective(train, task.strategy, fitting, task.lead, rules)
    tried = search(
        strategy_class(task.strategy).space,
        objective.evaluate(task.plan.parts),
        _search_options(task, name),
        progress=tell,
    )
    fitted = train.fit(fitting, _chosen(task, tried).values)
    if task.test is None:
        return FoldDone(name, tried, fitted)
    window = Window(task.bars, task.test, task.lead)
    test = window.backtest(build_from(fitted.parameters), rules.terms)
    seen = train.honest_run(fitting, searched_values(fitted.parameters), rules.terms)
    fold = FoldResult(
        number=task.number,
        train_start=moment(task.bars, task.train.start),
        train_end=moment(task.bars, task.train.stop),
        test_start=moment(task.bars, task.test.start),
        test_end=moment(task.bars, task.test.stop),
        parameters=fitted.parameters,
        trials=len(tried),
        train_metrics=run_metrics(seen) if seen else {},
        test_metrics=test.metrics,
        test_equity=test.equity,
    )
    return FoldDone(name, tried, fitted, fold, test)


def _chosen(task: FoldTask, tried: list[Tried]) -> Tried:
    found = best(tried)
    if found is None:
        raise BadInput(
            f"{task.strategy}: expected at least one combination that the strategy accepts; "
            f"none of {len(tried)} was; raise the number of trials"
        )
    return found


def _search_options(task: FoldTask, name: str) -> SearchOptions:
    plan = task.plan
    return SearchOptions(
        plan.trials,
        task.seed,
        plan.sampler,
        objectives=len(plan.rules.objectives),
        stopping=plan.stopping,
        studies=plan.studies,
        study=task.study,
        name=name,
    )


def search_name(task: FoldTask, train: Window) -> str:
    """Name a search by what its trials depend on: code, bars, space, rules, seed, sampler."""
    depends_on = (
        RULES,
        code_fingerprint(task.strategy),
        fingerprint(train.led),
        len(train.bars),
        repr(strategy_class(task.strategy).space),
        repr(task.plan.rules),
        (task.seed, task.plan.sampler, task.plan.parts),
    )
    return hashlib.sha256(repr(depends_on).encode()).hexdigest()[:16]


def moment(bars: pl.DataFrame, row: int) -> datetime:
    """Return the open time of `row`; of the row after the last, the end of the last bar."""
    times = bars["open_time"]
    last: datetime = times[min(row, len(times) - 1)]
    return last if row < len(times) else last + Interval(bars["interval"][0]).duration
