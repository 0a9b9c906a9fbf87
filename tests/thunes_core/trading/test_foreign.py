"""Trades by hand on the account: shown, their symbol blocked, the rest goes on; local testnet."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal

import pytest

from tests.databases import on_every_database
from tests.thunes_core.trading.test_entry import Stand
from tests.worlds import START, STUDY, WIDE, Champions, bars_of, wave
from thunes_core.adapters.binance.broker import BinanceBroker
from thunes_core.adapters.binance.market import BinanceMarket
from thunes_core.adapters.ledger import open_ledger
from thunes_core.domain.limits import Protection, RiskLimits
from thunes_core.domain.orders import (
    ApprovedOrder,
    Leg,
    OrderRequest,
    OrderType,
    Refusal,
    Side,
    client_order_id,
)
from thunes_core.domain.portfolio import Position, TradingState
from thunes_core.settings import LOCAL_KEY, LOCAL_SECRET
from thunes_core.testnet.admin import deposit
from thunes_core.testnet.app import serve_in_thread
from thunes_core.testnet.market import replayed_market
from thunes_core.trading.accept import accept
from thunes_core.trading.reconcile import Reconciliation, reconcile
from thunes_core.trading.step import leased, open_desk
from thunes_core.trading.world import TradingPlan, World, parse_study

OTHER = "sma_crossover.ETHUSDT.1h"


@contextmanager
def trading_two(url: str, cash: int, limits: RiskLimits = WIDE) -> Iterator[Stand]:
    """Trade BTC and ETH, 1,000 each, behind stops; ETH turns at other times."""
    market = replayed_market([bars_of(wave()), bars_of(wave(period=60), "ETHUSDT")], start=START)
    with serve_in_thread(market, cash=cash) as net:
        public, broker = BinanceMarket(net.url), BinanceBroker(net.url, LOCAL_KEY, LOCAL_SECRET)
        ledger = open_ledger(url, synchronous="OFF")
        plan = TradingPlan((STUDY, OTHER), Decimal(1000), limits, Protection(stop_loss=0.3))
        yield Stand(net, World(public, broker, ledger, Champions()), plan)
        for one in (public, broker, ledger):
            one.close()


@pytest.fixture()
def stand(database) -> Iterator[Stand]:
    """The account has twice the money that is allotted."""
    with trading_two(database, cash=4000) as made:
        yield made


def by_hand(stand: Stand, side: Side, quantity: str, name: str = "web_1") -> None:
    """Trade BTC at the market as a person does at the exchange."""
    other = BinanceBroker(stand.net.url, LOCAL_KEY, LOCAL_SECRET)
    asked = OrderRequest("BTCUSDT", side, OrderType.MARKET, Decimal(quantity), name, Leg.ENTRY)
    other.submit(ApprovedOrder(asked, START))
    other.close()


def look(stand: Stand, *, accepts: bool = False) -> tuple[Reconciliation, list[str]]:
    """Reconcile, and accept if that is asked for."""
    with leased(stand.world) as journal:
        studies = [parse_study(key) for key in stand.plan.studies]
        desk = open_desk(stand.world, stand.plan, journal, studies)
        found = reconcile(desk)
        return found, accept(desk, found) if accepts else []


def held(stand: Stand, symbol: str = "BTCUSDT") -> Position:
    """Return the book of `symbol`."""
    book = stand.world.journal.position("sma_crossover", symbol)
    assert book is not None
    return book


def buy_bar(stand: Stand, symbol: str, start: int = 41) -> int:
    """Tick until `symbol` is held; return the bar."""
    for bar in range(start, 160):
        stand.tick_at(bar)
        if held(stand, symbol).is_open:
            return bar
    raise AssertionError("nothing was bought")


def test_a_trade_by_hand_blocks_its_symbol_and_nothing_else(stand):
    """It explains the balances it moved: ETH is bought, BTC waits, at every tick it is said."""
    stand.tick_at(30)
    by_hand(stand, Side.BUY, "1")
    reports = [stand.tick_at(bar) for bar in range(31, 100)]
    assert {one.state.state for one in reports} == {TradingState.ACTIVE}
    assert all("BTCUSDT: trade 1 (BUY 1.00000000 at" in one.notes[0] for one in reports)
    assert all("`thunes reconcile --accept`" in one.notes[0] for one in reports)
    assert {fill.symbol for one in reports for fill in one.fills} == {"ETHUSDT"}
    refused = {one.code for report in reports for one in report.refused}
    assert refused == {Refusal.UNRESOLVED_ORDER}


@on_every_database
def test_accepting_lets_the_symbol_trade_again(stand):
    """The account as it is becomes what is expected, and the audit tells both moments."""
    stand.tick_at(30)
    by_hand(stand, Side.BUY, "1")
    found, said = look(stand, accepts=True)
    assert (found.failed, len(found.foreign)) == ("", 1)
    assert "BTCUSDT: 1 trades accepted as not ours" in said
    assert look(stand)[0].notes == ()
    told = [event["event"] for event in stand.world.journal.audit()]
    assert [one for one in told if "foreign" in one] == ["foreign_trade", "foreign_trade_accepted"]
    assert buy_bar(stand, "BTCUSDT")


@on_every_database
def test_selling_the_books_own_coins_by_hand_halts_and_says_what_to_do(stand):
    """What the ledger holds is not there: no order may rely on it until a person accepted that."""
    bar = buy_bar(stand, "BTCUSDT")
    (stop,) = stand.world.broker.open_orders("BTCUSDT")
    stand.world.broker.cancel("BTCUSDT", stop.client_order_id)
    by_hand(stand, Side.SELL, "5")
    report = stand.tick_at(bar, 1)
    assert report.state.state is TradingState.HALTED
    assert report.state.reason.startswith("BTC: the books hold ")
    assert "takes what is gone out of the books, then `thunes resume`" in report.state.reason
    look(stand, accepts=True)
    assert held(stand).holding == stand.world.broker.account().total("BTC")
    assert look(stand)[0].notes == ()


@on_every_database
def test_a_deposit_beside_a_trade_by_hand_is_told_apart(stand):
    """The trade explains its part; what is left over is a deposit of its own."""
    stand.tick_at(30)
    by_hand(stand, Side.BUY, "1")
    with stand.net.exchange.lock:
        deposit(stand.net.exchange, {"asset": "BTC", "amount": "2"})
    found, _ = look(stand)
    (over,) = [one for one in found.discrepancies if not one.is_explained]
    assert (over.asset, over.actual - over.expected - over.foreign, found.failed) == ("BTC", 2, "")


def test_a_trade_of_another_thunes_halts(stand):
    """Two ledgers on one account: neither can be right, and neither goes on."""
    stand.tick_at(30)
    by_hand(stand, Side.BUY, "1", client_order_id("theirs", "BTCUSDT", START, Leg.ENTRY))
    report = stand.tick_at(31)
    assert report.state.state is TradingState.HALTED
    assert any("another THUNES that trades this account" in note for note in report.notes)


@on_every_database
def test_trades_by_hand_are_found_again_by_the_next_process(stand, database):
    """The cursor has passed them, and still they are told."""
    stand.tick_at(30)
    for number in range(3):
        by_hand(stand, Side.BUY, "0.5", f"web_{number}")
    look(stand)
    again = open_ledger(database, synchronous="OFF")
    assert [one.trade_id for one in again.foreign_trades()] == ["1", "2", "3"]
    again.close()
    found, _ = look(stand)
    assert found.notes[0].startswith("BTCUSDT: 3 trades, the last 3 (BUY 0.50000000 at")
    assert found.as_dict()["foreign_trades"] == [{"symbol": "BTCUSDT", "trades": 3, "last": "3"}]
