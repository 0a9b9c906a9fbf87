"""What a walk-forward costs beside its backtests: 6 folds x 100 trials on a year of hours.

    make bench-walk
    python -m tests.benchmarks.bench_walk --rounds 5

The yardstick is Optuna's own loop in memory: as many trials of its TPE sampler, as it comes, over
the same space, with an objective that costs nothing. Ours runs the backtests as well, keeps every
trial in a journal and could be resumed at any time. Both are taken in turn in one process, after a
round that nobody counts; the least of the rounds is shown.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from tests.benchmarks.pages import replace_section
from tests.planted import HOURS_A_YEAR, Planted, market
from thunes_core.domain.parameters import IntRange
from thunes_core.research import windows
from thunes_core.research.search import JournalFolder
from thunes_core.research.walk_forward import WalkForwardOptions, walk_forward
from thunes_core.strategies.base import strategy_class

FOLDS, TRIALS, SEED = 6, 100, 7
STRATEGY = "sma_crossover"
GOAL = 1.3
BARS = market(Planted(4.0, 1_000), HOURS_A_YEAR, seed=1)


@dataclass(frozen=True, slots=True)
class Cost:
    """Seconds of wall time and of CPU."""

    wall: float
    cpu: float


def timed(work: Callable[[], object]) -> Cost:
    """Run `work` and return what it cost."""
    wall, cpu = time.perf_counter(), time.process_time()
    work()
    return Cost(time.perf_counter() - wall, time.process_time() - cpu)


class KernelClock:
    """Adds up the time that runs of the kernel take, conversions to its types included."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self._run = windows.run_arrays

    def __enter__(self) -> KernelClock:
        windows.run_arrays = self._timed
        return self

    def __exit__(self, *failure: object) -> None:
        windows.run_arrays = self._run

    def _timed(self, *given: object) -> object:
        began = time.perf_counter()
        found = self._run(*given)
        self.seconds += time.perf_counter() - began
        return found


def optuna_alone() -> None:
    """Run as many trials in memory, a study a search, with an objective that costs nothing."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    space = strategy_class(STRATEGY).space.dimensions

    def objective(trial: optuna.Trial) -> float:
        values = [
            trial.suggest_int(name, d.low, d.high)
            for name, d in space.items()
            if isinstance(d, IntRange)
        ]
        return -float(abs(values[0] - 20) + abs(values[1] - 90))

    for number in range(FOLDS + 1):
        sampler = optuna.samplers.TPESampler(seed=SEED + number)
        optuna.create_study(direction="maximize", sampler=sampler).optimize(objective, TRIALS)


def walk(folder: Path) -> None:
    """Walk forward, every trial kept in `folder`."""
    walk_forward(
        BARS,
        strategy=STRATEGY,
        symbol="TESTUSDT",
        interval="1h",
        options=WalkForwardOptions(
            folds=FOLDS, trials=TRIALS, seed=SEED, studies=JournalFolder(folder)
        ),
    )


@dataclass(frozen=True, slots=True)
class Measured:
    """The least of each over the rounds; `outside` is the share of wall time not in the kernel."""

    ours: Cost
    optuna: Cost
    resumed: Cost
    outside: float


def _least(costs: Sequence[Cost]) -> Cost:
    return Cost(min(cost.wall for cost in costs), min(cost.cpu for cost in costs))


def measure(rounds: int) -> Measured:
    """Take turns for `rounds` rounds, after one that warms up."""
    found: list[tuple[Cost, Cost, Cost, float]] = []  # ours, resumed, Optuna, outside
    for _ in range(rounds + 1):
        with tempfile.TemporaryDirectory() as folder:
            with KernelClock() as kernel:
                ours = timed(lambda folder=folder: walk(Path(folder)))
            resumed = timed(lambda folder=folder: walk(Path(folder)))
        found.append((ours, resumed, timed(optuna_alone), 1.0 - kernel.seconds / ours.wall))
    ours = _least([row[0] for row in found[1:]])
    resumed = _least([row[1] for row in found[1:]])
    alone = _least([row[2] for row in found[1:]])
    return Measured(ours, alone, resumed, min(row[3] for row in found[1:]))


HEADS = ("", "CPU s", "wall s", "of Optuna alone (CPU)", "goal")


def rows_of(found: Measured) -> list[tuple[str, ...]]:
    """Return the table's cells."""
    times = found.ours.cpu / found.optuna.cpu
    again = found.resumed.cpu / found.optuna.cpu

    def row(name: str, cost: Cost, ratio: str, goal: str = "") -> tuple[str, ...]:
        return name, f"{cost.cpu:.2f}", f"{cost.wall:.2f}", ratio, goal

    return [
        row("Optuna alone, in memory", found.optuna, "1"),
        row("walk-forward, kept and resumable", found.ours, f"{times:.2f}", f"≤ {GOAL}"),
        row("the same again, nothing to search", found.resumed, f"{again:.2f}"),
    ]


def main() -> int:
    """Measure, print, and with `--write` replace a page's section; 1 when the goal is missed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--write", type=Path, help="replace the section of this page")
    asked = parser.parse_args()
    found = measure(asked.rounds)
    rows = rows_of(found)
    told = (
        f"{found.outside:.0%} of the wall time of the walk-forward passes outside the kernel: "
        "nearly all of it is Optuna proposing. Our TPE compares 8 points a proposal where Optuna's "
        "own compares 24, which pays for the journal and the backtests."
    )
    table = Table(*HEADS, title=f"{FOLDS} folds x {TRIALS} trials on a year of hours")
    for row in rows:
        table.add_row(*row)
    Console(width=110).print(table)
    sys.stdout.write(told + "\n")
    if asked.write:
        intro = (
            f"{FOLDS} folds and the final fit, {TRIALS} TPE trials each, {STRATEGY} on a year of 1h"
            " bars; against as many trials of Optuna's own loop in memory with an empty objective; "
            "by `make bench-walk`."
        )
        replace_section(asked.write, "walk-forward", "Walk-forward", intro, [HEADS, *rows], told)
    return int(found.ours.cpu > GOAL * found.optuna.cpu)


if __name__ == "__main__":
    sys.exit(main())
