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


def single(interval: str) -> dict[str, float]:
    """Time the first whole run of a process, and the best of later ones; exits as the peers'."""
    bars = year(interval)
    began = time.perf_counter()
    from thunes_core.backtest.simulate import backtest_strategy
    from thunes_core.domain.limits import Costs, Protection
    from thunes_core.strategies.base import build

    imported = time.perf_counter() - began
    costs, exits = Costs(FEE, FEE, SLIPPAGE), Protection(trailing_stop=TRAIL)

    def run() -> float:
        start = time.perf_counter()
        strategy = build("sma_crossover", SINGLE)
        backtest_strategy(bars, strategy, costs=costs, protection=exits)
        return time.perf_counter() - start

    first = run()
    return {"imports": imported, "first": first, "single": min(run() for _ in range(10))}


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

    def run() -> float:
        start = time.perf_counter()
        rows = sum(len(b) for b in sweep_batches(prepare(bars), "sma_crossover", grid, conditions))
        assert rows == total
        return time.perf_counter() - start

    run()
    best = min(run() for _ in range(3))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"sweep": total / best, "combinations": total, "peak_mb": peak}


if __name__ == "__main__":
    measured: dict[str, Any] = {"single": single, "sweep": sweeping}[sys.argv[1]](sys.argv[2])
    sys.stdout.write(json.dumps(measured))
