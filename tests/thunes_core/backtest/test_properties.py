"""What holds for every market, target and setting (semantics §3)."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.thunes_core.backtest.markets import entries, runs
from tests.thunes_core.backtest.uncompiled import build, simulation
from thunes_core.backtest import kernel
from thunes_core.backtest.simulate import BarArrays, run_arrays
from thunes_core.domain.limits import LimitEntry
from thunes_core.trading.rules import OPEN, SIGNAL, TAKE_PROFIT

PLAIN = simulation(build())
many = settings(max_examples=150, deadline=None, derandomize=True, database=None)


def cut(bars: BarArrays, length: int) -> BarArrays:
    """Return the first `length` bars."""
    return BarArrays(*(column[:length] for column in bars[:5]), bars.interval_us)


@many
@given(runs(), entries())
def test_cash_is_never_negative(given_run, entry):
    """What is bought was there to spend, but for the last bits of floating point."""
    run = run_arrays(*given_run, entry=entry)
    assert run.cash.min() >= -1e-9 * run.start_cash


@many
@given(runs(), entries())
def test_equity_is_start_plus_the_pnl_of_all_trades(given_run, entry):
    """Cash and position at the end equal what the list of trades says was won and lost."""
    run = run_arrays(*given_run, entry=entry)
    total = run.start_cash + run.trades[:, kernel.PNL].sum()
    assert np.isclose(run.equity[-1], total, rtol=1e-12)


@many
@given(runs())
def test_equity_while_flat_is_start_plus_the_trades_before(given_run):
    """At every flat close the equity is cash, and cash is explained by the closed trades."""
    run = run_arrays(*given_run)
    ends = run.bars.time + run.bars.interval_us
    for u in np.flatnonzero(run.quantity == 0.0):
        done = run.trades[: run.closed, kernel.EXIT_TIME] <= ends[u]
        done &= run.trades[: run.closed, kernel.ENTRY_TIME] <= run.bars.time[u]
        assert np.isclose(
            run.equity[u], run.start_cash + run.trades[: run.closed, kernel.PNL][done].sum()
        )


@many
@given(runs())
def test_position_moves_only_at_the_open_after_a_change_or_a_protective_exit(given_run):
    """Quantity rises or falls in part only where the target of the bar before asks for it."""
    bars, target, terms = given_run
    run = run_arrays(bars, target, terms)
    held = np.diff(run.quantity, prepend=0.0)
    for u in np.flatnonzero(held > 0):
        assert target[u - 1] > 0.0


@many
@given(runs(filters=False), st.sampled_from(["taker_fee", "maker_fee", "slippage"]))
def test_more_cost_never_yields_more_profit_on_the_same_trades(given_run, cost):
    """Without exits that costs could move, dearer trading ends with no more money."""
    bars, target, terms = given_run
    bare = terms._replace(
        stop_loss=0.0, take_profit=0.0, trailing_stop=0.0, cooldown_us=0.0, **{cost: 0.0}
    )
    cheap = run_arrays(bars, np.round(target), bare)
    dear = run_arrays(bars, np.round(target), bare._replace(**{cost: 0.01}))
    assert dear.equity[-1] <= cheap.equity[-1] * (1 + 1e-12)


@many
@given(runs())
def test_no_fill_outside_the_bar_apart_from_slippage(given_run):
    """Every exit and every single entry is a price that its bar traded."""
    bars, target, terms = given_run
    run = run_arrays(bars, np.round(target), terms)
    for trade in run.trades:
        u = np.searchsorted(bars.time, trade[kernel.ENTRY_TIME])
        paid = trade[kernel.SPENT] / trade[kernel.BOUGHT]
        assert np.isclose(paid, bars.open[u] * (1 + terms.slippage), rtol=1e-12)
        if trade[kernel.REASON] != OPEN:
            assert exit_was_traded(bars, trade, terms.slippage)


def exit_was_traded(bars: BarArrays, trade: np.ndarray, slippage: float) -> bool:
    """True when the exit's price before slippage lies in the bar at whose open or end it was."""
    kept = 1.0 if trade[kernel.REASON] == TAKE_PROFIT else 1.0 - slippage
    price = trade[kernel.RECEIVED] / trade[kernel.SOLD] / kept
    time = trade[kernel.EXIT_TIME]
    at_open = np.isin(bars.time, time) & np.isclose(bars.open, price, rtol=1e-12)
    inside = bars.time + bars.interval_us == time
    inside &= (bars.low * (1 - 1e-12) <= price) & (price <= bars.high * (1 + 1e-12))
    return bool((at_open | (inside & (trade[kernel.REASON] != SIGNAL))).any())


@many
@given(runs(), entries(), st.data())
def test_cutting_later_bars_changes_nothing_earlier(given_run, entry, data):
    """No bar knows of a later one."""
    bars, target, terms = given_run
    length = data.draw(st.integers(1, len(bars.time)))
    whole = run_arrays(bars, target, terms, entry=entry)
    part = run_arrays(cut(bars, length), target[:length], terms, entry=entry)
    assert np.array_equal(whole.cash[:length], part.cash)
    assert np.array_equal(whole.quantity[:length], part.quantity)
    assert np.array_equal(whole.trades[: part.closed], part.trades[: part.closed])


@many
@given(runs())
def test_a_limit_entry_never_pays_more_than_its_limit(given_run):
    """Every entry is at or below the close decided on, however deep the order rests."""
    bars, target, terms = given_run
    run = run_arrays(bars, np.round(target), terms, entry=LimitEntry(0.01, 3))
    for trade in run.trades:
        u = np.searchsorted(bars.time, trade[kernel.ENTRY_TIME])
        limits = bars.close[max(u - 3, 0) : u] * 0.99
        assert trade[kernel.SPENT] / trade[kernel.BOUGHT] <= limits.max() * (1 + 1e-12)
        assert bars.low[u] < limits.max()


@many
@given(runs())
def test_two_runs_are_equal_to_the_bit(given_run):
    """The same input gives the same bytes."""
    first, second = run_arrays(*given_run), run_arrays(*given_run)
    assert first.cash.tobytes() == second.cash.tobytes()
    assert first.trades.tobytes() == second.trades.tobytes()


@many
@given(runs(max_size=40))
def test_compiled_and_plain_python_are_equal_to_the_bit(given_run):
    """Compiling changes no result: no fast-math, no fused operations."""
    compiled, plain = run_arrays(*given_run), PLAIN(*given_run, 10_000.0)
    assert compiled.cash.tobytes() == plain.cash.tobytes()
    assert compiled.trades.tobytes() == plain.trades.tobytes()
    assert (compiled.rejected, compiled.still_open) == (plain.rejected, plain.still_open)


@many
@given(runs(filters=False))
def test_four_times_the_cash_gives_four_times_the_equity(given_run):
    """Without lot rules the size of the account does not matter."""
    small, large = run_arrays(*given_run), run_arrays(*given_run, cash=40_000.0)
    assert np.array_equal(small.equity * 4.0, large.equity)
