"""An exit that cannot take its stop's place in one request stands bare as short as can be known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from decimal import ROUND_DOWN, Decimal
from itertools import pairwise

import pytest

from tests.thunes_core.trading import test_unprotected
from tests.thunes_core.trading.test_unprotected import BOOK, SWAP, Watched
from thunes_core.domain.orders import ApprovedOrder, Leg, OrderStatus, OrderType
from thunes_core.risk.gate import judge
from thunes_core.testnet.faults import FaultKind
from thunes_core.trading.act import HELD_BACK, Known, send_all
from thunes_core.trading.clear_up import WITHIN
from thunes_core.trading.decide import exit_request
from thunes_core.trading.floor import Floor, facts_of
from thunes_core.trading.resolve import NEVER_LEFT
from thunes_core.trading.send import intents_of
from thunes_core.trading.step import leased, open_desk, tick
from thunes_core.trading.world import parse_study

ORDER, CANCEL = "POST /api/v3/order", "DELETE /api/v3/order"
watched = test_unprotected.watched


def sales(watched: Watched) -> Sequence[object]:
    """Return the sells at the market that the exchange has."""
    orders = watched.net.exchange.records.orders("BTCUSDT")
    return [one for one in orders if not one.is_buy and str(one.asked.type) == "MARKET"]


def apart(watched: Watched) -> int:
    """Enter where cancel and sale are two requests; return the bar."""
    watched.net.exchange.market.listing("BTCUSDT").extra = {"cancelReplaceAllowed": False}
    return watched.enter()


@pytest.mark.parametrize("kind", [FaultKind.DROP, FaultKind.ERROR])
def test_a_sale_lost_after_its_stop_was_released_is_made_anew_when_that_is_proved(watched, kind):
    """Where stops hold no coins: bare for the settle time and a moment, then sold, once."""
    watched.broker.locks_coins = False
    bar = apart(watched)
    watched.fail(kind, ORDER, status=504)
    watched.leave(bar)
    assert not watched.is_open
    assert len(sales(watched)) == 1
    settle = watched.broker.settle_time.total_seconds()
    assert settle < watched.bare_seconds <= settle + 2
    ids = [r.client_order_id for r in exits(watched)]
    assert len(ids) == len(set(ids)) == 2
    notes = watched.ledger.last_tick()["notes"]
    assert f"{ids[1]}: sold anew" in notes


@pytest.mark.parametrize("kind", [FaultKind.DROP_AFTER, FaultKind.ERROR_AFTER, FaultKind.GARBAGE])
def test_a_sale_that_was_executed_without_an_answer_is_found_at_the_next_look(watched, kind):
    """It is asked after, and never sent again: nothing stands bare."""
    bar = apart(watched)
    watched.fail(kind, ORDER, status=504)
    watched.leave(bar)
    assert not watched.is_open
    assert len(sales(watched)) == 1
    assert len(exits(watched)) == 1
    assert watched.bare_seconds == 0


def test_sales_that_are_all_lost_follow_each_other_only_when_the_last_is_proved_dead(watched):
    """One in flight at a time; the tick ends, says that it is uncertain, and the next one sells."""
    bar = apart(watched)
    watched.fail(FaultKind.DROP, ORDER, times=50)
    report = watched.leave(bar)
    settle = watched.broker.settle_time.total_seconds()
    sent = sorted(one.submitted_at for one in exits(watched))
    gaps = [(b - a).total_seconds() for a, b in pairwise(sent)]
    assert min(gaps) > settle
    assert len(sent) <= WITHIN.total_seconds() / settle + 1
    assert report.uncertain == ("BTCUSDT",)
    assert sales(watched) == []
    watched.net.exchange.faults.clear()
    watched.move(watched.net.exchange.clock.now_ms() + 30_000)
    tick(watched.world, watched.plan)
    assert not watched.is_open
    assert len(sales(watched)) == 1


def test_a_swap_that_was_lost_is_made_anew_in_the_same_tick_under_the_stop(watched):
    """The stop rests until cancel and sale come in one request; nothing is ever bare."""
    bar = watched.enter()
    watched.fail(FaultKind.DROP, SWAP)
    watched.leave(bar)
    assert not watched.is_open
    assert len(sales(watched)) == 1
    assert watched.bare_seconds == 0


@pytest.mark.parametrize("swapped", [True, False], ids=["in one request", "one by one"])
def test_an_exit_that_the_exchange_put_off_is_made_anew_in_the_same_tick(watched, swapped):
    """Nothing was done (429): the position is left all the same, not at the next tick."""
    bar = watched.enter() if swapped else apart(watched)
    watched.fail(FaultKind.THROTTLE, SWAP if swapped else ORDER)
    report = watched.leave(bar)
    assert not watched.is_open
    assert [one.code for one in exits(watched)] == [NEVER_LEFT, ""]
    assert len(sales(watched)) == 1
    assert report.uncertain == ()
    assert watched.bare_seconds <= (0 if swapped else 2)


def test_without_a_pause_an_exit_that_never_left_is_told_as_open(watched):
    """What runs ticks by itself begins another one then."""
    bar = watched.enter()
    watched.pauses = False
    watched.fail(FaultKind.THROTTLE, SWAP)
    assert watched.leave(bar).uncertain == ("BTCUSDT",)
    assert tick(watched.world, watched.plan).uncertain == ()
    assert not watched.is_open


@pytest.mark.parametrize("kind", [FaultKind.REFUSE, FaultKind.THROTTLE])
def test_nothing_is_sold_while_its_protection_could_not_be_cancelled(watched, kind):
    """With coins of somebody else at hand the sale would pass, and the stop sell once more."""
    bar = apart(watched)
    watched.net.exchange.deposit("BTC", Decimal(50))
    watched.fail(kind, CANCEL, times=2)
    report = watched.leave(bar)
    assert watched.stops() == []
    assert len(sales(watched)) == 1
    assert {one.code for one in exits(watched)} == {HELD_BACK, ""}
    assert (watched.is_open, report.uncertain) == (False, ())


def test_a_cancel_that_was_answered_is_believed_though_reads_lag(watched):
    """The sale follows it at once: nothing stands bare until reads show it."""
    bar = apart(watched)
    watched.net.exchange.conditions.lag_ms = 3_000
    watched.leave(bar)
    assert watched.bare_seconds == 0
    assert [one.code for one in exits(watched)] == [""]
    assert not watched.is_open


def test_what_the_target_sold_before_its_cancel_is_not_sold_again_though_reads_lag(watched):
    """With coins of somebody else at hand a sale of the whole would pass."""
    bar, exchange, cancel = apart(watched), watched.net.exchange, watched.broker.cancel
    held = watched.ledger.position(*BOOK).quantity
    exchange.deposit("BTC", Decimal(50))
    exchange.conditions.lag_ms = 3_000

    def cancel_too_late(*given: object) -> object:
        target = next(one for one in watched.stops() if one.is_limit)
        watched.broker.cancel = cancel
        fill_half(watched, target)
        return cancel(*given)

    watched.broker.cancel = cancel_too_late
    watched.leave(bar)
    sold = [one.executed for one in exchange.records.orders("BTCUSDT") if not one.is_buy]
    assert sum(sold) == held.quantize(Decimal("0.00001"), ROUND_DOWN)
    assert (watched.is_open, watched.stops()) == (False, [])


def fill_half(watched: Watched, target: object) -> None:
    """Let the exchange fill half of an order, at its limit."""
    exchange = watched.net.exchange
    with exchange.lock:
        half = (target.quantity / 2).quantize(Decimal("0.001"))
        exchange.fill(target, target.limit_price, half, exchange.clock.now_ms(), is_maker=True)


def test_what_the_target_sold_amid_the_swap_is_not_sold_again(watched):
    """With coins of somebody else at hand a sale of the whole would pass: it is decided anew."""
    bar, exchange, swap = watched.enter(), watched.net.exchange, watched.broker.replace
    held = watched.ledger.position(*BOOK).quantity
    exchange.deposit("BTC", Decimal(50))

    def swap_too_late(*given: object, **named: object) -> object:
        fill_half(watched, next(one for one in watched.stops() if one.is_limit))
        watched.broker.replace = swap
        return swap(*given, **named)

    watched.broker.replace = swap_too_late
    watched.leave(bar)
    sold = [one.executed for one in exchange.records.orders("BTCUSDT") if not one.is_buy]
    assert sum(sold) == held.quantize(Decimal("0.00001"), ROUND_DOWN)
    assert (watched.is_open, watched.stops()) == (False, [])


def test_swaps_that_were_lost_do_not_count_as_refused(watched):
    """Three lost ones do not make the stop be released before the fourth."""
    bar = watched.enter()
    watched.fail(FaultKind.DROP, SWAP, times=3)
    watched.fail(FaultKind.DROP, CANCEL, times=99)
    watched.leave(bar)
    watched.move(watched.net.exchange.clock.now_ms() + 60_000)
    tick(watched.world, watched.plan)
    assert not watched.is_open
    assert watched.bare_seconds == 0


@pytest.mark.parametrize("doubted", ["both legs", "another order"])
def test_what_may_rest_is_swapped_too(watched, doubted):
    """The sale is made only where its cancel succeeds: nothing is released before it."""
    watched.enter()
    (study,) = [parse_study(key) for key in watched.plan.studies]
    world = watched.world
    with leased(world) as journal:
        desk = open_desk(world, watched.plan, journal, [study])
        book, price = journal.position(*BOOK), desk.market.price("BTCUSDT")
        floor = Floor(world, watched.plan, desk, desk.broker.account(), {"BTCUSDT": price})
        records = [one for one in journal.open_orders() if one.request.rests]
        request = exit_request(book, book.last_bar, desk.instruments["BTCUSDT"], "signal", price, 9)
        approved = judge(request, facts_of(floor, study))
        assert isinstance(approved, ApprovedOrder)
        intents = intents_of([approved], study.strategy, book.last_bar, desk.now)
        if doubted == "another order":
            other = intents_of([unplaced(approved)], study.strategy, book.last_bar, desk.now)
            journal.record_intents(book, [*other, *intents])
            ids = [other[0].client_order_id]
        else:
            journal.record_intents(book, intents)
            ids = [one.client_order_id for one in records]
        for one in ids:
            journal.change_order(one, desk.now, status=OrderStatus.UNKNOWN, why="planted")
        watched.fail(FaultKind.DROP, CANCEL, times=99)
        asked = journal.orders_of(*BOOK, book.last_bar)
        mine = approved.request.client_order_id
        unsettled, earlier = (
            [one for one in found if one.client_order_id != mine]
            for found in (journal.open_orders(), asked)
        )
        send_all(desk, study, [approved], Known(book, unsettled, earlier))
        assert journal.position(*BOOK).quantity < Decimal("0.001")
    assert len(sales(watched)) == 1
    assert watched.bare_seconds == 0


def unplaced(approved: ApprovedOrder) -> ApprovedOrder:
    """Return a stop that the exchange does not know."""
    request = replace(
        approved.request,
        type=OrderType.STOP_LOSS,
        stop_price=Decimal(90),
        leg=Leg.STOP,
        client_order_id="th-unknown",
    )
    return replace(approved, request=request)


def exits(watched: Watched) -> list[object]:
    """Return our records of the sales at the market of the last decided bar."""
    book = watched.ledger.position(*BOOK)
    asked = watched.ledger.orders_of(*BOOK, book.last_bar)
    return [one for one in asked if one.request.reduces and not one.request.rests]
