"""While the fate of a sale, or of a stop, is not known, other protection locks the same coins."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import pytest

from tests.thunes_core.testnet.calls import order
from tests.thunes_core.trading import test_unprotected
from tests.thunes_core.trading.test_exits_one_by_one import CANCEL, ORDER, apart, exits, sales
from tests.thunes_core.trading.test_unprotected import BOOK, LISTS, OCO, SWAP, Watched
from thunes_core.domain.instrument import Instrument
from thunes_core.domain.limits import Protection
from thunes_core.domain.orders import OrderStatus, Side
from thunes_core.domain.parameters import study_key
from thunes_core.domain.records import OrderRecord
from thunes_core.testnet.faults import FaultKind
from thunes_core.testnet.liquidity import Book, Depth
from thunes_core.testnet.refusals import rejected
from thunes_core.trading import in_doubt
from thunes_core.trading.resolve import NOT_EXECUTED
from thunes_core.trading.step import tick

watched = test_unprotected.watched
SETTLE = timedelta(seconds=20)
BOTH_WAYS = [FaultKind.DROP_AFTER, FaultKind.ERROR_AFTER, FaultKind.GARBAGE]


def protection(watched: Watched) -> list[OrderRecord]:
    """Return our records of the protection asked for since the last decision."""
    asked = watched.ledger.orders_of(*BOOK, watched.ledger.position(*BOOK).last_bar)
    return [one for one in asked if one.request.rests]


def sold(watched: Watched) -> Decimal:
    """Return how much was sold at the exchange."""
    orders = watched.net.exchange.records.orders("BTCUSDT")
    return sum((one.executed for one in orders if not one.is_buy), Decimal(0))


def bought(watched: Watched) -> Decimal:
    """Return what was bought, fees taken off, in whole lots."""
    lot = Decimal("0.00001")
    return watched.ledger.position(*BOOK).quantity // lot * lot


def refuse_the_next(watched: Watched) -> None:
    """Let the exchange refuse one new order, whatever came with it."""
    exchange, place = watched.net.exchange, watched.net.exchange.place

    def refuse(_asked: object) -> None:
        exchange.place = place
        raise rejected("planted")

    exchange.place = refuse


def nothing_is_left(watched: Watched, held: Decimal) -> None:
    """All was sold once, on both sides, and nothing rests."""
    assert not watched.is_open
    assert sold(watched) == held
    assert watched.stops() == []
    assert watched.ledger.open_orders() == []


@pytest.mark.parametrize("lag_ms", [0, 3_000])
@pytest.mark.parametrize("kind", [FaultKind.DROP, FaultKind.ERROR])
def test_a_lost_sale_is_covered_until_it_is_made_anew(watched, kind, lag_ms):
    """No second is bare; after the settle time the stop gives way to the sale, under another id."""
    bar = apart(watched)
    held = bought(watched)
    watched.net.exchange.conditions.lag_ms = lag_ms
    watched.fail(kind, ORDER, status=504)
    watched.leave(bar)
    assert watched.bare_seconds == 0
    assert len(sales(watched)) == 1
    assert [one.code for one in exits(watched)] == [NOT_EXECUTED, ""]
    (stop,) = protection(watched)
    assert stop.status is OrderStatus.CANCELED
    first, second = (one.submitted_at for one in exits(watched))
    assert second - first > watched.broker.settle_time
    nothing_is_left(watched, held)


@pytest.mark.parametrize("lag_ms", [0, 3_000])
@pytest.mark.parametrize("kind", BOTH_WAYS)
def test_a_sale_that_was_executed_leaves_no_protection_behind(watched, kind, lag_ms):
    """Where reads lag the stop is asked for, and refused: its coins are gone."""
    bar = apart(watched)
    held = bought(watched)
    watched.net.exchange.conditions.lag_ms = lag_ms
    watched.fail(kind, ORDER, status=504)
    watched.leave(bar)
    assert [one.status for one in protection(watched)] == [OrderStatus.REJECTED] * bool(lag_ms)
    assert len([one for one in exits(watched) if one.submitted_at]) == 1
    nothing_is_left(watched, held)


def test_a_sale_that_comes_after_the_stop_is_refused_for_its_coins(watched):
    """Executed two seconds later, it finds them locked: one sale, made anew when that is sure."""
    bar = apart(watched)
    held = bought(watched)
    watched.fail(FaultKind.LATE, ORDER, seconds=2.0)
    watched.leave(bar)
    assert watched.bare_seconds == 0
    assert len(sales(watched)) == 1
    nothing_is_left(watched, held)


def test_a_late_sale_finds_nothing_after_the_stop_went_off(watched):
    """The price falls through the stop while the sale is under way: sold once, by the stop."""
    bar = apart(watched)
    held = bought(watched)
    watched.pauses = False
    watched.fail(FaultKind.LATE, ORDER, seconds=4.0)
    watched.leave(bar)
    (stop,) = watched.stops()
    with watched.net.exchange.lock:
        watched.net.exchange.fill(
            stop, Decimal(90), stop.quantity, watched.net.exchange.present_ms, is_maker=False
        )
    watched.pauses = True
    watched.pause(timedelta(seconds=1))
    tick(watched.world, watched.plan)
    assert sales(watched) == []
    nothing_is_left(watched, held)


@pytest.mark.parametrize("kind", [FaultKind.DROP, *BOTH_WAYS])
def test_neither_sale_nor_stop_has_an_answer(watched, kind):
    """Both are asked after; the sale is made anew once both are certain, and once only."""
    bar = apart(watched)
    held = bought(watched)
    watched.fail(FaultKind.DROP, ORDER)
    watched.fail(kind, ORDER, skip=0)
    watched.leave(bar)
    assert len(protection(watched)) == 1
    assert len(sales(watched)) == 1
    settle = SETTLE.total_seconds()
    assert watched.bare_seconds <= (settle + 2 if kind is FaultKind.DROP else 0)
    nothing_is_left(watched, held)


def test_a_stop_that_could_not_leave_is_asked_for_at_the_next_look(watched):
    """429 to the stop: nothing was done, so that it may be asked for again."""
    bar = apart(watched)
    held = bought(watched)
    watched.fail(FaultKind.DROP, ORDER)
    watched.fail(FaultKind.THROTTLE, ORDER)
    watched.leave(bar)
    assert watched.bare_seconds <= 2
    nothing_is_left(watched, held)


def test_a_refused_stop_is_not_asked_for_again_of_the_same_sale(watched):
    """It may be refused because the sale came."""
    bar = apart(watched)
    watched.fail(FaultKind.DROP, ORDER)
    watched.fail(FaultKind.REFUSE, ORDER)
    watched.leave(bar)
    assert len(protection(watched)) == 1
    assert not watched.is_open


def foreign_coins(watched: Watched) -> None:
    """Let somebody else's coins lie in the account."""
    watched.net.exchange.deposit("BTC", Decimal("0.00002"))
    watched.ledger.accept_balance(
        "BTC", watched.net.exchange.wallet.total("BTC"), watched.market.server_time(), "planted"
    )


def foreign_buy(watched: Watched) -> None:
    """Let somebody else's order wait that may bring coins at any time."""
    order(watched.net.exchange, "BUY", "LIMIT", quantity="1", price="50", timeInForce="GTC")


def another_book(watched: Watched) -> None:
    """Let another strategy trade the same coins."""
    other = study_key("donchian_breakout", "BTCUSDT", "1h")
    watched.plan = replace(watched.plan, studies=(*watched.plan.studies, other))


def no_promise(watched: Watched) -> None:
    """Let the exchange not promise that a stop holds its coins."""
    watched.broker.locks_coins = False


@pytest.mark.parametrize("spare", [foreign_coins, foreign_buy, another_book, no_promise])
def test_where_other_coins_may_be_sold_instead_nothing_is_put_beside_a_sale(watched, spare):
    """Both could execute then: the position stands bare until the sale is certain."""
    bar = apart(watched)
    spare(watched)
    watched.fail(FaultKind.DROP, ORDER)
    watched.leave(bar)
    assert protection(watched) == []
    settle = SETTLE.total_seconds()
    assert settle < watched.bare_seconds <= settle + 2
    assert (watched.is_open, len(sales(watched))) == (False, 1)


def test_of_a_sale_that_was_done_in_part_the_rest_is_protected(watched):
    """A thin market and no answer: the stop for all is refused, the one for the rest is placed."""
    bar = apart(watched)
    held = bought(watched)
    watched.net.exchange.book = Book(Depth(level_quote=20, levels=5))
    watched.fail(FaultKind.DROP_AFTER, ORDER)
    watched.leave(bar)
    assert Decimal(0) < sold(watched) < held
    stops = [one for one in watched.stops() if one.asked.is_stop]
    assert sum(one.quantity for one in stops) == held - sold(watched)
    assert watched.bare_seconds <= 2


@pytest.mark.parametrize("lag_ms", [0, 3_000])
def test_a_swap_that_only_cancelled_and_was_not_answered_is_covered(watched, lag_ms):
    """Of cancel and sale in one request the second failed: covered once reads show that."""
    bar = watched.enter()
    held = bought(watched)
    watched.net.exchange.conditions.lag_ms = lag_ms
    refuse_the_next(watched)
    watched.fail(FaultKind.DROP_AFTER, SWAP)
    watched.leave(bar)
    assert watched.bare_seconds == (4 if lag_ms else 0)
    assert len(sales(watched)) == 1
    nothing_is_left(watched, held)


@pytest.mark.parametrize("lag_ms", [0, 3_000])
def test_a_move_that_only_cancelled_and_was_not_answered_is_covered(watched, lag_ms):
    """Of a stop that moves the old one is gone, of the new one nothing is known."""
    watched.plan = replace(watched.plan, protection=Protection(trailing_stop=0.04))
    bar = watched.enter()
    watched.net.exchange.conditions.lag_ms = lag_ms
    refuse_the_next(watched)
    watched.fail(FaultKind.DROP_AFTER, SWAP)
    watched.tick_at(bar + 1)
    assert watched.bare_seconds == (4 if lag_ms else 0)
    assert len(watched.stops()) == 1
    assert watched.ledger.open_orders()[0].client_order_id == watched.stops()[0].client_id
    assert watched.is_open


@pytest.mark.parametrize("kind", [FaultKind.DROP, FaultKind.DROP_AFTER, FaultKind.LATE])
def test_a_pair_that_had_no_answer_is_covered_by_another(watched, kind):
    """One of them rests, whichever the exchange heard first."""
    watched.fail(FaultKind.REFUSE, LISTS, times=2)
    watched.fail(kind, OCO, seconds=2.0)
    watched.enter()
    assert watched.bare_seconds == 0
    assert len(watched.stops()) == 2
    assert watched.is_open


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_crash_after_the_sale_was_lost_is_covered_by_the_next_tick(watched, when):
    """What the next process finds unknown it covers, or finds covered."""
    bar = apart(watched)
    held = bought(watched)
    watched.pauses = False
    honest = watched.broker.submit

    def submit(approved: Any) -> object:
        if not approved.request.rests:
            watched.fail(FaultKind.DROP, ORDER)
            return honest(approved)
        if when == "after":
            honest(approved)
        raise KeyboardInterrupt

    watched.broker.submit = submit
    with pytest.raises(KeyboardInterrupt):
        watched.leave(bar)
    watched.broker.submit = honest
    watched.pauses = True
    tick(watched.world, watched.plan)
    assert watched.bare_seconds <= (SETTLE.total_seconds() + 2 if when == "before" else 0)
    assert len(sales(watched)) == 1
    nothing_is_left(watched, held)


def test_a_stop_whose_cancel_had_no_answer_gets_no_other_beside_it(watched):
    """It still holds the coins: nothing is asked for in vain."""
    bar = apart(watched)
    watched.fail(FaultKind.DROP, CANCEL, times=2)
    watched.leave(bar)
    assert protection(watched) == []
    assert watched.bare_seconds == 0


@pytest.mark.parametrize(
    ("symbol", "side", "brings"),
    [
        ("BTCUSDT", Side.BUY, True),
        ("BTCUSDT", Side.SELL, False),
        ("ETHBTC", Side.SELL, True),
        ("ETHBTC", Side.BUY, False),
        ("ETHUSDT", Side.BUY, False),
    ],
)
def test_coins_come_by_what_buys_them_and_by_what_is_paid_in_them(symbol, side, brings):
    """Anybody's order that rests may bring them at any moment."""
    resting = [SimpleNamespace(symbol=symbol, side=side)]
    desk = SimpleNamespace(broker=SimpleNamespace(open_orders=lambda: resting))
    assert in_doubt._may_come(desk, "BTC") is brings


def test_a_book_of_another_symbol_deals_in_the_coins_it_is_paid_in():
    """Its sale brings them as a buy does."""
    found = {s: Instrument(s, s[:3], s[3:]) for s in ("BTCUSDT", "ETHBTC", "ETHUSDT")}
    desk = SimpleNamespace(instruments=found)
    assert [in_doubt._deals_in(desk, symbol, "BTC") for symbol in (*found, "gone")] == [
        True,
        True,
        False,
        False,
    ]
