"""An exit swaps part after part for its sale: what is not sold yet stays protected."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from tests.thunes_core.trading import test_unprotected
from tests.thunes_core.trading.test_parts import (
    PAIR,
    STOP,
    SWAP,
    alarms,
    bare_of,
    held,
    limit,
    rests,
    stopped,
)
from tests.thunes_core.trading.test_unprotected import BOOK, Watched
from tests.worlds import START
from thunes_core.domain.orders import OrderStatus
from thunes_core.testnet.faults import FaultKind
from thunes_core.trading.coins import uncovered
from thunes_core.trading.portions import giving_way, portion
from thunes_core.trading.resolve import NOT_EXECUTED
from thunes_core.trading.step import tick

CANCEL = "DELETE /api/v3/order"
watched = test_unprotected.watched


def in_parts(watched: Watched, protection: Any = STOP, most: str = "300") -> int:
    """Hold a position that rests in parts; return the bar."""
    bar = bare_of(watched, protection)
    limit(watched, most)
    watched.move(watched.net.exchange.clock.now_ms() + 60_000)
    tick(watched.world, watched.plan)
    assert len(stopped(watched)) >= 2
    assert sum(stopped(watched)) == held(watched)
    return bar


def bare(watched: Watched) -> Decimal:
    """Return what the account holds now without a stop, in base units and whole lots."""
    total = watched.net.exchange.wallet.total("BTC")
    return (total - sum(stopped(watched))).quantize(Decimal("0.00001"), "ROUND_DOWN")


def after_each_answer(watched: Watched, look: Callable[[], Any]) -> list[Any]:
    """Look after each answer that the exchange gives; return what was seen."""
    seen = list[Any]()
    hooks = watched.broker.client.session.hooks["response"]
    hooks.append(lambda *_given, **_named: seen.append(look()))
    return seen


def asked(watched: Watched, door: str) -> list[str]:
    """Return the requests that follow whose method and path begin with `door`."""
    found = list[str]()

    def note(response: Any, *_given: Any, **_named: Any) -> None:
        path = response.request.url.split("?")[0].split("/", 3)[3]
        if f"{response.request.method} /{path}".startswith(door):
            found.append(path)

    watched.broker.client.session.hooks["response"].append(note)
    return found


def sale_records(watched: Watched) -> list[Any]:
    """Return our records of the sales at the market of the last decided bar."""
    book = watched.ledger.position(*BOOK)
    made = watched.ledger.orders_of(*BOOK, book.last_bar)
    return [one for one in made if one.request.reduces and not one.request.rests]


@pytest.mark.parametrize("protection", [STOP, PAIR], ids=["stop", "pair"])
def test_each_part_gives_way_to_the_sale_of_its_own_size(watched, protection):
    """One request for each; after every answer all that is held stands behind a stop."""
    bar = in_parts(watched, protection, "450" if protection is PAIR else "300")
    parts, before = sorted(stopped(watched)), held(watched)
    seen = after_each_answer(watched, lambda: bare(watched))
    cancels = asked(watched, CANCEL)
    report = watched.leave(bar)
    assert not watched.is_open
    assert watched.stops() == []
    assert set(seen) == {Decimal(0)}
    assert cancels == []
    assert sorted(one.executed_quantity for one in sale_records(watched)) == parts
    assert sum(parts) == before
    assert (report.uncertain, alarms(watched)) == ((), [])


def test_without_cancel_replace_only_the_part_about_to_be_sold_is_released(watched):
    """The others rest until it is their turn."""
    bar = in_parts(watched)
    watched.net.exchange.market.listing("BTCUSDT").extra = {"cancelReplaceAllowed": False}
    largest = max(stopped(watched))
    seen, cancels = after_each_answer(watched, lambda: bare(watched)), asked(watched, CANCEL)
    parts = len(stopped(watched))
    watched.leave(bar)
    assert not watched.is_open
    assert max(seen) <= largest
    assert len(cancels) == parts
    assert watched.stops() == []


@pytest.mark.parametrize("kind", [FaultKind.DROP, FaultKind.DROP_AFTER])
def test_a_part_of_unknown_outcome_keeps_no_other_from_being_sold(watched, kind):
    """The others are sold before it is waited for; it is asked after, under its stop, sold once."""
    bar = in_parts(watched)
    before, largest = held(watched), max(stopped(watched))
    left, uncovered, honest = list[Decimal](), list[Decimal](), watched.pause

    def pause(length: timedelta) -> None:
        left.append(held(watched))
        uncovered.append(bare(watched))
        honest(length)

    watched.pause = pause
    watched.fail(kind, SWAP, skip=1)
    report = watched.leave(bar)
    assert left[0] <= largest
    assert set(uncovered) == {Decimal(0)}
    assert (watched.is_open, watched.stops(), report.uncertain) == (False, [], ())
    trades = watched.net.exchange.records.trades("BTCUSDT")
    assert sum(one.quantity for one in trades if not one.is_buyer) == before
    lost = [one for one in sale_records(watched) if one.code == NOT_EXECUTED]
    assert len(lost) == (kind is FaultKind.DROP)
    assert watched.bare_seconds == 0


@pytest.mark.parametrize("door", [SWAP, CANCEL], ids=["in one request", "one by one"])
@pytest.mark.parametrize("kind", [FaultKind.REFUSE, FaultKind.THROTTLE])
def test_a_part_that_fails_leaves_the_others_protected(watched, kind, door):
    """It is asked for again at once or at the next look; nothing stands bare meanwhile."""
    bar = in_parts(watched)
    if door == CANCEL:
        watched.net.exchange.market.listing("BTCUSDT").extra = {"cancelReplaceAllowed": False}
    watched.fail(kind, door, skip=1)
    report = watched.leave(bar)
    assert not watched.is_open
    assert watched.stops() == []
    assert report.uncertain == ()
    assert watched.bare_seconds <= 1 * (door == CANCEL)


def test_reads_that_lag_do_not_hold_up_the_other_parts(watched):
    """A sale that was made tells that its part gave way, though reads still show it."""
    bar = in_parts(watched)
    watched.net.exchange.conditions.lag_ms = 3_000
    seen = after_each_answer(watched, lambda: bare(watched))
    left, honest = list[Decimal](), watched.pause

    def pause(length: timedelta) -> None:
        left.append(watched.net.exchange.wallet.total("BTC"))
        honest(length)

    watched.pause = pause
    watched.leave(bar)
    assert not watched.is_open
    assert set(seen) == {Decimal(0)}
    assert left[0] < Decimal("0.01")
    refused = [one for one in sale_records(watched) if one.status is OrderStatus.REJECTED]
    assert refused == []


def test_a_part_too_small_to_be_sold_leaves_with_the_next(watched):
    """A target took all but crumbs of one: no exit is refused for what is left of it."""
    bar = in_parts(watched, PAIR, "450")
    exchange = watched.net.exchange
    target = next(one for one in watched.stops() if one.is_limit)
    with exchange.lock:
        most = target.quantity - Decimal("0.00003")
        exchange.fill(target, target.limit_price, most, exchange.clock.now_ms(), is_maker=True)
    report = watched.leave(bar)
    assert not watched.is_open
    assert watched.stops() == []
    assert bare(watched) == 0
    assert (report.refused, report.uncertain) == ((), ())


def test_what_nothing_protects_is_sold_without_releasing_a_part(watched):
    """Half a position stands bare beside a stop: its sale leaves the stop where it is."""
    in_parts(watched)
    (gone, *rest) = [one for one in watched.ledger.open_orders() if one.request.rests]
    watched.broker.cancel("BTCUSDT", gone.client_order_id)
    watched.ledger.change_order(gone.client_order_id, START, status=OrderStatus.CANCELED)
    book, records = watched.ledger.position(*BOOK), watched.ledger.open_orders()
    instrument = watched.market.instruments(["BTCUSDT"])["BTCUSDT"]
    taken = portion(records, book, instrument, Decimal(108))
    assert taken.quantize(Decimal("0.00001"), "ROUND_DOWN") == gone.request.quantity
    assert giving_way(rest, taken - uncovered(records, book)) == []


def test_what_gives_way_is_as_little_as_can_be():
    """The smallest that suffice, or one alone; what only may rest comes before it is exchanged."""
    parts = [rests("2", 1), rests("3", 2), rests("6", 3)]
    assert names(giving_way(parts, Decimal(0))) == []
    assert names(giving_way(parts, Decimal(2))) == [["th-1"]]
    assert names(giving_way(parts, Decimal(3))) == [["th-2"]]
    assert names(giving_way(parts, Decimal(5))) == [["th-1"], ["th-2"]]
    assert names(giving_way(parts, Decimal("5.5"))) == [["th-3"]]
    assert names(giving_way(parts, Decimal(9))) == [["th-1"], ["th-2"], ["th-3"]]
    doubted = replace(parts[1], status=OrderStatus.UNKNOWN)
    unsure = [parts[0], doubted, parts[2]]
    assert names(giving_way(unsure, Decimal(3))) == [["th-3"]]
    assert names(giving_way(unsure, Decimal(9))) == [["th-2"], ["th-1"], ["th-3"]]


def names(lists: list[tuple[Any, ...]]) -> list[list[str]]:
    """Return the ids of what gives way."""
    return [[one.client_order_id for one in records] for records in lists]
