"""python-binance's threaded sockets, unmodified: streams and the account's events in a thread."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from queue import Empty, Queue
from threading import Timer
from time import sleep
from typing import Any

import pytest
from binance import BinanceSocketManager, Client, ThreadedWebsocketManager
from binance.base_client import BaseClient

from tests.thunes_core.testnet.markets import HOUR_MS, START_MS
from tests.thunes_core.testnet.test_sockets import step
from thunes_core.testnet.app import RunningTestnet
from thunes_core.testnet.security import LOCAL_KEY, LOCAL_SECRET

BOUND_SECONDS = 20.0
LOOKS, LOOK_SECONDS = 200, 0.1


@pytest.fixture()
def sockets(
    running: RunningTestnet,
    client: Client,  # made first: building it leaves no loop set
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[ThreadedWebsocketManager]:
    """Point the library's classes at the testnet, as its thread makes its own objects of them."""
    socket_url = f"ws{running.url.removeprefix('http')}"
    monkeypatch.setattr(BaseClient, "API_URL", f"{running.url}/api")
    monkeypatch.setattr(BaseClient, "WS_API_URL", f"{socket_url}/ws-api/v3")
    monkeypatch.setattr(BinanceSocketManager, "STREAM_URL", f"{socket_url}/")
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)  # the library's thread and its sockets both take this one
    made = ThreadedWebsocketManager(LOCAL_KEY, LOCAL_SECRET)
    made.daemon = True
    made.start()
    yield made
    end(made, running, client)
    left = asyncio.all_tasks(loop)
    if left:
        loop.run_until_complete(asyncio.wait(left, timeout=BOUND_SECONDS))
    asyncio.set_event_loop(None)
    loop.close()


def end(sockets: ThreadedWebsocketManager, running: RunningTestnet, client: Client) -> None:
    """End the sockets, then their thread, in the order in which it ends at all.

    A reader of the library looks whether it shall end when a message came, or ten seconds passed:
    candles and fills spare the wait, and so does cutting the line at last.
    """
    for name in list(sockets._socket_running):
        sockets.stop_socket(name)
    for _ in range(LOOKS):
        if not sockets._socket_running:
            break
        step(running, 1 / 60)
        client.order_market_buy(symbol="BTCUSDT", quantity="0.2")
        sleep(LOOK_SECONDS)
    cut = Timer(3 * LOOK_SECONDS, running.exchange.conditions.drop_streams)
    cut.start()
    sockets.stop()
    cut.join()
    sockets.join(timeout=BOUND_SECONDS)
    assert not sockets.is_alive()


def told(queue: Queue[Any], wanted: Callable[[Any], bool]) -> Any:
    """Return the next message that is wanted."""
    while True:
        message = queue.get(timeout=BOUND_SECONDS)
        if wanted(message):
            return message


def wait_for_both(running: RunningTestnet, candles: Queue[Any]) -> None:
    """Let minutes of the exchange pass until a thread that connects by itself hears of them."""
    for _ in range(LOOKS):
        step(running, 1 / 60)
        try:
            candles.get(timeout=LOOK_SECONDS)
        except Empty:
            continue
        if running.exchange.watchers:
            candles.queue.clear()
            return
    raise AssertionError("the sockets did not connect")


@pytest.mark.slow
def test_threaded_sockets_tell_closed_candles_and_fills(running, sockets, client: Client):
    """An hour closes, an order is filled: both reach the callbacks of the thread."""
    candles: Queue[Any] = Queue()
    account: Queue[Any] = Queue()
    sockets.start_kline_socket(candles.put, "BTCUSDT", "1h")
    sockets.start_user_socket(account.put)
    wait_for_both(running, candles)
    step(running, 1)
    candle = told(candles, lambda message: message["k"]["x"])["k"]
    assert (candle["T"] - candle["t"], (candle["t"] - START_MS) % HOUR_MS) == (HOUR_MS - 1, 0)
    bought = client.order_market_buy(symbol="BTCUSDT", quantity="1", newClientOrderId="thread")
    report = told(
        account, lambda message: message["e"] == "executionReport" and message["x"] == "TRADE"
    )
    assert (report["c"], report["i"]) == ("thread", bought["orderId"])
    assert told(account, lambda message: message["e"] == "outboundAccountPosition")["B"]
