"""What is timed at every `make bench`: kernel, metrics, whole runs, sweeps, a portfolio.

Add here: a path whose speed is promised. Keep out: comparing with earlier runs (`history`).
"""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from tests.benchmarks.markets import ACTIVATION, GRIDS, SINGLE, STOP, TRAIL, year
from thunes_core.backtest import sweep as sw
from thunes_core.backtest.portfolio import backtest_portfolio
from thunes_core.backtest.simulate import (
    backtest_strategy,
    bar_arrays,
    run_arrays,
    run_metrics,
    terms_of,
)
from thunes_core.domain.limits import Conditions, Costs, LotRules, Protection
from thunes_core.strategies.base import build

EXITS = Protection(stop_loss=STOP, trailing_stop=TRAIL, trailing_activation=ACTIVATION)


@pytest.fixture(scope="module", params=["1h", "1m"])
def bars(request) -> pl.DataFrame:
    """Return a year of bars."""
    return year(request.param)


def test_yardstick_of_the_machine(benchmark):
    """A fixed piece of numpy: what the others are divided by when machines differ."""
    values = np.random.default_rng(0).random(1_000_000)
    benchmark(lambda: np.maximum.accumulate(np.cumsum(values)).sum())


def test_kernel(benchmark, bars):
    """Arrays in, arrays out."""
    arrays = bar_arrays(bars)
    target = build("sma_crossover", SINGLE).target_exposure(bars).to_numpy()
    terms = terms_of(Costs(), EXITS, LotRules())
    benchmark(run_arrays, arrays, target, terms)


def test_metrics(benchmark, bars):
    """Every metric of one run."""
    arrays = bar_arrays(bars)
    target = build("sma_crossover", SINGLE).target_exposure(bars).to_numpy()
    run = run_arrays(arrays, target, terms_of(Costs(), EXITS, LotRules()))
    benchmark(run_metrics, run)


def test_whole_run(benchmark, bars):
    """Strategy, trades, metrics, frames."""
    strategy = build("sma_crossover", SINGLE)
    benchmark(lambda: backtest_strategy(bars, strategy, protection=EXITS))


def test_sweep(benchmark, bars):
    """A grid with all metrics of each combination."""
    interval = bars["interval"][0]
    grid = {"fast": GRIDS[interval]["fast"][:20], "slow": GRIDS[interval]["slow"]}
    conditions = Conditions(protection=EXITS)
    benchmark.pedantic(
        lambda: sw.sweep(bars, "sma_crossover", grid, conditions), rounds=3, warmup_rounds=1
    )


def test_portfolio_of_ten(benchmark):
    """Ten symbols on shared cash, a year of hours."""
    frames = {f"S{i}": year("1h", seed=i) for i in range(10)}
    strategy = build("sma_crossover", SINGLE)
    targets = {name: strategy.target_exposure(frame) for name, frame in frames.items()}
    conditions = Conditions(protection=EXITS)
    benchmark(lambda: backtest_portfolio(frames, targets, conditions=conditions))
