"""Market data streams, the WebSocket API and its user data stream, by unmodified clients."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import orjson
import pytest
import requests
import websockets
from binance import AsyncClient, BinanceSocketManager
from binance.exceptions import BinanceAPIException

from tests.thunes_core.testnet.markets import HOUR_MS, START_MS
from tests.thunes_core.testnet.shapes import differences, example
from thunes_core.testnet.app import RunningTestnet
from thunes_core.testnet.conditions import give
from thunes_core.testnet.faults import Fault, FaultKind
from thunes_core.testnet.security import LOCAL_KEY, LOCAL_SECRET

BTC = {"symbol": "BTCUSDT"}
STREAMS = "web-socket-streams.md"
USER = "user-data-stream.md"


def step(running: RunningTestnet, hours: float) -> None:
    """Move the clock beside the server, as an admin would."""
    clock = running.exchange.clock
    with running.exchange.lock:
        clock.move_to(clock.now_ms() + round(hours * HOUR_MS))
        running.exchange.advance()


@asynccontextmanager
async def connected(running: RunningTestnet) -> AsyncIterator[AsyncClient]:
    """Yield an asynchronous client whose REST and WebSocket API are the testnet's."""
    client = AsyncClient(LOCAL_KEY, LOCAL_SECRET)
    client.API_URL = f"{running.url}/api"
    client.ws_api._url = f"ws{running.url.removeprefix('http')}/ws-api/v3"
    try:
        yield client
    finally:
        if client.ws_api.ws is not None:
            await closed(running, client.ws_api)
        await client.close_connection()


async def closed(running: RunningTestnet, socket: Any) -> None:
    """Close a client's socket; cutting the line spares the ten seconds its reader waits."""
    closing = asyncio.create_task(socket.close())
    await asyncio.sleep(0)
    running.exchange.conditions.drop_streams()
    await closing


@asynccontextmanager
async def listening(running: RunningTestnet, socket: Any) -> AsyncIterator[Any]:
    """Yield a connected socket of the client's manager."""
    await socket.connect()
    try:
        yield socket
    finally:
        await closed(running, socket)


def streams(running: RunningTestnet, client: AsyncClient) -> BinanceSocketManager:
    """Return the client's socket manager, pointed at the testnet."""
    made = BinanceSocketManager(client)
    made.STREAM_URL = f"ws{running.url.removeprefix('http')}/"
    return made


def run(work: Callable[[], Awaitable[Any]]) -> Any:
    """Run a coroutine to its end, within ten seconds."""

    async def limited() -> Any:
        return await asyncio.wait_for(work(), 10)

    return asyncio.run(limited())


def test_kline_stream_tells_each_closed_candle_once(running: RunningTestnet) -> None:
    """Two hours in one step: two closed candles, in order, then the running one."""

    async def work() -> list[Any]:
        async with (
            connected(running) as client,
            listening(running, streams(running, client).kline_socket("BTCUSDT", "1h")) as socket,
        ):
            step(running, 2)
            return [await socket.recv() for _ in range(3)]

    found = run(work)
    assert [(e["k"]["t"] - START_MS) // HOUR_MS for e in found] == [0, 1, 2]
    assert [e["k"]["x"] for e in found] == [True, True, False]
    assert [e["k"]["c"] for e in found] == ["103.00000000", "109.00000000", "112.00000000"]
    assert [e["E"] - START_MS for e in found] == [HOUR_MS, 2 * HOUR_MS, 2 * HOUR_MS]
    shape = example("Kline/Candlestick Streams for UTC > Payload", doc=STREAMS)
    assert differences(found[0], shape) == []


@pytest.mark.parametrize(
    ("name", "heading"),
    [
        ("btcusdt@aggTrade", "Aggregate Trade Streams > Payload"),
        ("btcusdt@trade", "Detailed Stream information > Trade Streams > Payload"),
        ("btcusdt@miniTicker", "Individual Symbol Mini Ticker Stream > Payload"),
        ("btcusdt@ticker", "Individual Symbol Ticker Streams > Payload"),
        ("btcusdt@bookTicker", "Individual Symbol Book Ticker Streams > Payload"),
        ("btcusdt@avgPrice", "Average Price > Payload"),
        ("btcusdt@depth5@100ms", "Partial Book Depth Streams > Payload"),
        ("btcusdt@depth", "Diff. Depth Stream > Payload"),
        ("!miniTicker@arr", ""),
    ],
)
def test_market_streams_have_the_published_shape(
    running: RunningTestnet, name: str, heading: str
) -> None:
    """One event after the price has moved, through the client's combined socket."""

    async def work() -> Any:
        async with (
            connected(running) as client,
            listening(running, streams(running, client).multiplex_socket([name])) as socket,
        ):
            step(running, 0.5)
            return await socket.recv()

    found = run(work)
    assert found["stream"] == name
    if heading:
        assert differences(found["data"], example(heading, doc=STREAMS)) == []


async def ask(socket: Any, **message: Any) -> Any:
    """Send a message and return what comes back."""
    await socket.send(orjson.dumps(message).decode())
    return orjson.loads(await socket.recv())


def test_streams_are_subscribed_and_unsubscribed_on_the_way(running: RunningTestnet) -> None:
    """The published requests and answers; unknown streams are accepted and stay silent."""
    base = f"ws{running.url.removeprefix('http')}"

    async def work() -> None:
        async with websockets.connect(f"{base}/ws") as socket:
            names = ["btcusdt@kline_1h", "btcusdt@nothing", "nope@trade", "btcusdt@kline_7h"]
            assert await ask(socket, method="SUBSCRIBE", params=names, id=1) == {
                "result": None,
                "id": 1,
            }
            shown = await ask(socket, method="LIST_SUBSCRIPTIONS", id=3)
            assert shown == {"result": ["btcusdt@kline_1h"], "id": 3}
            step(running, 1)
            assert orjson.loads(await socket.recv())["k"]["x"] is True
            assert orjson.loads(await socket.recv())["k"]["x"] is False
            await ask(socket, method="UNSUBSCRIBE", params=["btcusdt@kline_1h"], id=5)
            step(running, 1)
            assert (await ask(socket, method="GET_PROPERTY", params=["combined"], id=2)) == {
                "result": False,
                "id": 2,
            }

    run(work)


def test_streams_refuse_what_they_do_not_understand(running: RunningTestnet) -> None:
    """A code and a message for nonsense; more than five messages a second end the connection."""
    base = f"ws{running.url.removeprefix('http')}"

    async def work() -> int:
        async with websockets.connect(f"{base}/ws/btcusdt@trade") as socket:
            await socket.send("nonsense")
            assert orjson.loads(await socket.recv())["code"] == 3
            assert (await ask(socket, method="DANCE", id=9))["code"] == 2
            for _ in range(4):
                await socket.send('{"method":"LIST_SUBSCRIPTIONS","id":1}')
            with pytest.raises(websockets.ConnectionClosed) as caught:
                while True:
                    await socket.recv()
            return int(caught.value.rcvd.code)

    assert run(work) == 1008


def test_user_stream_tells_orders_lists_and_balances(running: RunningTestnet) -> None:
    """Subscribed by signature through the client; a limit rests, fills later, and a list ends."""

    async def work() -> list[Any]:
        async with connected(running) as client, streams(running, client).user_socket() as socket:
            await client.order_limit_buy(**BTC, quantity="1", price="99.00")
            step(running, 1)
            found = [await socket.recv() for _ in range(4)]
            await client.create_oco_order(
                **BTC,
                side="SELL",
                quantity="0.5",
                aboveType="LIMIT_MAKER",
                abovePrice="150.00",
                belowType="STOP_LOSS",
                belowStopPrice="90.00",
            )
            return found + [await socket.recv() for _ in range(5)]

    found = run(work)
    kinds = [e["e"] for e in found]
    assert kinds[:4] == ["executionReport", "outboundAccountPosition"] * 2
    assert [(e["x"], e["X"]) for e in found[:4:2]] == [("NEW", "NEW"), ("TRADE", "FILLED")]
    assert found[2]["L"] == "99.00000000"
    assert found[2]["N"] == "BTC"
    assert "listStatus" in kinds[4:]
    report = example("Order Update > Payload", doc=USER)["event"]
    assert differences(found[0], report, "", frozenset({"N", "W", "D", "d"})) == []
    position = example("Account Update", doc=USER)["event"]
    assert differences(found[1], position) == []
    listed = next(e for e in found if e["e"] == "listStatus")
    shape = example("Order Reject Reason > Payload", doc=USER)["event"]
    assert differences(listed, shape) == []


def test_user_stream_tells_deposits(running: RunningTestnet) -> None:
    """Money from outside is an event of its own."""

    async def work() -> Any:
        async with connected(running) as client, streams(running, client).user_socket() as socket:
            with running.exchange.lock:
                running.exchange.deposit("USDT", running.exchange.wallet.free("USDT"))
            return await socket.recv()

    found = run(work)
    assert (found["e"], found["d"]) == ("balanceUpdate", "10000.00000000")


def test_websocket_api_trades_like_rest(running: RunningTestnet) -> None:
    """The client's ws_ methods: read, place, query, cancel, and errors with their codes."""

    async def work() -> None:
        async with connected(running) as client:
            assert (await client.ws_get_time())["serverTime"] == START_MS
            assert len(await client.ws_get_klines(**BTC, interval="1h")) == 1
            placed = await client.ws_order_limit_buy(**BTC, quantity="1", price="90.00")
            assert placed["status"] == "NEW"
            shown = await client.ws_get_order(**BTC, orderId=placed["orderId"])
            assert shown["price"] == "90.00000000"
            done = await client.ws_cancel_order(**BTC, orderId=placed["orderId"])
            assert done["status"] == "CANCELED"
            account = await client.ws_get_account()
            assert account["balances"][1]["free"] == "10000.00000000"
            with pytest.raises(BinanceAPIException, match=r"does not exist"):
                await client.ws_get_order(**BTC, orderId=77)

    run(work)


def talk(running: RunningTestnet, *messages: dict[str, Any]) -> list[Any]:
    """Send messages to the WebSocket API, one after the other, and return the answers."""
    base = f"ws{running.url.removeprefix('http')}"

    async def work() -> list[Any]:
        async with websockets.connect(f"{base}/ws-api/v3") as socket:
            return [await ask(socket, **message) for message in messages]

    return list(run(work))


def test_websocket_api_answers_have_the_published_shape(running: RunningTestnet) -> None:
    """Results, errors and rate limits in their envelopes; limits can be left out."""
    plain, quiet, wrong = talk(
        running,
        {"id": 1, "method": "time"},
        {"id": 2, "method": "time", "params": {"returnRateLimits": False}},
        {"id": "x", "method": "klines", "params": {"symbol": "NOPE", "interval": "1h"}},
    )
    api = "web-socket-api.md"
    heading = "Check server time > Response"
    assert differences(plain | {"id": "1"}, example(heading, doc=api)) == []
    assert quiet == {"id": 2, "status": 200, "result": {"serverTime": START_MS}}
    assert (wrong["status"], wrong["error"]["code"]) == (400, -1121)


def test_websocket_api_refuses_what_it_does_not_know(running: RunningTestnet) -> None:
    """No JSON object, unknown methods, subscriptions without a proof."""
    answers = talk(
        running,
        {"id": 1},
        {"id": 2, "method": "order.dance"},
        {"id": 3, "method": "userDataStream.subscribe"},
        {"id": 4, "method": "userDataStream.unsubscribe", "params": {"subscriptionId": 5}},
        {"id": 5, "method": "order.place", "params": BTC},
        {"id": 6, "method": "session.subscriptions"},
    )
    codes = [a["error"]["code"] for a in answers[:5]]
    assert codes == [-1135, -1020, -1002, -2036, -2014]
    assert answers[5]["result"] == []


def test_connections_are_cut_with_a_farewell(running: RunningTestnet) -> None:
    """The shutdown notice of the user stream has no subscription id."""
    base = f"ws{running.url.removeprefix('http')}"

    async def work() -> tuple[Any, Any, int]:
        async with (
            websockets.connect(f"{base}/ws-api/v3") as api,
            websockets.connect(f"{base}/stream?streams=btcusdt@trade") as market,
        ):
            await ask(api, id=1, method="ping")
            with running.exchange.lock:
                give(running.exchange, Fault(FaultKind.DROP_STREAMS))
            said = orjson.loads(await api.recv()), orjson.loads(await market.recv())
            with pytest.raises(websockets.ConnectionClosed) as caught:
                await api.recv()
            return *said, int(caught.value.rcvd.code)

    api, market, code = run(work)
    assert api == {"event": {"e": "serverShutdown", "E": START_MS}}
    heading = "WebSocket Streams for Binance > Server Shutdown"
    assert differences(market, example(heading, 1, STREAMS)) == []
    assert code == 1001


def test_silent_streams_lose_events_without_a_sign(running: RunningTestnet) -> None:
    """What happened while silent is never told; the connection stays."""

    async def work() -> Any:
        async with connected(running) as client, streams(running, client).user_socket() as socket:
            give(running.exchange, Fault(FaultKind.SILENT_STREAMS, for_seconds=60))
            await client.order_market_buy(**BTC, quantity="0.1")
            step(running, 0.1)
            await client.order_market_buy(**BTC, quantity="0.2")
            return await socket.recv()

    assert run(work)["q"] == "0.20000000"


def test_stopping_ends_open_sockets(running: RunningTestnet) -> None:
    """A server that stops does not wait for its subscribers."""
    base = f"ws{running.url.removeprefix('http')}"

    async def work() -> None:
        async with websockets.connect(f"{base}/ws/btcusdt@trade") as socket:
            await asyncio.to_thread(running.stop)
            with pytest.raises(websockets.ConnectionClosed):
                await socket.recv()

    run(work)
    with pytest.raises(requests.ConnectionError):
        requests.get(f"{running.url}/api/v3/ping", timeout=1)
