"""Time THUNES in a process of its own, so that its memory is its own.

Run as `python -m tests.benchmarks.own_speed WHAT INTERVAL`; prints one JSON object.
Add here: a figure that needs a fresh process. Keep out: ratios.
"""

from __future__ import annotations

import json
import math
import resource
import sys
import time
from collections.abc import Callable
from typing import Any

from tests.benchmarks.markets import (
    ACTIVATION,
    FEE,
    GRIDS,
    SINGLE,
    SLIPPAGE,
    STOP,
    TRAIL,
    year,
)


def timed(function: Callable[[], object]) -> tuple[float, float]:
    """Return the seconds that `function` takes, by the clock and of the processor."""
    wall, cpu = time.perf_counter(), time.process_time()
    function()
    return time.perf_counter() - wall, time.process_time() - cpu


def best_of(rounds: int, function: Callable[[], object]) -> tuple[float, float]:
    """Return the least seconds of `rounds` calls, by the clock and of the processor."""
    found = [timed(function) for _ in range(rounds)]
    return min(wall for wall, _ in found), min(cpu for _, cpu in found)


def single(interval: str) -> dict[str, float]:
    """Time the first whole run of a process, and the best of later ones; exits as the peers'."""
    bars = year(interval)
    began = time.perf_counter()
    from thunes_core.backtest.simulate import backtest_strategy
    from thunes_core.domain.limits import Costs, Protection
    from thunes_core.strategies.base import build

    imported = time.perf_counter() - began
    costs, exits = Costs(FEE, FEE, SLIPPAGE), Protection(trailing_stop=TRAIL)

    def run() -> None:
        strategy = build("sma_crossover", SINGLE)
        backtest_strategy(bars, strategy, costs=costs, protection=exits)

    first, first_cpu = timed(run)
    best, cpu = best_of(5, run)
    return {
        "imports": imported,
        "first": first,
        "first_cpu": first_cpu,
        "single": best,
        "single_cpu": cpu,
    }


def sweeping(interval: str) -> dict[str, float]:
    """Time a whole sweep, batch by batch as the command does, and the peak of memory."""
    from thunes_core.backtest.sweep import prepare, sweep_batches
    from thunes_core.domain.limits import Conditions, Costs, Protection

    conditions = Conditions(
        costs=Costs(FEE, FEE, SLIPPAGE),
        protection=Protection(stop_loss=STOP, trailing_stop=TRAIL, trailing_activation=ACTIVATION),
    )
    bars, grid = year(interval), GRIDS[interval]
    total = math.prod(len(values) for values in grid.values())

    def run() -> None:
        rows = sum(len(b) for b in sweep_batches(prepare(bars), "sma_crossover", grid, conditions))
        assert rows == total

    run()
    best, cpu = best_of(3, run)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {
        "sweep": total / best,
        "sweep_cpu": total / cpu,
        "combinations": total,
        "peak_mb": peak,
    }


if __name__ == "__main__":
    measured: dict[str, Any] = {"single": single, "sweep": sweeping}[sys.argv[1]](sys.argv[2])
    sys.stdout.write(json.dumps(measured))
