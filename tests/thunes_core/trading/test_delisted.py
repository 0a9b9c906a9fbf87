"""A symbol that the exchange does not list any more, with a position open: on the local testnet."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal

import pytest

from tests.databases import on_every_database
from tests.thunes_core.trading.test_entry import Stand
from tests.thunes_core.trading.test_foreign import held, trading_two
from tests.worlds import STUDY, WIDE
from thunes_core.domain.orders import ZERO, OrderStatus, Side
from thunes_core.domain.portfolio import TradingState
from thunes_core.domain.records import Dealing
from thunes_core.risk.losses import undone
from thunes_core.trading.accept import accept
from thunes_core.trading.reconcile import delisted_symbols, reconcile
from thunes_core.trading.step import leased, open_desk
from thunes_core.trading.world import parse_study

OTHER = "sma_crossover.ETHUSDT.1h"


@pytest.fixture()
def stand(database) -> Iterator[Stand]:
    """Behind limits that a wrong value of a book would break."""
    limits = replace(WIDE, daily_loss_quote=Decimal(30), max_drawdown=Decimal("0.05"))
    with trading_two(database, 3000, limits) as made:
        yield made


def delist(stand: Stand, *, cancels: bool = True) -> None:
    """Take BTCUSDT off the exchange, as a rule with what rests there."""
    exchange = stand.net.exchange
    for order in stand.world.broker.open_orders("BTCUSDT") if cancels else ():
        stand.world.broker.cancel("BTCUSDT", order.client_order_id)
    with exchange.lock:
        del exchange.market._traded["BTCUSDT"]


def settle(stand: Stand) -> tuple[list[str], tuple[str, ...]]:
    """Reconcile and accept, as the command does; return what was said and what is left."""
    with leased(stand.world) as journal:
        studies = [parse_study(key) for key in stand.plan.studies]
        desk = open_desk(stand.world, stand.plan, journal, studies)
        return accept(desk, reconcile(desk)), delisted_symbols(desk)


def enter(stand: Stand) -> int:
    """Tick until BTC is held and its price has moved away from what was paid; return the bar."""
    bar = next(bar for bar in range(41, 90) if stand.tick_at(bar) and held(stand).is_open)
    for after in range(1, 4):
        stand.tick_at(bar + after)
    return bar + 3


def test_a_delisted_position_counts_at_its_last_price_and_the_others_are_traded(stand):
    """Equity does not jump, no limit goes off, and every tick says what may be done."""
    bar = enter(stand)
    before = stand.tick_at(bar)
    price = before.prices["BTCUSDT"]
    assert price != held(stand).average_price
    delist(stand)
    flat = replace(stand.plan, studies=(STUDY,))
    report = replace(stand, plan=flat).tick_at(bar)
    assert (report.equity, report.prices["BTCUSDT"]) == (before.equity, price)
    later = [stand.tick_at(one) for one in range(bar + 1, bar + 70)]
    assert {one.state.state for one in later} == {TradingState.ACTIVE}
    assert {one.prices["BTCUSDT"] for one in later} == {price}
    assert any(fill.symbol == "ETHUSDT" for one in later for fill in one.fills)
    assert all("thunes reconcile --accept` writes it off" in one.notes[0] for one in later)


def test_accepting_writes_a_delisted_book_off_at_the_last_price_known(stand):
    """Once and for all: its order is ended too, and later ticks have nothing to say of it."""
    bar = enter(stand)
    before, price = held(stand), stand.tick_at(bar).prices["BTCUSDT"]
    delist(stand)
    stand.tick_at(bar + 1)
    said, left = settle(stand)
    assert any(f"at the last price known, {price.normalize():f}" in one for one in said)
    assert any("ended, BTCUSDT is not listed any more" in one for one in said)
    book, journal = held(stand), stand.world.journal
    assert (book.holding, left, journal.open_orders()) == (0, (), [])
    assert book.cash == before.cash + before.holding * price
    assert journal.trades()["reason"].to_list()[-1] == "accepted"
    assert settle(stand)[0] == []
    report = replace(stand, plan=replace(stand.plan, studies=(OTHER,))).tick_at(bar + 2)
    assert (report.notes, report.state.state) == ((), TradingState.ACTIVE)


def test_a_book_whose_order_still_rests_at_the_exchange_is_not_written_off(stand, monkeypatch):
    """The listing alone is gone: that may be a fault of the exchange."""
    bar = enter(stand)
    stand.tick_at(bar)
    resting = stand.world.broker.open_orders()
    delist(stand)
    monkeypatch.setattr(stand.world.broker, "open_orders", lambda *_: resting)
    said, left = settle(stand)
    assert any("still rests at the exchange" in one for one in said)
    assert (held(stand).is_open, left) == (True, ("BTCUSDT",))


@on_every_database
def test_an_order_of_unknown_outcome_does_not_end_ticks_when_its_symbol_is_gone(stand):
    """Nobody can be asked any more: it stays unknown until a person accepts that."""
    bar = enter(stand)
    (stop,) = [one for one in stand.world.journal.open_orders() if one.request.symbol == "BTCUSDT"]
    delist(stand)
    unknown = {"status": OrderStatus.UNKNOWN, "looks": 2}
    stand.world.journal.change_order(stop.client_order_id, stop.intended_at, **unknown)
    report = stand.tick_at(bar + 1)
    assert report.state.state is TradingState.ACTIVE
    assert any(f"{stop.client_order_id}: cannot be asked for" in note for note in report.notes)
    settle(stand)
    assert stand.world.journal.open_orders() == []


def test_a_day_without_a_price_begins_without_a_loss():
    """What was bought on a day whose price nobody tells any more gained and lost nothing."""
    bought = Dealing("s", "BTCUSDT", Side.BUY, Decimal(2), Decimal(200), ZERO, "USDT", ZERO)
    assert undone(Decimal(1000), [bought], {}, {}) == 1000
