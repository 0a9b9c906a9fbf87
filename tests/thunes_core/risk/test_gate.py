"""The gate: what it refuses, with which code, and that it never refuses an exit."""

from __future__ import annotations

import ast
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import thunes_core
from tests.worlds import HOUR, LOTS, START
from thunes_core.domain.instrument import Instrument
from thunes_core.domain.limits import RiskLimits
from thunes_core.domain.orders import (
    ApprovedOrder,
    Leg,
    OrderRequest,
    OrderType,
    Refusal,
    RefusedOrder,
    Side,
)
from thunes_core.domain.portfolio import Account, Balance, Position, TradingState
from thunes_core.domain.records import StateRecord
from thunes_core.risk.facts import RiskFacts
from thunes_core.risk.gate import judge

INSTRUMENT = Instrument("BTCUSDT", "BTC", "USDT", filters=LOTS)
BUY = OrderRequest("BTCUSDT", Side.BUY, OrderType.MARKET, Decimal(1), "id", Leg.ENTRY, level=1.0)
SELL = replace(BUY, side=Side.SELL, leg=Leg.EXIT, reduces=True, level=0.0)
RICH = Account({"USDT": Balance("USDT", Decimal(10_000))})


def state(name: str) -> StateRecord:
    """Return a trading state."""
    return StateRecord(TradingState(name), "because", "me", START)


FREE = RiskFacts(
    state=state("ACTIVE"),
    limits=RiskLimits(
        max_order_notional=Decimal(1000),
        max_symbol_exposure=Decimal(1500),
        max_total_exposure=Decimal(2000),
    ),
    instrument=INSTRUMENT,
    price=Decimal(100),
    now=START,
    strategy="s",
    prices={"BTCUSDT": Decimal(100), "ETHUSDT": Decimal(10)},
    account=RICH,
)


def holding(symbol: str, quantity: str, strategy: str = "other") -> Position:
    """Return an open book."""
    return Position(strategy, symbol, cash=Decimal(0), quantity=Decimal(quantity))


def test_a_request_within_all_limits_is_approved():
    """The approved order carries the request and the moment."""
    assert judge(BUY, FREE) == ApprovedOrder(BUY, START)


REFUSED = [
    (Refusal.HALTED, {"state": state("HALTED")}, "trading is HALTED by me: because"),
    (Refusal.REDUCING, {"state": state("REDUCING")}, "trading is REDUCING by me: because"),
    (Refusal.NOT_ARMED, {"armed": False}, "need arming"),
    (Refusal.BREAKER_OPEN, {"breaker_open": True}, "breaker is open"),
    (Refusal.FILTER, {"instrument": replace(INSTRUMENT, status="BREAK")}, "in status BREAK"),
    (Refusal.FILTER, {"price": Decimal("1")}, "NOTIONAL"),
    (Refusal.UNRESOLVED_ORDER, {"unresolved": {"BTCUSDT": "x is UNKNOWN"}}, "x is UNKNOWN"),
    (Refusal.STALE_BAR, {"stale": True}, "older than one interval"),
    (Refusal.BAD_BARS, {"bad_bars": "a spike"}, "a spike"),
    (
        Refusal.COOL_DOWN,
        {"positions": (replace(holding("BTCUSDT", "0", "s"), cooldown_until=START + HOUR),)},
        "cooling down after a loss until 2025-01-01T01:00:00+00:00",
    ),
    (
        Refusal.MAX_POSITIONS,
        {"positions": tuple(holding(f"X{i}USDT", "1") for i in range(3))},
        "3 positions are open, 3 are allowed",
    ),
    (
        Refusal.ORDER_NOTIONAL,
        {"price": Decimal("1000.01")},
        "the order would be 1000.01, 1000 is allowed",
    ),
    (
        Refusal.SYMBOL_EXPOSURE,
        {"positions": (holding("BTCUSDT", "14.01"),)},
        "exposure in BTCUSDT would be 1501.00, 1500 is allowed",
    ),
    (
        Refusal.TOTAL_EXPOSURE,
        {"positions": (holding("ETHUSDT", "190.1"),)},
        "total exposure would be 2001.0, 2000 is allowed",
    ),
    (
        Refusal.CORRELATED_EXPOSURE,
        {
            "positions": (holding("ETHUSDT", "41"),),
            "correlations": {"ETHUSDT": 0.8},
            "limits": RiskLimits(max_correlated_exposure=Decimal(500)),
        },
        "exposure in what moves like BTCUSDT would be 510, 500 is allowed",
    ),
    (
        Refusal.ORDER_RATE,
        {"entries_last_hour": 2, "limits": RiskLimits(max_entries_per_hour=2)},
        "2 entries were sent within the hour, 2 are allowed",
    ),
    (
        Refusal.PRICE_BAND,
        {"bar_close": Decimal(90), "limits": RiskLimits(price_band=Decimal("0.1"))},
        "100 is more than 10.00% away from the close of 90 decided on",
    ),
    (
        Refusal.STOP_OUT_GUARD,
        {"stop_outs": 3, "limits": RiskLimits(max_stop_outs=3)},
        "3 positions were stopped out at a loss within 24 h, 3 are allowed",
    ),
    (
        Refusal.INSUFFICIENT_BALANCE,
        {"account": Account({"USDT": Balance("USDT", Decimal("99.99"), Decimal(500))})},
        "needs 100 USDT, 99.99 are free",
    ),
]


@pytest.mark.parametrize(("code", "changed", "why"), REFUSED)
def test_each_limit_refuses_an_entry_with_its_code_and_sentence(code, changed, why):
    """One changed fact, one refusal."""
    verdict = judge(BUY, replace(FREE, **changed))
    assert isinstance(verdict, RefusedOrder)
    assert verdict.code is code
    assert why in verdict.why


def test_every_code_of_the_gate_is_tested_above():
    """A new check cannot be added without a case here."""
    from thunes_core.risk.checks import ALWAYS, ENTRIES

    assert {code for code, _check in ALWAYS + ENTRIES} == {code for code, *_rest in REFUSED}


def test_limits_are_reached_exactly_before_they_refuse():
    """An order that lands on each limit passes."""
    at_limit = replace(
        FREE,
        limits=RiskLimits(
            max_order_notional=Decimal(100),
            max_symbol_exposure=Decimal(200),
            max_total_exposure=Decimal(300),
            max_correlated_exposure=Decimal(300),
            max_entries_per_hour=2,
            price_band=Decimal("0.25"),
            max_stop_outs=3,
        ),
        correlations={"ETHUSDT": 0.9, "XUSDT": 0.5},
        entries_last_hour=1,
        bar_close=Decimal(80),
        stop_outs=2,
        positions=(holding("BTCUSDT", "1"), holding("ETHUSDT", "10")),
        account=Account({"USDT": Balance("USDT", Decimal(100))}),
    )
    assert isinstance(judge(BUY, at_limit), ApprovedOrder)


def test_adding_to_an_open_book_is_no_new_position():
    """The count of positions limits new ones only."""
    books = (holding("BTCUSDT", "1", "s"), holding("XUSDT", "1"), holding("YUSDT", "1"))
    limits = replace(FREE.limits, max_total_exposure=Decimal(10_000))
    assert isinstance(judge(BUY, replace(FREE, positions=books, limits=limits)), ApprovedOrder)


def test_dust_is_no_open_position_but_counts_as_exposure():
    """Tiny remainders do not use up the allowed number."""
    dusty = tuple(
        Position("o", f"X{i}USDT", cash=Decimal(0), dust=Decimal("0.1")) for i in range(5)
    )
    assert isinstance(judge(BUY, replace(FREE, positions=dusty)), ApprovedOrder)


def test_halted_refuses_even_an_exit():
    """HALTED is cancels only."""
    verdict = judge(SELL, replace(FREE, state=state("HALTED")))
    assert isinstance(verdict, RefusedOrder)
    assert verdict.code is Refusal.HALTED


def test_an_exit_that_no_filter_allows_is_refused_by_the_filters_name():
    """An impossible order is not sent."""
    verdict = judge(replace(SELL, quantity=Decimal("0.0005")), FREE)
    assert isinstance(verdict, RefusedOrder)
    assert verdict.code is Refusal.FILTER
    assert "LOT_SIZE" in verdict.why


money = st.integers(0, 10**7).map(lambda n: Decimal(n) / 100)
books = st.builds(
    Position,
    strategy=st.sampled_from(["s", "other"]),
    symbol=st.sampled_from(["BTCUSDT", "ETHUSDT"]),
    cash=money,
    quantity=money,
    cooldown_until=st.none() | st.just(START + timedelta(days=9)),
)


@given(
    name=st.sampled_from(["ACTIVE", "REDUCING"]),
    limits=st.builds(
        RiskLimits,
        daily_loss_quote=money,
        max_positions=st.integers(0, 3),
        max_order_notional=money,
        max_symbol_exposure=money,
        max_total_exposure=money,
        max_correlated_exposure=money,
        max_entries_per_hour=st.integers(0, 3),
        price_band=st.sampled_from([Decimal(0), Decimal("0.01")]),
        max_stop_outs=st.integers(0, 3),
    ),
    counts=st.integers(0, 9),
    bar_close=money,
    positions=st.lists(books, max_size=5).map(tuple),
    stale=st.booleans(),
    armed=st.booleans(),
    breaker_open=st.booleans(),
    bad_bars=st.sampled_from(["", "a spike"]),
    unresolved=st.sampled_from([{}, {"BTCUSDT": "unknown"}]),
    free=money,
    quantity=st.integers(50, 9_000_000).map(lambda n: Decimal(n) / 1000),
)
def test_an_exit_is_never_refused(
    name,
    limits,
    counts,
    bar_close,
    positions,
    stale,
    armed,
    breaker_open,
    bad_bars,
    unresolved,
    free,
    quantity,
):
    """No limit, loss, cool-down, breaker, freshness or arming stands before the door."""
    facts = replace(
        FREE,
        state=state(name),
        limits=limits,
        positions=positions,
        stale=stale,
        armed=armed,
        breaker_open=breaker_open,
        bad_bars=bad_bars,
        unresolved=unresolved,
        account=Account({"USDT": Balance("USDT", free)}),
        entries_last_hour=counts,
        stop_outs=counts,
        bar_close=bar_close,
        correlations={"ETHUSDT": 1.0},
        pending={("other", "ETHUSDT"): free},
    )
    assert isinstance(judge(replace(SELL, quantity=quantity), facts), ApprovedOrder)


def test_only_the_gate_makes_approved_orders():
    """No other module of the package calls the class."""
    root = Path(thunes_core.__file__).parent.parent
    makers = {
        path.relative_to(root).as_posix()
        for package in ("thunes_core", "thunes_pipelines")
        for path in (root / package).rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "ApprovedOrder"
    }
    assert makers == {"thunes_core/risk/gate.py"}
