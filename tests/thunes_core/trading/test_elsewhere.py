"""Trades by hand of symbols that nothing here looks at: found, shown, and nothing else waits."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

import pytest

from tests.databases import on_every_database
from tests.thunes_core.trading.test_entry import Stand
from tests.thunes_core.trading.test_foreign import OTHER, buy_bar, held, look
from tests.worlds import START, STUDY, WIDE, Champions, bars_of, wave
from thunes_core.adapters.binance.broker import BinanceBroker
from thunes_core.adapters.binance.market import BinanceMarket
from thunes_core.adapters.ledger import open_ledger
from thunes_core.domain.limits import Protection
from thunes_core.domain.orders import ApprovedOrder, Leg, OrderRequest, OrderType, Side
from thunes_core.domain.portfolio import TradingState
from thunes_core.errors import ExchangeRejected, ExchangeUnavailable
from thunes_core.settings import LOCAL_KEY, LOCAL_SECRET
from thunes_core.testnet.admin import deposit
from thunes_core.testnet.app import serve_in_thread
from thunes_core.testnet.market import replayed_market
from thunes_core.trading.elsewhere import MOST_PAIRS
from thunes_core.trading.world import TradingPlan, World

MORE = [f"C{number}" for number in range(MOST_PAIRS)]


@pytest.fixture()
def stand(database) -> Iterator[Stand]:
    """Trade BTC and ETH, where SOL and more are listed too; the account has idle money."""
    others = [bars_of(wave(), name) for name in ("SOLUSDT", "SOLBTC", *(f"{c}USDT" for c in MORE))]
    ours = [bars_of(wave()), bars_of(wave(period=60), "ETHUSDT")]
    with serve_in_thread(replayed_market([*ours, *others], start=START), cash=4000) as net:
        public, broker = BinanceMarket(net.url), BinanceBroker(net.url, LOCAL_KEY, LOCAL_SECRET)
        ledger = open_ledger(database, synchronous="OFF")
        plan = TradingPlan((STUDY, OTHER), Decimal(1000), WIDE, Protection(stop_loss=0.3))
        with net.exchange.lock:
            deposit(net.exchange, {"asset": "BTC", "amount": "-4000"})  # a quote asset too
        yield Stand(net, World(public, broker, ledger, Champions()), plan)
        for one in (public, broker, ledger):
            one.close()


def by_hand(stand: Stand, symbol: str, side: Side, quantity: str) -> None:
    """Trade at the market as a person does at the exchange, a minute after the last tick."""
    with stand.net.exchange.lock:
        stand.net.exchange.clock.move_to(stand.net.exchange.clock.now_ms() + 60_000)
    other = BinanceBroker(stand.net.url, LOCAL_KEY, LOCAL_SECRET)
    asked = OrderRequest(symbol, side, OrderType.MARKET, Decimal(quantity), "web_1", Leg.ENTRY)
    other.submit(ApprovedOrder(asked, START))
    other.close()


def give(stand: Stand, asset: str, amount: str) -> None:
    """Put coins into the account."""
    with stand.net.exchange.lock:
        deposit(stand.net.exchange, {"asset": asset, "amount": amount})


@pytest.mark.parametrize("side", [Side.BUY, Side.SELL])
def test_a_trade_of_a_symbol_that_is_not_looked_at_is_shown_and_nothing_waits(stand, side):
    """It explains the dollars that are gone, or that came: BTC and ETH are traded on."""
    give(stand, "SOL", "3")
    stand.tick_at(30)
    by_hand(stand, "SOLUSDT", side, "2")
    reports = [stand.tick_at(bar) for bar in range(31, 100, 4)]
    assert {one.state.state for one in reports} == {TradingState.ACTIVE}
    assert all(f"SOLUSDT: trade 1 ({side} 2.00000000 at" in one.notes[0] for one in reports)
    assert {fill.symbol for one in reports for fill in one.fills} == {"BTCUSDT", "ETHUSDT"}
    assert not [one for report in reports for one in report.refused]


@on_every_database
def test_further_trades_of_it_are_found_and_accepting_ends_it(stand):
    """It is looked at until then, and no longer."""
    stand.tick_at(30)
    for bar in (31, 32):
        by_hand(stand, "SOLUSDT", Side.BUY, "1")
        assert stand.tick_at(bar).state.state is TradingState.ACTIVE
    found, said = look(stand, accepts=True)
    assert found.as_dict()["foreign_trades"] == [{"symbol": "SOLUSDT", "trades": 2, "last": "2"}]
    assert "SOLUSDT: 2 trades accepted as not ours" in said
    assert look(stand)[0].notes == ()
    by_hand(stand, "SOLUSDT", Side.SELL, "1.9")
    report = stand.tick_at(33)
    assert report.state.state is TradingState.ACTIVE
    assert report.notes[0].startswith("SOLUSDT: trade 3 (SELL 1.90000000 at")


def test_trades_before_the_last_tick_explain_nothing(stand):
    """The account was taken as it was then."""
    by_hand(stand, "SOLUSDT", Side.BUY, "1")
    stand.tick_at(30)
    by_hand(stand, "SOLUSDT", Side.BUY, "2")
    report = stand.tick_at(31)
    assert report.notes[0].startswith("SOLUSDT: trade 2 (BUY 2.00000000 at")
    assert report.state.state is TradingState.ACTIVE


@on_every_database
def test_coins_of_the_books_that_paid_for_it_halt(stand):
    """What the ledger holds is not there, whatever was bought with it."""
    bar = buy_bar(stand, "BTCUSDT")
    (stop,) = stand.world.broker.open_orders("BTCUSDT")
    stand.world.broker.cancel("BTCUSDT", stop.client_order_id)
    by_hand(stand, "SOLBTC", Side.BUY, "0.05")
    report = stand.tick_at(bar, 2)
    assert report.state.state is TradingState.HALTED
    assert report.state.reason.startswith("BTC: the books hold ")
    look(stand, accepts=True)
    assert held(stand).holding == stand.world.broker.account().total("BTC")


def test_what_left_the_account_halts_all_the_same(stand):
    """A trade elsewhere explains its own part; a withdrawal beside it nothing."""
    stand.tick_at(30)
    by_hand(stand, "SOLUSDT", Side.BUY, "1")
    give(stand, "USDT", "-7")
    report = stand.tick_at(31)
    assert report.state.state is TradingState.HALTED
    assert report.state.reason.startswith("USDT: expected ")
    assert "with trades that are not ours" in report.state.reason


def test_an_account_of_many_coins_is_not_searched(stand):
    """Each pair is a request: where more than a few may be, trading halts as for a withdrawal."""
    for coin in MORE:
        give(stand, coin, "1")
    stand.tick_at(30)
    by_hand(stand, "SOLUSDT", Side.BUY, "1")
    assert stand.tick_at(31).state.state is TradingState.HALTED


def test_a_deposit_is_searched_for_once(stand):
    """What the last tick told costs no further request."""
    give(stand, "SOL", "3")
    stand.tick_at(30)
    give(stand, "USDT", "5")
    first, second = (asked(stand, bar) for bar in (31, 32))
    assert "SOLUSDT" in first
    assert "SOLUSDT" not in second


def asked(stand: Stand, bar: int) -> set[str]:
    """Tick; return the symbols whose trades were asked for."""
    found, real = set[str](), stand.world.broker.fills

    def fills(symbol, cursor=None):
        found.add(symbol)
        return real(symbol, cursor)

    stand.world.broker.fills = fills
    stand.tick_at(bar)
    del stand.world.broker.fills
    return found


def test_a_search_that_fails_halts_as_without_it(stand, monkeypatch):
    """The list of symbols may be out of reach, or the account may not read a symbol."""
    give(stand, "C1", "1")
    stand.tick_at(30)
    by_hand(stand, "SOLUSDT", Side.BUY, "1")
    real = stand.world.broker.fills

    def fills(symbol, cursor=None):
        if symbol == "SOLUSDT":
            raise ExchangeRejected("not for this account", -2015)
        return real(symbol, cursor)

    monkeypatch.setattr(stand.world.broker, "fills", fills)
    assert stand.tick_at(31).state.state is TradingState.HALTED


def test_a_list_of_symbols_that_cannot_be_had_ends_no_tick(stand, monkeypatch):
    """Exits go on by what is known."""
    stand.tick_at(30)
    by_hand(stand, "SOLUSDT", Side.BUY, "1")
    real = stand.world.market.instruments

    def instruments(symbols=None):
        if symbols is None:
            raise ExchangeUnavailable("no list")
        return real(symbols)

    monkeypatch.setattr(stand.world.market, "instruments", instruments)
    assert stand.tick_at(31).state.state is TradingState.HALTED
