"""A limit entry rests with its protection as one list, on the local testnet over HTTP."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from decimal import Decimal

import polars as pl
import pytest

from tests.thunes_core.trading.test_entry import PAIR, STOP, Stand, asked
from tests.worlds import HOUR, START, STUDY, WIDE, Champions, bars_of, wave
from thunes_core.adapters.binance.broker import BinanceBroker
from thunes_core.adapters.binance.market import BinanceMarket
from thunes_core.adapters.ledger import open_ledger
from thunes_core.domain.limits import LimitEntry, Protection
from thunes_core.domain.orders import OrderStatus, OrderType, TimeInForce
from thunes_core.domain.portfolio import Position, TradingState
from thunes_core.settings import LOCAL_KEY, LOCAL_SECRET
from thunes_core.testnet.app import serve_in_thread
from thunes_core.testnet.faults import Fault, FaultKind
from thunes_core.testnet.liquidity import Depth
from thunes_core.testnet.market import replayed_market
from thunes_core.testnet.options import Options
from thunes_core.trading.entry import protected_entry
from thunes_core.trading.world import TradingPlan, World
from thunes_pipelines.cli.trading_view import cover_facts

ASKED_AT = 49
BELOW = LimitEntry(offset=0.02, timeout_bars=3)
SLOWLY = Depth(seed=5, pause_ms=40 * 60_000)
"""A book so thin that a resting order is filled in parts, the better part of an hour apart."""


def dipping(low: float, opens: float | None = None) -> pl.DataFrame:
    """Return the wave with one bar, the one after the order is sent, that falls to `low`."""
    at = pl.col("open_time") == START + (ASKED_AT + 1) * HOUR
    return bars_of(wave()).with_columns(
        low=pl.when(at).then(low).otherwise("low"),
        open=pl.when(at & (opens is not None)).then(opens or 0.0).otherwise("open"),
    )


@contextmanager
def stood(
    tmp_path, bars: pl.DataFrame, protection: Protection, entry: LimitEntry = BELOW, **options
) -> Iterator[Stand]:
    """Trade `bars` on a testnet with twice the money that is allotted, by limit entries."""
    given = Options(cash=Decimal(2000), **options)
    with serve_in_thread(replayed_market([bars], start=START), options=given) as net:
        public, broker = BinanceMarket(net.url), BinanceBroker(net.url, LOCAL_KEY, LOCAL_SECRET)
        ledger = open_ledger(f"sqlite:///{tmp_path / 'l.db'}", synchronous="OFF")
        plan = TradingPlan((STUDY,), Decimal(1000), WIDE, protection, entry=entry)
        stand = Stand(net, World(public, broker, ledger, Champions()), plan)
        for bar in (ASKED_AT - 2, ASKED_AT - 1, ASKED_AT):
            stand.tick_at(bar)
        yield stand
        for one in (public, broker, ledger):
            one.close()


def pass_to(stand: Stand, bar: int, minute: int = 0) -> None:
    """Let the exchange's time pass without a tick."""
    with stand.net.exchange.lock:
        at = int((START + bar * HOUR).timestamp() * 1000) + minute * 60_000
        stand.net.exchange.clock.move_to(at)
        stand.net.exchange.advance()


def resting(stand: Stand) -> dict[str, str]:
    """Return the open orders of the exchange: type → status."""
    return {str(o.asked.type): str(o.status) for o in stand.net.exchange.records.open_orders()}


def held(stand: Stand) -> Position:
    """Return the one book."""
    (book,) = stand.world.journal.positions()
    return book


def stops_of(stand: Stand) -> list[Decimal]:
    """Return the quantities of the stops that are at work at the exchange."""
    found = stand.net.exchange.records.open_orders()
    return [o.quantity for o in found if o.asked.is_stop and str(o.status) == "NEW"]


@pytest.mark.parametrize("protection", [STOP, PAIR], ids=["stop", "pair"])
def test_the_whole_fill_itself_brings_the_protection_to_rest(tmp_path, protection):
    """Filled between two ticks, it stands in the same millisecond; the tick leaves it alone."""
    with stood(tmp_path, dipping(104.0), protection) as stand:
        waiting = resting(stand)
        assert waiting.pop("LIMIT") == "NEW"
        assert set(waiting.values()) == {"PENDING_NEW"}
        assert not held(stand).is_open
        pass_to(stand, ASKED_AT + 2)
        (bought,) = stand.orders("LIMIT")
        assert str(bought.status) == "FILLED"
        legs = stand.net.exchange.records.open_orders()
        assert {leg.update_ms for leg in legs} == {bought.trades[0].time_ms}
        received = stand.net.exchange.wallet.total("BTC")
        assert {leg.quantity for leg in legs} == {received - received % Decimal("0.00001")}
        sent = len(stand.orders("LIMIT", "STOP_LOSS", "LIMIT_MAKER", "MARKET"))
        report = stand.tick_at(ASKED_AT + 2)
        assert report.notes == ()
        assert held(stand).is_open
        assert len(stand.orders("LIMIT", "STOP_LOSS", "LIMIT_MAKER", "MARKET")) == sent
        found = cover_facts(stand.world.journal, report.server_time)
        assert found["unprotected_seconds"] == 0.0


def test_a_stop_that_went_off_before_any_tick_looked_is_booked(tmp_path):
    """Bought and sold within one bar by the exchange alone: one trade, a block, nothing rests."""
    with stood(tmp_path, dipping(98.0), STOP) as stand:
        stand.tick_at(ASKED_AT + 2)
        (trade,) = stand.world.journal.trades().to_dicts()
        assert trade["reason"] == "stop_loss"
        assert held(stand).blocked
        assert resting(stand) == {}
        assert stand.world.journal.open_orders() == []


@pytest.mark.parametrize("protection", [STOP, PAIR], ids=["stop", "pair"])
def test_stops_stand_on_what_was_really_paid(tmp_path, protection):
    """An open below the limit fills better: the next tick moves the levels to that price."""
    with stood(tmp_path, dipping(104.0, opens=105.0), protection) as stand:
        stand.tick_at(ASKED_AT + 2)
        paid = held(stand).average_price
        assert paid == Decimal(105)
        stops = [o for o in stand.net.exchange.records.open_orders() if o.asked.is_stop]
        assert {one.asked.stop_price for one in stops} == {Decimal("99.75")}
        assert held(stand).quantity - sum(one.quantity for one in stops) < Decimal("0.00001")
        went = [o for o in stand.orders("STOP_LOSS") if str(o.status) == "CANCELED"]
        assert went[0].asked.stop_price > Decimal("99.75")


@pytest.mark.parametrize("protection", [STOP, PAIR], ids=["stop", "pair"])
def test_a_part_is_protected_by_the_next_tick_and_the_rest_waits_on(tmp_path, protection):
    """The list gives way to the protection of the part; the rest rests alone at the same price."""
    with stood(tmp_path, dipping(104.0), protection, depth=SLOWLY) as stand:
        (listed,) = stand.orders("LIMIT")
        minute = until_part(stand, listed)
        assert stops_of(stand) == []
        report = stand.tick_at(ASKED_AT + 1, minute)
        assert not any("ALARM" in note for note in report.notes)
        assert str(listed.status) == "CANCELED"
        covered = held(stand).quantity - held(stand).quantity % Decimal("0.00001")
        assert sum(stops_of(stand)) == covered
        alone = stand.orders("LIMIT")[-1]
        assert alone.list_id == -1
        assert alone.asked.price == listed.asked.price
        assert alone.quantity == listed.quantity - listed.executed


def test_no_more_is_bought_where_a_part_could_not_be_protected(tmp_path):
    """One stop is allowed, and it may not carry the part: that is sold, and the rest not bought."""
    with stood(tmp_path, dipping(104.0), STOP, depth=SLOWLY) as stand:
        exchange, (listed,) = stand.net.exchange, stand.orders("LIMIT")
        minute = until_part(stand, listed)
        rules = exchange.market.listing("BTCUSDT").filters
        rules["MAX_NUM_ALGO_ORDERS"] = {"filterType": "MAX_NUM_ALGO_ORDERS", "maxNumAlgoOrders": 1}
        most = {"filterType": "MAX_ASSET", "asset": "BTC", "limit": str(listed.executed * 2 / 3)}
        exchange.options = replace(exchange.options, asset_filters=(most,))
        stand.world.broker._own.forget()
        report = stand.tick_at(ASKED_AT + 1, minute)
        assert any("ALARM" in note for note in report.notes)
        assert len(stand.orders("LIMIT")) == 1
        assert resting(stand) == {}
        assert not held(stand).is_open


def until_part(stand: Stand, order: object) -> int:
    """Let minutes pass until a part of `order` is filled; return the minute."""
    for minute in range(1, 60):
        pass_to(stand, ASKED_AT + 1, minute)
        if order.executed:
            assert order.remaining > 0
            return minute
    raise AssertionError("the book filled nothing")


def test_the_stop_grows_with_the_rest_in_one_request(tmp_path):
    """Every later part is covered by the tick that sees it; at the end one stop covers all."""
    with stood(tmp_path, dipping(104.0), STOP, depth=SLOWLY) as stand:
        first = until_part(stand, stand.orders("LIMIT")[0])
        for minute in range(first, 60, 3):
            stand.tick_at(ASKED_AT + 1, minute)
            assert len(stops_of(stand)) == 1
        for bar in range(ASKED_AT + 2, ASKED_AT + 5):
            stand.tick_at(bar)
        book = held(stand)
        assert stops_of(stand) == [book.quantity - book.quantity % Decimal("0.00001")]
        assert "LIMIT" not in resting(stand)
        assert len(stand.orders("LIMIT")) == 2
        bought = sum(o.executed for o in stand.orders("LIMIT"))
        assert book.bought == bought


@pytest.mark.parametrize("protection", [STOP, PAIR], ids=["stop", "pair"])
def test_its_time_ends_the_whole_list(tmp_path, protection):
    """Nothing was bought: after its bars nothing rests, and nothing is held."""
    with stood(tmp_path, bars_of(wave()), protection) as stand:
        for bar in range(ASKED_AT + 1, ASKED_AT + 4):
            assert "LIMIT" in resting(stand)
            stand.tick_at(bar)
        assert resting(stand) == {}
        assert stand.world.journal.open_orders() == []
        assert set(stand.world.journal.orders()["status"]) == {OrderStatus.CANCELED}


def test_its_time_ends_the_list_and_keeps_what_was_filled(tmp_path):
    """A part that no tick had seen yet: the rest is cancelled, the part stays and is protected."""
    once = replace(BELOW, timeout_bars=2)
    with stood(tmp_path, dipping(104.0), STOP, once, depth=SLOWLY) as stand:
        (listed,) = stand.orders("LIMIT")
        until_part(stand, listed)
        pass_to(stand, ASKED_AT + 1, 59)
        bought = listed.executed
        stand.tick_at(ASKED_AT + 2)
        assert len(stops_of(stand)) == 1
        assert held(stand).bought == bought
        assert "LIMIT" not in resting(stand)


@pytest.mark.parametrize("state", [TradingState.REDUCING, TradingState.HALTED])
def test_nobody_may_buy_any_more_ends_the_list_and_protects_the_part(tmp_path, state):
    """The rest is not sent again."""
    with stood(tmp_path, dipping(104.0), STOP, depth=SLOWLY) as stand:
        minute = until_part(stand, stand.orders("LIMIT")[0])
        stand.world.journal.set_trading_state(state, reason="look", author="me")
        stand.tick_at(ASKED_AT + 1, minute)
        assert "LIMIT" not in resting(stand)
        assert len(stops_of(stand)) == (1 if state is TradingState.REDUCING else 0)


@pytest.mark.parametrize("kind", [FaultKind.ERROR_AFTER, FaultKind.DROP_AFTER, FaultKind.LATE])
def test_a_list_of_unknown_outcome_is_asked_after_and_never_sent_again(tmp_path, kind):
    """Taken though the answer was lost: found with all its orders, one buy in all."""
    with stood(tmp_path, dipping(104.0), PAIR) as before:
        first = len(before.orders("LIMIT"))
    assert first == 1
    folder = tmp_path / kind
    folder.mkdir()
    with stood_at(folder, dipping(104.0), PAIR, Fault(kind, on=LIST_PATH, status=504)) as stand:
        for minute in (1, 2, 3):
            stand.tick_at(ASKED_AT, minute)
        assert len(stand.orders("LIMIT")) == 1
        stand.tick_at(ASKED_AT + 2)
        assert len(stops_of(stand)) == 1
        assert stand.world.journal.fills()["side"].to_list() == ["BUY"]


LIST_PATH = "POST /api/v3/orderList/opoco"


@contextmanager
def stood_at(tmp_path, bars: pl.DataFrame, protection: Protection, *faults: Fault):
    """Stand before the tick that sends the list, with faults on it."""
    with serve_in_thread(replayed_market([bars], start=START), cash=2000) as net:
        public, broker = BinanceMarket(net.url), BinanceBroker(net.url, LOCAL_KEY, LOCAL_SECRET)
        ledger = open_ledger(f"sqlite:///{tmp_path / 'l.db'}", synchronous="OFF")
        plan = TradingPlan((STUDY,), Decimal(1000), WIDE, protection, entry=BELOW)
        stand = Stand(net, World(public, broker, ledger, Champions()), plan)
        stand.tick_at(ASKED_AT - 1)
        for fault in faults:
            net.exchange.faults.add(fault)
        stand.tick_at(ASKED_AT)
        yield stand
        for one in (public, broker, ledger):
            one.close()


def test_a_list_refused_as_one_kind_goes_as_the_other(tmp_path):
    """An OTOCO at the same limit, its protection waiting behind it."""
    refuse = Fault(FaultKind.REFUSE, on=LIST_PATH, code=-2010)
    with stood_at(tmp_path, dipping(104.0), PAIR, refuse) as stand:
        waiting = resting(stand)
        assert waiting.pop("LIMIT") == "NEW"
        assert waiting == {"LIMIT_MAKER": "PENDING_NEW", "STOP_LOSS": "PENDING_NEW"}


def test_a_list_refused_as_any_kind_becomes_a_plain_limit_order(tmp_path):
    """The exchange takes no lists today: the same limit rests alone; its fill is protected."""
    paths = (LIST_PATH, "POST /api/v3/orderList/otoco")
    refuse = [Fault(FaultKind.REFUSE, on=path, code=-2010) for path in paths]
    with stood_at(tmp_path, dipping(104.0), PAIR, *refuse) as stand:
        assert resting(stand) == {"LIMIT": "NEW"}
        stand.tick_at(ASKED_AT + 2)
        assert set(resting(stand)) == {"STOP_LOSS", "LIMIT_MAKER"}


def limit_asked():
    """Return a limit order at 98 while the price is 100, with what it depends on."""
    request, book, terms = asked()
    made = replace(request, type=OrderType.LIMIT, price=Decimal(98), time_in_force=TimeInForce.GTC)
    return made, book, terms


def test_the_stop_of_a_waiting_buy_stands_at_its_limit():
    """Five per cent below 98; the buy itself is as asked for."""
    request, book, terms = limit_asked()
    buy, stop = protected_entry(request, book, terms)
    assert buy == replace(request, list_id="id-l")
    assert stop.stop_price == Decimal("93.10")


def test_the_stop_of_a_buy_that_takes_at_once_stands_at_the_market():
    """A limit far above the price does not pay its limit."""
    request, book, terms = limit_asked()
    _buy, stop = protected_entry(replace(request, price=Decimal(150)), book, terms)
    assert stop.stop_price == Decimal("95.04")
