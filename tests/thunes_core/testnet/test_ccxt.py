"""Unmodified CCXT, synchronous, asynchronous and by sockets, is an acceptance test as well."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from decimal import Decimal
from typing import Any

import ccxt
import pytest

from tests.thunes_core.testnet.markets import HOUR_MS, START_MS
from tests.thunes_core.testnet.test_sockets import step
from thunes_core.testnet.app import RunningTestnet
from thunes_core.testnet.conditions import give
from thunes_core.testnet.faults import Fault, FaultKind
from thunes_core.testnet.security import LOCAL_KEY, LOCAL_SECRET

BTC = "BTC/USDT"
STOP = {"stopLossPrice": 90}


def pointed(made: Any, url: str) -> Any:
    """Point a CCXT exchange's hosts at a local server; nothing else is changed."""
    hosts = made.urls["api"]
    hosts |= dict.fromkeys(("public", "private"), f"{url}/api/v3")
    hosts["sapi"] = f"{url}/sapi/v1"
    if "ws" in hosts:
        socket = f"ws{url.removeprefix('http')}"
        hosts["ws"]["spot"] = f"{socket}/ws"
        hosts["ws"]["ws-api"]["spot"] = f"{socket}/ws-api/v3"
    return made


def settings() -> dict[str, Any]:
    """Return a spot trader's settings; the clock's difference is asked for as CCXT does it."""
    options = {"fetchMarkets": {"types": ["spot"]}, "adjustForTimeDifference": True}
    keys = {"apiKey": LOCAL_KEY, "secret": LOCAL_SECRET}
    return {**keys, "options": options, "enableRateLimit": False}


@pytest.fixture()
def exchange(running: RunningTestnet) -> Iterator[Any]:
    """Return a synchronous CCXT exchange."""
    made = pointed(ccxt.binance(settings()), running.url)
    made.load_markets()
    yield made
    made.session.close()


def test_ccxt_reads_the_market(running: RunningTestnet, exchange: Any) -> None:
    """Listing with its steps, candles, tape, book, tickers, status and time."""
    step(running, 1)
    market = exchange.market(BTC)
    assert (market["precision"]["amount"], market["precision"]["price"]) == (1e-05, 0.01)
    assert (market["limits"]["cost"]["min"], market["taker"]) == (5.0, 0.001)
    assert exchange.fetch_time() == START_MS + HOUR_MS
    assert exchange.fetch_status()["status"] == "ok"
    assert [c[4] for c in exchange.fetch_ohlcv(BTC, "1h")] == [103.0, 103.0]
    assert exchange.fetch_ticker(BTC)["last"] == 103.0
    assert exchange.fetch_tickers()[BTC]["open"] == 100.0
    assert exchange.fetch_bids_asks([BTC])[BTC]["ask"] == 103.01
    assert exchange.fetch_last_prices([BTC])[BTC]["price"] == 103.0
    book = exchange.fetch_order_book(BTC, 5)
    assert (book["bids"][0][0], book["asks"][0][0]) == (102.99, 103.01)
    assert [t["price"] for t in exchange.fetch_trades(BTC)][-2:] == [103.0, 103.0]
    assert exchange.fetch_trading_fees()[BTC]["maker"] == 0.001
    assert exchange.fetch_currencies().keys() == {"BTC", "USDT"}


def test_ccxt_trades(running: RunningTestnet, exchange: Any) -> None:
    """Market by amount and by cost, resting, post-only, stop, trail, edit, cancel, read back."""
    bought = exchange.create_order(BTC, "market", "buy", 2)
    assert (bought["status"], bought["filled"], bought["fee"]["currency"]) == ("closed", 2, "BTC")
    exchange.create_market_buy_order_with_cost(BTC, 100)
    rested = exchange.create_order(BTC, "limit", "sell", 0.5, 109)
    exchange.create_order(BTC, "limit", "sell", 0.1, 151, {"postOnly": True})
    stop = exchange.create_order(BTC, "limit", "sell", 0.4, 89, STOP)
    trail = {"trailingPercent": 2, "stopLossOrTakeProfit": "stopLoss"}
    exchange.create_order(BTC, "market", "sell", 0.1, None, trail)
    kind, trigger = "STOP_LOSS_LIMIT", {"stopPrice": 95}
    moved = exchange.edit_order(stop["id"], BTC, kind, "sell", 0.4, 94, trigger)
    assert len(exchange.fetch_open_orders(BTC)) == 4
    step(running, 3)
    assert exchange.fetch_order(rested["id"], BTC)["status"] == "closed"
    assert exchange.cancel_order(moved["id"], BTC)["status"] == "canceled"
    assert len(exchange.cancel_all_orders(BTC)) == 1
    kinds = {o["status"] for o in exchange.fetch_orders(BTC)}
    assert kinds == {"closed", "canceled"}
    trades = exchange.fetch_my_trades(BTC)
    assert [t["takerOrMaker"] for t in trades] == ["taker", "taker", "taker", "maker"]
    free = Decimal(exchange.fetch_balance()["info"]["balances"][0]["free"])
    with running.exchange.lock:
        assert free == running.exchange.wallet.free("BTC")


def test_ccxt_raises_its_own_errors(running: RunningTestnet, exchange: Any) -> None:
    """Money, filters, orders that are not there, keys, time, limits, bans and silence."""
    with pytest.raises(ccxt.InsufficientFunds):
        exchange.create_order(BTC, "market", "buy", 110)
    with pytest.raises(ccxt.BadRequest, match="NOTIONAL"):
        exchange.create_order(BTC, "limit", "buy", 0.01, 99)
    with pytest.raises(ccxt.OrderNotFound):
        exchange.cancel_order("77", BTC)
    with pytest.raises(ccxt.BadSymbol):
        exchange.public_get_klines({"symbol": "NOPE", "interval": "1h"})
    with pytest.raises(ccxt.DDoSProtection, match="429"):
        give(running.exchange, Fault(FaultKind.THROTTLE, on=""))
        exchange.fetch_balance()
    with pytest.raises(ccxt.DDoSProtection, match="418"):
        give(running.exchange, Fault(FaultKind.BAN, seconds=60, for_seconds=60))
        exchange.fetch_balance()
    step(running, 1)
    stranger = pointed(ccxt.binance(settings() | {"secret": "wrong"}), running.url)
    with pytest.raises(ccxt.AuthenticationError):
        stranger.fetch_balance()
    stranger.session.close()


@pytest.mark.parametrize("path", ["orderList/oco", "orderList/otoco"])
def test_ccxt_places_lists(exchange: Any, path: str) -> None:
    """Through its own raw calls: CCXT knows the endpoints."""
    exchange.create_order(BTC, "market", "buy", 1)
    pair = {"AboveType": "LIMIT_MAKER", "AbovePrice": "150.00", "BelowType": "STOP_LOSS"}
    pair |= {"BelowStopPrice": "90.00", "Side": "SELL", "Quantity": "0.5"}
    if path == "orderList/oco":
        form = {k[0].lower() + k[1:]: v for k, v in pair.items()}
        made = exchange.private_post_orderlist_oco({"symbol": "BTCUSDT", **form})
    else:
        form = {f"pending{k}": v for k, v in pair.items()}
        working = {"workingType": "LIMIT", "workingSide": "BUY", "workingPrice": "99.00"}
        working |= {"workingQuantity": "1", "workingTimeInForce": "GTC"}
        made = exchange.private_post_orderlist_otoco({"symbol": "BTCUSDT", **working, **form})
    assert made["listOrderStatus"] == "EXECUTING"


def run(work: Callable[[], Awaitable[Any]]) -> Any:
    """Run a coroutine to its end, within twenty seconds."""

    async def limited() -> Any:
        return await asyncio.wait_for(work(), 20)

    return asyncio.run(limited())


def test_ccxt_trades_asynchronously(running: RunningTestnet) -> None:
    """Several orders at once, each filled."""
    from ccxt import async_support

    async def work() -> tuple[list[Any], Any]:
        made = pointed(async_support.binance(settings()), running.url)
        try:
            await made.load_markets()
            orders = [made.create_order(BTC, "market", "buy", 0.1) for _ in range(5)]
            return await asyncio.gather(*orders), await made.fetch_balance()
        finally:
            await made.close()

    orders, balance = run(work)
    assert [o["status"] for o in orders] == ["closed"] * 5
    assert balance["BTC"]["free"] == pytest.approx(0.4995)


def test_ccxt_watches_the_market_and_the_account(running: RunningTestnet) -> None:
    """Candles, trades, tickers and best prices by stream; orders and balances by the API's."""
    from ccxt import pro

    async def work() -> dict[str, Any]:
        made = pointed(pro.binance(settings()), running.url)
        try:
            await made.load_markets()
            watched = {
                "trades": made.watch_trades(BTC),
                "candles": made.watch_ohlcv(BTC, "1h"),
                "ticker": made.watch_ticker(BTC),
                "best": made.watch_bids_asks([BTC]),
                "orders": made.watch_orders(BTC),
                "balance": made.watch_balance(),
            }
            tasks = {name: asyncio.ensure_future(one) for name, one in watched.items()}
            await asyncio.sleep(0.5)
            await made.create_order(BTC, "limit", "buy", 1, 90)
            step(running, 0.5)
            return {name: await task for name, task in tasks.items()}
        finally:
            await made.close()

    found = run(work)
    assert found["trades"][0]["symbol"] == BTC
    assert found["candles"][-1][0] == START_MS
    assert found["ticker"]["last"] == pytest.approx(101.0)
    assert found["best"][BTC]["ask"] == pytest.approx(101.01)
    assert [o["status"] for o in found["orders"]] == ["open"]
    assert found["balance"]["USDT"]["used"] == pytest.approx(90.0)


def test_ccxt_keeps_a_book_by_the_changes(running: RunningTestnet) -> None:
    """A snapshot and what the stream adds: its sequence is checked, the result is REST's book."""
    from ccxt import pro

    async def work() -> tuple[Any, Any]:
        made = pointed(pro.binance(settings()), running.url)
        try:
            await made.load_markets()
            watched = asyncio.ensure_future(made.watch_order_book(BTC))
            for _ in range(6):
                await asyncio.sleep(0.2)
                step(running, 0.1)
            book = await watched
            while book["nonce"] < running.exchange.present_ms:
                book = await made.watch_order_book(BTC)
            return book, await made.fetch_order_book(BTC, 1000)
        finally:
            await made.close()

    kept, asked = run(work)
    assert kept["bids"][:500] == asked["bids"][:500]
    assert kept["asks"][:500] == asked["asks"][:500]
    assert kept["nonce"] == asked["nonce"]


def test_ccxt_trades_by_the_websocket_api(running: RunningTestnet) -> None:
    """Signed as CCXT does it, its wish for rate limits among what is signed."""
    from ccxt import pro

    async def work() -> list[Any]:
        made = pointed(pro.binance(settings()), running.url)
        try:
            await made.load_markets()
            placed = await made.create_order_ws(BTC, "limit", "buy", 1, 90)
            moved = await made.edit_order_ws(placed["id"], BTC, "limit", "buy", 1, 91)
            listed = await made.fetch_open_orders_ws(BTC)
            gone = await made.cancel_order_ws(moved["id"], BTC)
            return [placed, listed, gone]
        finally:
            await made.close()

    placed, listed, gone = run(work)
    assert (placed["status"], gone["status"]) == ("open", "canceled")
    assert [one["price"] for one in listed] == [91]
