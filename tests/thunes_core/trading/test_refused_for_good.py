"""What the exchange refuses for good is not asked again at each look; what may pass is."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

import pytest

from tests.thunes_core.trading import test_unprotected
from tests.thunes_core.trading.test_parts import STOP, alarms, bare_of, entered, held, stopped
from tests.thunes_core.trading.test_unprotected import Watched
from tests.worlds import START
from thunes_core.domain.orders import Leg, OrderRequest, OrderStatus, OrderType, Side
from thunes_core.domain.records import OrderRecord
from thunes_core.testnet.refusals import Refused
from thunes_core.trading.refused import (
    MOST_PASSING,
    is_refused_for_good,
    may_pass,
    refused_alike,
    stands_refused,
)
from thunes_core.trading.resolve import NEVER_LEFT
from thunes_core.trading.step import tick

watched = test_unprotected.watched
FOR_GOOD = [
    (-1013, "Market is closed."),
    (-1013, "Filter failure: LOT_SIZE"),
    (-1013, "Filter failure: MARKET_LOT_SIZE"),
    (-2010, "This action is disabled on this account."),
]
SHORT = (-2010, "Account has insufficient balance for requested action.")
EVERY = ("MARKET", "STOP_LOSS")


class Refusing:
    """Let the exchange refuse orders of some types, and count what it is asked for."""

    def __init__(self, watched: Watched, kinds: tuple[str, ...], refusal: tuple[int, str]) -> None:
        self.kinds, self.refusal = kinds, refusal
        self.asked: Counter[str] = Counter()
        self._place = watched.net.exchange.place
        watched.net.exchange.place = self.place

    def place(self, asked: Any, *given: Any, **named: Any) -> Any:
        """Refuse or place."""
        self.asked[str(asked.type)] += 1
        if str(asked.type) in self.kinds:
            raise Refused(*self.refusal)
        return self._place(asked, *given, **named)


def next_minute(watched: Watched) -> Any:
    """Tick a minute later."""
    watched.paused.clear()
    watched.move(watched.net.exchange.clock.now_ms() + 60_000)
    return tick(watched.world, watched.plan)


@pytest.mark.parametrize("refusal", FOR_GOOD, ids=[words for _, words in FOR_GOOD])
def test_what_is_neither_protected_nor_sold_is_asked_for_twice_a_tick(watched, refusal):
    """One alarm, a second of waiting at most, no more requests; it is told as open."""
    bare_of(watched, STOP)
    net = Refusing(watched, EVERY, refusal)
    for stops, seconds in ((4, [1.0]), (2, [])):
        net.asked.clear()
        report = next_minute(watched)
        assert watched.is_open
        assert len(alarms(watched)) == 1
        assert "and so is its sale; the next tick tries again" in alarms(watched)[0]
        assert report.uncertain == ("BTCUSDT",)
        if "MARKET_LOT_SIZE" not in refusal[1]:  # that is made smaller first
            assert net.asked == {"MARKET": 2, "STOP_LOSS": stops}
            assert [one.total_seconds() for one in watched.paused] == seconds


def test_the_tick_in_which_its_sale_is_taken_sells_it(watched):
    """That it was to be closed stands; nothing is remembered against it."""
    bare_of(watched, STOP)
    net = Refusing(watched, EVERY, FOR_GOOD[0])
    next_minute(watched)
    net.kinds = ("STOP_LOSS",)
    report = next_minute(watched)
    assert (watched.is_open, report.uncertain, alarms(watched)) == (False, (), [])


def test_a_balance_that_lags_is_asked_for_at_each_look(watched):
    """It passes: the position is sold in the same tick."""
    bare_of(watched, STOP)
    net = Refusing(watched, EVERY, SHORT)
    honest, looks = watched.pause, []

    def pause(length: Any) -> None:
        looks.append(length)
        net.kinds = EVERY if len(looks) < 5 else ("STOP_LOSS",)
        honest(length)

    watched.pause = pause
    watched.move(watched.net.exchange.clock.now_ms() + 60_000)
    report = tick(watched.world, watched.plan)
    assert (watched.is_open, report.uncertain, len(looks)) == (False, (), 5)
    assert len(alarms(watched)) == 1


@pytest.mark.parametrize("swaps", [True, False], ids=["in one request", "one by one"])
def test_an_exit_that_is_refused_for_good_leaves_the_stop_at_rest(watched, swaps):
    """Asked for twice in its first tick, once in each later one; the stop rests after each."""
    bar = entered(watched, STOP)
    if not swaps:
        watched.net.exchange.market.listing("BTCUSDT").extra = {"cancelReplaceAllowed": False}
    net = Refusing(watched, ("MARKET",), FOR_GOOD[0])
    watched.leave(bar)
    for times in (2, 1, 1):
        assert net.asked["MARKET"] == times
        assert stopped(watched) == [held(watched)]
        assert watched.paused == []
        net.asked.clear()
        next_minute(watched)
    net.kinds = ()
    next_minute(watched)
    assert not watched.is_open
    assert watched.stops() == []


@pytest.mark.parametrize("swaps", [True, False], ids=["in one request", "one by one"])
def test_an_exit_that_no_size_makes_small_enough_leaves_the_stop_whole(watched, swaps):
    """Each smaller one was refused as too large: that teaches nothing of what may rest."""
    bar = entered(watched, STOP)
    if not swaps:
        watched.net.exchange.market.listing("BTCUSDT").extra = {"cancelReplaceAllowed": False}
    net = Refusing(watched, ("MARKET",), (-1013, "Filter failure: MARKET_LOT_SIZE"))
    report = watched.leave(bar)
    for _ in range(2):
        assert 2 < net.asked["MARKET"] < 12
        assert stopped(watched) == [held(watched)]
        assert (report.uncertain, alarms(watched), watched.paused) == ((), [], [])
        net.asked.clear()
        report = next_minute(watched)


@pytest.mark.parametrize("swaps", [True, False], ids=["in one request", "one by one"])
def test_an_exit_refused_for_a_balance_that_lags_is_made_in_the_same_tick(watched, swaps):
    """Asked for again at the next looks, for seven seconds; its stop rests in between."""
    bar = entered(watched, STOP)
    if not swaps:
        watched.net.exchange.market.listing("BTCUSDT").extra = {"cancelReplaceAllowed": False}
    net = Refusing(watched, ("MARKET",), SHORT)
    honest, rests = watched.pause, []

    def pause(length: Any) -> None:
        rests.append(sum(stopped(watched)) == held(watched))
        net.kinds = ("MARKET",) if len(rests) < 3 else ()
        honest(length)

    watched.pause = pause
    report = watched.leave(bar)
    assert (watched.is_open, watched.stops(), report.uncertain) == (False, [], ())
    assert rests == [True] * 3


def test_an_exit_that_a_balance_never_allows_is_left_to_the_next_tick(watched):
    """Five looks; then its stop rests until the next tick."""
    bar = entered(watched, STOP)
    net = Refusing(watched, ("MARKET",), SHORT)
    watched.leave(bar)
    assert net.asked["MARKET"] == MOST_PASSING
    assert sum(one.total_seconds() for one in watched.paused) == 7
    assert stopped(watched) == [held(watched)]


def order(kind: OrderType, code: str = "", why: str = "", minute: int = 1) -> OrderRecord:
    """Return a sale or a stop, rejected where there is a code."""
    leg = Leg.EXIT if kind is OrderType.MARKET else Leg.STOP
    request = OrderRequest("BTCUSDT", Side.SELL, kind, 1, f"th-{minute}", leg, reduces=True)
    status = OrderStatus.REJECTED if code else OrderStatus.NEW
    at = START.replace(minute=minute)
    return OrderRecord(request, "s", START, status, at, code=code, why=f"order th-{minute}: {why}")


def sale(code: str = "-1013", why: str = "closed", minute: int = 1) -> OrderRecord:
    """Return a sale."""
    return order(OrderType.MARKET, code, why, minute)


def stop(code: str = "-1013", minute: int = 1) -> OrderRecord:
    """Return a stop."""
    return order(OrderType.STOP_LOSS, code, "closed", minute)


def test_what_passes_by_itself_is_not_refused_for_good():
    """Nor is what never left, or what we held back."""
    assert is_refused_for_good(sale())
    for code in ("-1015", "-1021", NEVER_LEFT, "held_back", ""):
        assert not is_refused_for_good(sale(code))
        assert may_pass([sale(code)], START) == code.startswith("-")
    assert not is_refused_for_good(sale("-2010", "Account has insufficient balance"))


def test_what_may_pass_is_tried_so_often_in_a_tick():
    """By the newest sale; what was refused in an earlier tick is not counted."""
    lag = sale("-2010", "Account has insufficient balance")
    assert may_pass([lag] * (MOST_PASSING - 1), START)
    assert not may_pass([lag] * MOST_PASSING, START)
    assert may_pass(
        [lag] * MOST_PASSING + [replace(lag, intended_at=START.replace(minute=5))],
        START.replace(minute=2),
    )
    assert not may_pass([lag, sale()], START)
    assert not may_pass([], START)


def test_two_refusals_are_alike_by_code_and_words_whatever_the_order_is_called():
    """Another reason is worth another try."""
    assert refused_alike([sale(minute=1), stop(), sale(minute=2)])
    assert not refused_alike([sale()])
    assert not refused_alike([sale(), sale(why="other")])
    assert not refused_alike([sale(), sale("-2010")])


def test_it_stands_refused_only_after_protection_was_tried_between_two_sales():
    """In this tick: what was refused before it may be taken now."""
    since = START.replace(minute=1)
    assert stands_refused([sale(), stop(), sale()], since)
    others: list[list[OrderRecord]] = [
        [sale(), sale()],
        [sale(), stop(""), sale()],
        [sale(), stop(NEVER_LEFT), sale()],
        [sale(), stop(), sale(), stop()],
        [replace(sale(), intended_at=START), stop(), sale()],
        [],
    ]
    assert [stands_refused(one, since) for one in others] == [False] * len(others)
