"""Portfolios on shared cash (semantics §4): cases that fit in the head, and what always holds."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.thunes_core.backtest.markets import HOUR_US, runs, targets, terms
from tests.thunes_core.backtest.markets import bar_arrays as drawn_bars
from thunes_core.backtest.kernel import Terms, flat_book
from thunes_core.backtest.portfolio import backtest_portfolio
from thunes_core.backtest.portfolio_kernel import allowed_share
from thunes_core.backtest.simulate import MINUTE_US, BarArrays, backtest
from thunes_core.domain.limits import (
    Conditions,
    Costs,
    LotRules,
    PortfolioLimits,
    Protection,
)
from thunes_core.errors import BadInput, BarsInvalid, ParametersInvalid

FREE = Conditions(1000.0, Costs(0.0, 0.0, 0.0))
many = settings(max_examples=60, deadline=None, derandomize=True, database=None)


def still(prices: list[float], hours: list[int] | None = None) -> pl.DataFrame:
    """Return hourly bars that stand still at each price, at `hours` or one after the other."""
    return frame([[p, p, p, p] for p in prices], hours)


def frame(rows: list[list[float]], hours: list[int] | None = None) -> pl.DataFrame:
    """Return hourly bars of open, high, low, close."""
    times = np.array(hours or range(len(rows)), np.int64) * HOUR_US
    open_, high, low, close = np.array(rows, float).T
    return of_arrays(BarArrays(times, open_, high, low, close, HOUR_US))


def of_arrays(bars: BarArrays) -> pl.DataFrame:
    """Return arrays of bars as a frame."""
    return pl.DataFrame(
        {
            "interval": "1h",
            "open_time": pl.Series(bars.time).cast(pl.Datetime("us", "UTC")),
            "open": bars.open,
            "high": bars.high,
            "low": bars.low,
            "close": bars.close,
        }
    )


def conditions_of(t: Terms) -> Conditions:
    """Return terms of the kernel as conditions."""
    return Conditions(
        10_000.0,
        Costs(t.taker_fee, t.maker_fee, t.slippage),
        Protection(
            t.stop_loss,
            t.take_profit,
            t.trailing_stop,
            t.trailing_activation,
            round(t.cooldown_us / MINUTE_US),
        ),
        LotRules(t.step_size, t.min_quantity, t.min_notional),
    )


def ones(count: int) -> np.ndarray:
    """Return a target of full exposure."""
    return np.ones(count)


def test_two_symbols_share_the_cash_in_equal_parts():
    """1000 on two symbols: 500 into each."""
    result = backtest_portfolio(
        {"B": still([50, 50, 100]), "A": still([100, 100, 100])},
        {"A": ones(3), "B": ones(3)},
        conditions=FREE,
    )
    assert result.quantities.row(2, named=True) == {"A": 5.0, "B": 10.0}
    assert result.equity["equity"].to_list() == [1000.0, 1000.0, 1500.0]
    assert result.trades["symbol"].to_list() == ["A", "B"]


def test_symbols_are_visited_in_alphabetical_order_while_cash_lasts():
    """A at weight 1 takes all the cash there is; nothing is left for B, whose order is rejected."""
    result = backtest_portfolio(
        {"B": still([100, 100, 100]), "A": still([100, 100, 100])},
        {"A": np.array([1.0, 1, 1]), "B": np.array([1.0, 1, 1])},
        weights={"A": 1.0, "B": 0.0},
        conditions=FREE,
    )
    assert result.quantities.row(2, named=True) == {"A": 10.0, "B": 0.0}
    assert result.rejected_orders == 2


def test_a_weight_is_of_the_equity_of_the_whole_account():
    """B buys half of what the account is worth after A has doubled, as far as the cash goes."""
    result = backtest_portfolio(
        {"A": still([100, 100, 200, 200]), "B": still([100, 100, 100, 100])},
        {"A": ones(4), "B": np.array([0.0, 1, 1, 1])},
        conditions=FREE,
    )
    # 500 in A grow to 1000; equity 1500, half is 750, but 500 are there
    assert result.quantities.row(2, named=True) == {"A": 5.0, "B": 5.0}


def test_the_limit_per_symbol_cuts_an_increase():
    """At most a fifth of the equity in one symbol."""
    result = backtest_portfolio(
        {"A": still([100, 100, 100])},
        {"A": ones(3)},
        conditions=FREE,
        limits=PortfolioLimits(max_symbol_exposure=0.2),
    )
    assert result.quantities["A"].to_list() == [0.0, 2.0, 2.0]


def test_the_limit_in_total_leaves_the_rest_to_the_next():
    """At most 0.8 in total: 0.5 for A, what is left for B."""
    result = backtest_portfolio(
        {"A": still([100, 100, 100]), "B": still([100, 100, 100])},
        {"A": ones(3), "B": ones(3)},
        conditions=FREE,
        limits=PortfolioLimits(max_total_exposure=0.8),
    )
    held = result.quantities.row(2, named=True)
    assert held["A"] == 5.0
    assert held["B"] == pytest.approx(3.0)


def test_the_number_of_positions_refuses_the_third():
    """Two positions are allowed; C is rejected until one is closed."""
    prices = still([100.0] * 5)
    result = backtest_portfolio(
        {"A": prices, "B": prices, "C": prices},
        {"A": np.array([1.0, 1, 0, 0, 0]), "B": ones(5), "C": ones(5)},
        conditions=FREE,
        limits=PortfolioLimits(max_positions=2),
    )
    assert (result.quantities["C"] > 0).to_list() == [False, False, False, True, True]
    assert result.rejected_orders == 2


def test_a_reduction_is_never_refused():
    """Above every limit, half is sold when half is wanted, and all when nothing is."""
    result = backtest_portfolio(
        {"A": still([100, 100, 400, 400, 400]), "B": still([100.0] * 5)},
        {"A": np.array([1.0, 1, 0.5, 0, 0]), "B": np.zeros(5)},
        conditions=FREE,
        limits=PortfolioLimits(max_symbol_exposure=0.5, max_total_exposure=0.5, max_positions=1),
    )
    # 5 A are worth 2000 of 2500; half the weight is 0.25 of 2500
    assert result.quantities["A"].to_list() == [0.0, 5.0, 5.0, 1.5625, 0.0]
    assert result.rejected_orders == 0


def test_cash_of_a_stop_inside_a_bar_is_there_at_the_next_open():
    """B wants in at the bar in which A is stopped; it gets A's money one bar later."""
    result = backtest_portfolio(
        {
            "A": frame([[100] * 4, [100] * 4, [100, 100, 50, 60], [60] * 4]),
            "B": still([10.0] * 4),
        },
        {"A": ones(4), "B": np.array([0.0, 1, 0.5, 0.5])},
        weights={"A": 0.9, "B": 0.1},
        conditions=Conditions(1000.0, FREE.costs, Protection(stop_loss=0.5)),
    )
    assert result.trades.filter(symbol="A")["reason"].to_list() == ["stop_loss"]
    assert result.quantities["B"].to_list() == pytest.approx([0.0, 0.0, 10.0, 2.75])


def test_a_symbol_without_a_bar_keeps_its_price_and_does_not_trade():
    """A has no bar at hour 2: it is valued as before and its exit waits for hour 3."""
    result = backtest_portfolio(
        {"A": still([100, 100, 150], [0, 1, 3]), "B": still([100.0] * 4)},
        {"A": np.array([1.0, 0, 0]), "B": np.zeros(4)},
        conditions=FREE,
    )
    assert result.quantities["A"].to_list() == [0.0, 5.0, 5.0, 0.0]
    assert result.equity["equity"].to_list() == [1000.0, 1000.0, 1000.0, 1250.0]


def test_a_symbol_that_begins_later_is_bought_at_its_second_bar():
    """Its first bar has no decision before it."""
    result = backtest_portfolio(
        {"A": still([100.0] * 4), "B": still([50.0] * 2, [2, 3])},
        {"A": np.zeros(4), "B": ones(2)},
        conditions=FREE,
    )
    assert result.quantities["B"].to_list() == [0.0, 0.0, 0.0, 10.0]


def test_each_symbol_has_its_own_lots():
    """A step for A, none for B."""
    result = backtest_portfolio(
        {"A": still([300.0] * 3), "B": still([300.0] * 3)},
        {"A": ones(3), "B": ones(3)},
        conditions=FREE,
        lots={"A": LotRules(step_size=1.0)},
    )
    assert result.quantities.row(2) == pytest.approx((1.0, 500 / 300))


@many
@given(runs())
def test_one_symbol_alone_is_the_single_run_to_the_bit(given_run):
    """With weight 1 and no limits a portfolio of one is the backtest of one."""
    bars, target, t = given_run
    given_conditions = conditions_of(t)
    whole = backtest_portfolio({"X": of_arrays(bars)}, {"X": target}, conditions=given_conditions)
    single = backtest(
        of_arrays(bars),
        target,
        costs=given_conditions.costs,
        protection=given_conditions.protection,
        lots=given_conditions.lots,
    )
    assert whole.equity["equity"].equals(single.equity["equity"])
    assert whole.trades.drop("symbol").equals(single.trades)
    assert whole.rejected_orders == single.rejected_orders
    for name, value in single.metrics.items():
        assert whole.metrics[name] == pytest.approx(value, rel=1e-12, nan_ok=True), name


def test_limits_that_do_not_bind_take_nothing_away():
    """Not even the last bit of what one symbol may hold: a rounding is no limit."""
    caps = np.ones(2)
    for cash, quantity, price in np.random.default_rng(1).uniform(1.0, 1000.0, (200, 3)):
        book, held = flat_book(cash)._replace(quantity=quantity), quantity * price
        assert allowed_share(book, 1.0, cash + held, price, held, caps) == 1.0


@st.composite
def portfolios(draw):
    """Draw two to four symbols with bars of their own, targets and conditions."""
    names = ["A", "B", "C", "D"][: draw(st.integers(2, 4))]
    bars = {name: draw(drawn_bars(40)) for name in names}
    wanted = {name: draw(targets(len(bars[name].time))) for name in names}
    return bars, wanted, conditions_of(draw(terms()))


@many
@given(portfolios())
def test_shared_cash_is_never_negative_and_trades_explain_equity(given_portfolio):
    """Nobody spends what another has spent, and the end is the start plus every trade's pnl."""
    bars, wanted, conditions = given_portfolio
    result = backtest_portfolio(
        {name: of_arrays(b) for name, b in bars.items()}, wanted, conditions=conditions
    )
    assert result.equity["cash"].min() >= -1e-9 * conditions.cash
    total = conditions.cash + result.trades["pnl"].sum()
    assert result.equity["equity"][-1] == pytest.approx(total, rel=1e-10)


@many
@given(portfolios(), st.integers(1, 30))
def test_cutting_later_times_changes_nothing_earlier(given_portfolio, hours):
    """No bar of any symbol knows of a later one of any other."""
    bars, wanted, conditions = given_portfolio
    until = min(b.time[0] for b in bars.values()) + hours * HOUR_US
    kept = {name: int((b.time < until).sum()) for name, b in bars.items()}
    if min(kept.values()) == 0:
        return
    frames = {name: of_arrays(b) for name, b in bars.items()}
    whole = backtest_portfolio(frames, wanted, conditions=conditions)
    part = backtest_portfolio(
        {name: f[: kept[name]] for name, f in frames.items()},
        {name: w[: kept[name]] for name, w in wanted.items()},
        conditions=conditions,
    )
    assert whole.equity[: len(part.equity)].equals(part.equity)


@pytest.mark.parametrize(
    ("change", "error", "said"),
    [
        ({"bars": {}}, BadInput, "at least one symbol"),
        ({"targets": {"A": [1.0, 1.0]}}, BadInput, "exactly the symbols A, B"),
        ({"weights": {"A": 0.5}}, BadInput, "exactly the symbols A, B"),
        ({"weights": {"A": 0.9, "B": 0.9}}, BadInput, "at most 1 in sum"),
        ({"targets": {"A": [1.0, 1.0], "B": [2.0, 1.0]}}, ParametersInvalid, "in \\[0, 1\\]"),
        (
            {"bars": {"A": still([1, 1]).with_columns(interval=pl.lit("1d")), "B": still([1, 1])}},
            BarsInvalid,
            "one interval",
        ),
    ],
)
def test_what_does_not_fit_together_is_told(change, error, said):
    """Symbols, weights, targets and intervals are checked before the run."""
    given_input = {
        "bars": {"A": still([100, 100]), "B": still([100, 100])},
        "targets": {"A": [1.0, 1.0], "B": [1.0, 1.0]},
        "weights": None,
        **change,
    }
    bars, wanted = given_input["bars"], given_input["targets"]
    with pytest.raises(error, match=said):
        backtest_portfolio(
            bars,
            {name: np.array(values) for name, values in wanted.items()},
            weights=given_input["weights"],
        )
