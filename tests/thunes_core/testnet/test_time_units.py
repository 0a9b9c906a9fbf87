"""Times in microseconds, by header and by address, as unmodified clients ask for them."""

from __future__ import annotations

from typing import Any

import pytest
import requests

from tests.thunes_core.testnet.clients import make_client
from tests.thunes_core.testnet.markets import HOUR_MS, RISING, START_MS, exchange
from tests.thunes_core.testnet.test_sockets import connected, listening, run, step, streams
from thunes_core.testnet.app import RunningTestnet
from thunes_core.testnet.market_events import events_between
from thunes_core.testnet.streams import parse_stream
from thunes_core.testnet.time_units import TimeUnit, event_in

BTC = {"symbol": "BTCUSDT"}
MICRO = "MICROSECOND"


def test_answers_come_in_microseconds(running: RunningTestnet) -> None:
    """Clock, candles, orders, trades and account; what has no time yet stays at -1."""
    client = make_client(running.url, time_unit=MICRO)
    start = START_MS * 1000
    try:
        assert client.get_server_time()["serverTime"] == start
        (candle,) = client.get_klines(**BTC, interval="1h")
        assert (candle[0], candle[6]) == (start, start + HOUR_MS * 1000 - 1)
        placed = client.order_market_buy(**BTC, quantity="1")
        assert placed["transactTime"] == placed["workingTime"] == start
        stop = {"side": "SELL", "type": "STOP_LOSS", "quantity": "0.5", "stopPrice": "90.00"}
        waiting = client.create_order(**BTC, **stop)
        shown = client.get_order(**BTC, orderId=waiting["orderId"])
        assert (shown["time"], shown["workingTime"]) == (start, -1)
        assert client.get_my_trades(**BTC)[0]["time"] == start
        assert client.get_aggregate_trades(**BTC)[0]["T"] == start
    finally:
        client.close_connection()


@pytest.mark.parametrize(
    ("unit", "status"), [("millisecond", 200), ("microsecond", 200), ("nanosecond", 400)]
)
def test_units_are_named_in_any_case(running: RunningTestnet, unit: str, status: int) -> None:
    """There are two of them; another is -1194."""
    answer = requests.get(
        f"{running.url}/api/v3/time", headers={"X-MBX-TIME-UNIT": unit}, timeout=5
    )
    assert answer.status_code == status
    if status == 400:
        assert answer.json()["code"] == -1194
    else:
        thousand = 1000 if unit == "microsecond" else 1
        assert answer.json()["serverTime"] == START_MS * thousand


def test_streams_come_in_microseconds(running: RunningTestnet) -> None:
    """The client says it in the address of each socket."""

    async def work() -> tuple[Any, Any]:
        async with connected(running) as client:
            client.TIME_UNIT = MICRO
            made = streams(running, client)
            async with listening(running, made.kline_socket("BTCUSDT", "1h")) as socket:
                step(running, 1)
                closed = await socket.recv()
            return closed, await client.ws_get_time()

    closed, _ = run(work)
    assert closed["E"] == (START_MS + HOUR_MS) * 1000
    assert (closed["k"]["t"], closed["k"]["x"]) == (START_MS * 1000, True)


@pytest.mark.parametrize(
    ("name", "times"),
    [
        ("btcusdt@trade", {"E", "T"}),
        ("btcusdt@aggTrade", {"E", "T"}),
        ("btcusdt@ticker", {"E", "O", "C"}),
        ("btcusdt@ticker_1h", {"E", "O", "C"}),
        ("btcusdt@miniTicker", {"E"}),
        ("btcusdt@avgPrice", {"E", "T"}),
        ("btcusdt@depth", {"E"}),
        ("btcusdt@bookTicker", set()),
    ],
)
def test_only_times_change_with_the_unit(name: str, times: set[str]) -> None:
    """Ids, counts and prices are what they were."""
    on = exchange(RISING)
    stream = parse_stream(name, on)
    assert stream is not None
    on.clock.move_to(on.present_ms + HOUR_MS // 2)
    on.advance()
    event = next(iter(events_between(on, stream, START_MS, on.present_ms)))
    scaled = event_in(TimeUnit.MICROSECOND, event)
    changed = {key for key in event if scaled[key] != event[key]}
    assert changed == times
    assert all(scaled[key] == event[key] * 1000 for key in changed)
