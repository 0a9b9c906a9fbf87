"""Where the folds of a walk-forward are run: the interface, and the way that needs nothing else.

Add here: what every way of running folds must promise. Keep out: pools and clusters (adapters).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from thunes_core.research.folds import FoldDone, FoldTask, run_fold

Progress = Callable[[int, int, str], None]
"""Called with trials finished, trials in all, and a sentence."""


class Compute(Protocol):
    """Run every task, in any order and place; return what they gave, in the tasks' order.

    A task may be run twice (a worker died): its result is the same.
    """

    def __call__(self, tasks: Sequence[FoldTask], tell: Progress) -> list[FoldDone]:
        """Run the tasks and tell about finished trials on the way."""
        ...


def in_turn(tasks: Sequence[FoldTask], tell: Progress) -> list[FoldDone]:
    """Run one task after the other in this process."""
    total = sum(task.plan.trials for task in tasks)
    done: list[FoldDone] = []
    for task in tasks:
        before = len(done) * task.plan.trials
        done.append(run_fold(task, _within(tell, before, total, task.name)))
    return done


def _within(tell: Progress, before: int, total: int, name: str) -> Callable[[int, int], None]:
    return lambda finished, _: tell(before + finished, total, name)


def tell_finished(tell: Progress, tasks: Sequence[FoldTask], finished: int, name: str) -> None:
    """Tell that `finished` of the tasks are done, `name` being the last of them."""
    trials = tasks[0].plan.trials
    tell(finished * trials, len(tasks) * trials, f"{name} finished")
