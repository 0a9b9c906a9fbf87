"""Sweeps: leaping over bars gives what visiting each gives, however the work is divided."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.golden.case import market_cases
from tests.thunes_core.backtest.markets import random_bars, runs
from thunes_core.backtest import leap, metrics
from thunes_core.backtest.changes import TILE, changes
from thunes_core.backtest.simulate import (
    BarArrays,
    Run,
    backtest,
    backtest_strategy,
    read_only,
    run_arrays,
)
from thunes_core.backtest.sweep import (
    evaluate,
    heat_map,
    prepare,
    sweep,
    sweep_batches,
)
from thunes_core.backtest.targets import WORTHWHILE
from thunes_core.backtest.terrain import terrain_of
from thunes_core.domain.limits import Conditions, Costs, LotRules, Protection
from thunes_core.errors import ParametersInvalid, UnknownName
from thunes_core.strategies.base import build, registered

many = settings(max_examples=200, deadline=None, derandomize=True, database=None)
some = settings(many, max_examples=60)
EXITS = Protection(
    stop_loss=0.02, trailing_stop=0.03, trailing_activation=0.01, cooldown_minutes=120
)


def frame_of(bars: BarArrays) -> pl.DataFrame:
    """Return bars as a frame with the columns that strategies read."""
    names = ("open", "high", "low", "close")
    columns = dict(zip(names, bars[1:5], strict=True))
    time = pl.Series(bars.time).cast(pl.Datetime("us", "UTC"))
    return pl.DataFrame(
        {"symbol": "X", "interval": "1h", "open_time": time, **columns, "volume": 1.0},
        schema_overrides={"volume": pl.Float64},
    )


def market(size: int = 3000, seed: int = 1) -> pl.DataFrame:
    """Return hourly bars of a random walk with gaps."""
    return frame_of(random_bars(np.random.default_rng(seed), size, 8, gaps=0.01))


def leaped(bars: BarArrays, target: np.ndarray, terms, cash: float = 10_000.0):
    """Run a target by leaps; return its daily equity and its sums."""
    ground = terrain_of(bars)
    at, to = np.empty(len(target), np.int32), np.empty(len(target))
    count = changes(read_only(target), at, to)
    daily, sums = np.empty((1, len(ground.day_ends))), np.empty((1, leap.REJECTIONS + 1))
    places, one = np.array([[0, 0, count]]), np.zeros(1, np.int64)
    leap.run_many(ground, at, to, places, one, one, cash, np.array([terms]), daily, sums)
    return daily[0], sums[0]


def assert_same(run: Run, daily: np.ndarray, sums: np.ndarray) -> None:
    """Daily equity, drawdown and counts to the bit; sums to 1e-12."""
    assert np.array_equal(daily, run.equity[metrics.day_ends(run.bars.time)])
    assert sums[leap.WORST] - 1.0 == metrics.max_drawdown(run.equity, run.start_cash)
    assert (sums[leap.CLOSED], sums[leap.REJECTIONS]) == (run.closed, run.rejected)
    assert sums[leap.LONG_BARS] == np.count_nonzero(run.quantity)
    pnl = run.trades[: run.closed, 7]
    traded = run.trades[:, [3, 5]].sum()
    for column, value in (
        (leap.WINS, (pnl > 0).sum()),
        (leap.GAINS, pnl[pnl > 0].sum()),
        (leap.LOSSES, -pnl[pnl < 0].sum()),
        (leap.TRADED, traded),
        (leap.EQUITY_SUM, run.equity.sum()),
    ):
        assert sums[column] == pytest.approx(value, rel=1e-12, abs=1e-9)


@many
@given(runs(max_size=700))
def test_leaping_equals_visiting_every_bar(given_run):
    """For any market, target and terms the two paths agree."""
    assert_same(run_arrays(*given_run), *leaped(*given_run))


@pytest.mark.parametrize("case", market_cases(), ids=lambda case: case.name)
def test_leaping_gives_the_hand_made_answers(case):
    """The leaping run agrees with the plain one on every hand-made case."""
    given_case = (case.bars, case.target, case.terms, case.cash)
    assert_same(run_arrays(*given_case), *leaped(*given_case))


@some
@given(
    st.integers(0, 2**32 - 1),
    st.integers(1, 9),
    st.integers(1, 40),
    st.integers(0, 60),
    st.sampled_from([70, 200, TILE - 1, TILE + 60, 2 * TILE + 77]),
)
def test_compiled_crossovers_change_where_the_strategy_does(seed, fast, more, skip, size):
    """The changes of the compiled SMA crossover are those of the strategy, warm-up included."""
    frame = frame_of(random_bars(np.random.default_rng(seed), size, 3))
    wanted = [{"fast": fast, "slow": fast + more + i} for i in range(WORTHWHILE)]
    found = evaluate(prepare(frame, skip=skip), "sma_crossover", wanted)
    for row, values in enumerate(wanted):
        target = build("sma_crossover", values).target_exposure(frame)
        expected = backtest(frame[skip:], target[skip:]).metrics
        for name, value in expected.items():
            got = found.metrics[name][row]
            assert got == pytest.approx(value, rel=1e-12, nan_ok=True), name


def test_crossovers_that_turn_at_every_bar_find_room():
    """A price that alternates crosses at every bar: more changes than usual are made again."""
    flip = np.where(np.arange(6000) % 2, 101.0, 99.0)
    time = np.arange(6000) * 3_600_000_000
    frame = frame_of(BarArrays(time, flip, flip, flip, flip, 3_600_000_000))
    rows = sweep(frame, "sma_crossover", {"fast": [1], "slow": [2, *range(41, 51)]})
    plain = backtest_strategy(frame, build("sma_crossover", {"fast": 1, "slow": 50}))
    assert rows["trades"][-1] == plain.metrics["trades"] == pytest.approx(2975, abs=1)


@pytest.mark.parametrize("name", sorted(registered()))
def test_every_strategy_swept_equals_its_single_run(name):
    """One row of a sweep has the metrics of the backtest with the same parameters."""
    frame = market(700)
    ground = prepare(frame)
    conditions = Conditions(protection=EXITS, lots=LotRules(0.01, 0.0, 10.0))
    found = evaluate(ground, name, [{}], conditions)
    plain = backtest_strategy(frame, build(name, {}), protection=EXITS, lots=conditions.lots)
    for metric, value in plain.metrics.items():
        assert found.metrics[metric][0] == pytest.approx(value, rel=1e-9, nan_ok=True), metric
    assert found.rejected_orders[0] == plain.rejected_orders


def test_a_row_per_combination_in_the_order_of_the_grid():
    """The last name varies fastest, exits are names like others, every metric is a column."""
    grid = {"fast": [3, 5], "slow": [10, 20], "stop_loss": [0, 0.05]}
    rows = sweep(market(500), "sma_crossover", grid)
    assert rows.select("fast", "slow", "stop_loss").rows()[:3] == [
        (3, 10, 0.0),
        (3, 10, 0.05),
        (3, 20, 0.0),
    ]
    assert rows.columns == ["fast", "slow", "stop_loss", *metrics.NAMES, "rejected_orders"]
    assert len(rows) == 8


def test_exits_of_the_grid_are_those_of_the_single_run():
    """A row with its own stop and cool-down equals the backtest with them."""
    frame = market(1500)
    grid = {"fast": [5], "slow": [30], "trailing_stop": [0.02], "cooldown_minutes": [0, 600]}
    rows = sweep(frame, "sma_crossover", grid, Conditions(costs=Costs(0.002, 0.001, 0.001)))
    for row in rows.iter_rows(named=True):
        protection = Protection(
            trailing_stop=row["trailing_stop"], cooldown_minutes=row["cooldown_minutes"]
        )
        plain = backtest_strategy(
            frame,
            build("sma_crossover", {"fast": 5, "slow": 30}),
            costs=Costs(0.002, 0.001, 0.001),
            protection=protection,
        )
        for name, value in plain.metrics.items():
            assert row[name] == pytest.approx(value, rel=1e-9, nan_ok=True), name


def test_refused_combinations_have_no_row_in_a_sweep():
    """Fast must be below slow: of four pairs one makes no sense."""
    rows = sweep(market(300), "sma_crossover", {"fast": [5, 20], "slow": [10, 30]})
    assert rows.select("fast", "slow").rows() == [(5, 10), (5, 30), (20, 30)]


def test_refused_combinations_are_nan_where_they_were_asked_for():
    """`evaluate` keeps the order of what was asked."""
    found = evaluate(
        prepare(market(300)), "sma_crossover", [{"fast": 9, "slow": 3}, {"fast": 3, "slow": 9}]
    )
    assert found.refused.tolist() == [True, False]
    assert np.isnan(found.metrics["total_return"][0])
    assert np.isfinite(found.metrics["total_return"][1])


@pytest.mark.parametrize(
    ("name", "grid"),
    [
        ("sma_crossover", {"fast": [2, 3, 4, 9], "slow": [11, 12, 13, 50]}),
        ("ema_crossover", {"fast": [3, 4], "slow": [10, 20]}),
    ],
)
def test_changes_made_in_several_parts_change_no_bit(name, grid, monkeypatch):
    """What fits into the memory for changes at once does not show in the rows."""
    frame = market(2500)
    whole = sweep(frame, name, grid, Conditions(protection=EXITS))
    monkeypatch.setattr("thunes_core.backtest.targets.POOL_BYTES", 20_000)
    assert sweep(frame, name, grid, Conditions(protection=EXITS)).equals(whole)


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_threads_and_batches_change_no_bit(threads, monkeypatch):
    """However the work is divided, the rows are the same."""
    frame, grid = market(800), {"fast": list(range(2, 12)), "slow": list(range(12, 30))}
    whole = sweep(frame, "sma_crossover", grid, Conditions(protection=EXITS), threads=1)
    monkeypatch.setattr("thunes_core.backtest.sweep.BATCH", 7)
    parts = sweep(frame, "sma_crossover", grid, Conditions(protection=EXITS), threads=threads)
    assert parts.equals(whole)


def test_progress_is_told_until_all_is_done():
    """Progress counts combinations up to the whole grid."""
    seen: list[tuple[int, int]] = []
    grid = {"fast": [2, 3], "slow": [10, 20, 30]}
    batches = sweep_batches(
        prepare(market(300)), "sma_crossover", grid, progress=lambda *at: seen.append(at)
    )
    assert sum(len(batch) for batch in batches) == 6
    assert seen[-1] == (6, 6)


@pytest.mark.parametrize(
    ("strategy", "grid", "error", "message"),
    [
        ("sma_crossover", {"quick": [1]}, ParametersInvalid, "expected names among"),
        ("sma_crossover", {"fast": []}, ParametersInvalid, "expected values for every name"),
        ("sma_crossover", {"fast": ["a"]}, ParametersInvalid, "parameters' types"),
        ("sma_crossover", {"stop_loss": [float("nan")]}, ParametersInvalid, "parameters' types"),
        ("no_such", {"fast": [1]}, UnknownName, "expected one of"),
    ],
)
def test_a_wrong_grid_is_told(strategy, grid, error, message):
    """Names, emptiness and types are checked before anything runs."""
    with pytest.raises(error, match=message):
        sweep(market(50), strategy, grid)


def test_heat_map_keeps_the_best_of_each_field():
    """Over the names that are not shown the best counts; an undefined field stays empty."""
    rows = pl.DataFrame(
        {
            "fast": [1, 1, 2, 2],
            "slow": [5, 5, 5, 6],
            "sharpe": [0.5, 0.9, float("nan"), 0.1],
        }
    )
    table = heat_map(rows, x="slow", y="fast")
    assert table.columns == ["fast", "5", "6"]
    assert table.rows() == [(1, 0.9, None), (2, None, 0.1)]
