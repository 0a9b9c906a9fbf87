"""Unmodified python-binance, synchronous and asynchronous, is the testnet's acceptance test."""

from __future__ import annotations

import asyncio
from decimal import Decimal

import pytest
import requests
from binance import AsyncClient, Client
from binance.exceptions import BinanceAPIException

from tests.thunes_core.testnet.clients import make_client
from tests.thunes_core.testnet.markets import HOUR_MS, RISING, START_MS
from thunes_core.testnet.app import RunningTestnet
from thunes_core.testnet.security import LOCAL_KEY, LOCAL_SECRET

BTC = {"symbol": "BTCUSDT"}


def step(running: RunningTestnet, hours: int) -> None:
    """Move the clock through the admin's door."""
    answer = requests.post(
        f"{running.url}/testnet/clock", json={"advance_seconds": hours * 3600}, timeout=5
    )
    assert answer.status_code == 200


def test_client_reads_the_market(client: Client) -> None:
    """Time, listing, candles, prices and book."""
    assert client.ping() == {}
    assert client.get_server_time() == {"serverTime": START_MS}
    info = client.get_symbol_info("BTCUSDT")
    assert info["status"] == "TRADING"
    assert {f["filterType"] for f in info["filters"]} >= {"PRICE_FILTER", "LOT_SIZE", "NOTIONAL"}
    candles = client.get_klines(**BTC, interval=Client.KLINE_INTERVAL_1HOUR)
    assert [c[0] for c in candles] == [START_MS]
    assert client.get_symbol_ticker(**BTC)["price"] == "100.00000000"
    assert client.get_orderbook_ticker(**BTC)["askPrice"] == "100.01000000"
    assert client.get_avg_price(**BTC)["mins"] == 5
    assert client.get_order_book(**BTC, limit=5)["bids"][0][0] == "99.99000000"
    assert client.get_ticker(**BTC)["lastPrice"] == "100.00000000"
    assert len(client.get_all_tickers()) == 1


def test_client_pages_through_history(running: RunningTestnet, client: Client) -> None:
    """The client's own paging finds every candle once."""
    step(running, 4)
    found = client.get_historical_klines("BTCUSDT", "1h", START_MS, START_MS + 9 * HOUR_MS)
    assert [float(c[4]) for c in found] == [row[3] for row in RISING]


def test_client_trades(running: RunningTestnet, client: Client) -> None:
    """Buy, rest a limit, let it fill, and read everything back."""
    bought = client.order_market_buy(**BTC, quantity="1", newClientOrderId="entry")
    assert (bought["status"], bought["clientOrderId"]) == ("FILLED", "entry")
    rested = client.order_limit_sell(**BTC, quantity="0.5", price="109.00")
    stop = client.create_order(
        **BTC,
        side="SELL",
        type="STOP_LOSS_LIMIT",
        timeInForce="GTC",
        quantity="0.4",
        price="94.00",
        stopPrice="95.00",
    )
    assert len(client.get_open_orders(**BTC)) == 2
    step(running, 3)
    assert client.get_order(**BTC, orderId=rested["orderId"])["status"] == "FILLED"
    assert client.cancel_order(**BTC, orderId=stop["orderId"])["status"] == "CANCELED"
    assert [o["status"] for o in client.get_all_orders(**BTC)] == ["FILLED", "FILLED", "CANCELED"]
    trades = client.get_my_trades(**BTC, fromId=2)
    assert [(t["price"], t["isMaker"]) for t in trades] == [("109.00000000", True)]
    assert Decimal(client.get_asset_balance("BTC")["free"]) == Decimal("0.499")
    assert client.create_test_order(**BTC, side="BUY", type="MARKET", quantity="0.1") == {}


@pytest.mark.parametrize(
    ("change", "code"),
    [({"quantity": "0.000001"}, -1013), ({"quantity": "110"}, -2010), ({"symbol": "X"}, -1121)],
)
def test_client_raises_the_exchanges_codes(
    client: Client, change: dict[str, str], code: int
) -> None:
    """Structured refusals arrive as BinanceAPIException with their code."""
    with pytest.raises(BinanceAPIException) as caught:
        client.create_order(**{**BTC, "side": "BUY", "type": "MARKET", "quantity": "1", **change})
    assert caught.value.code == code
    assert caught.value.status_code == 400


def test_client_with_a_wrong_secret_is_refused(running: RunningTestnet) -> None:
    """-1022, and -2015 for a key nobody knows."""
    for key, secret, code in ((LOCAL_KEY, "wrong", -1022), ("nobody", LOCAL_SECRET, -2015)):
        stranger = make_client(running.url, key, secret)
        with pytest.raises(BinanceAPIException) as caught:
            stranger.get_account()
        assert caught.value.code == code
        stranger.close_connection()


def test_async_client_reads_and_trades(running: RunningTestnet) -> None:
    """The same through the asynchronous client, several requests at once."""

    async def run() -> tuple[dict, list, dict]:
        client = AsyncClient(LOCAL_KEY, LOCAL_SECRET)
        client.API_URL = f"{running.url}/api"
        try:
            orders = [client.order_market_buy(**BTC, quantity="0.1") for _ in range(5)]
            placed = await asyncio.gather(*orders)
            return placed[0], await client.get_my_trades(**BTC), await client.get_account()
        finally:
            await client.close_connection()

    first, trades, account = asyncio.run(run())
    assert first["status"] == "FILLED"
    assert [t["id"] for t in trades] == [1, 2, 3, 4, 5]
    assert Decimal(account["balances"][0]["free"]) == Decimal("0.4995")
