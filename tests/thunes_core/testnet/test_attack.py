"""Attacked, the testnet answers: garbage, crowds, kills. It never answers 500 by accident."""

from __future__ import annotations

import asyncio
import random
import signal
import socket
import subprocess
import sys
import threading
from collections import Counter
from decimal import Decimal
from typing import Any
from urllib.parse import urlencode

import orjson
import pytest
import requests
import websockets

from tests.thunes_core.testnet import prepared as p
from tests.thunes_core.testnet.calls import door_of, sign
from tests.thunes_core.testnet.prepared import MINE, prepared
from thunes_core.testnet.app import ENDPOINTS, RunningTestnet
from thunes_core.testnet.matching import Exchange
from thunes_core.testnet.rest import Request
from thunes_core.testnet.security import LOCAL_KEY
from thunes_core.testnet.socket_api import METHODS, ApiSession

STRANGE = (
    *("", "0", "1", "-1", "0.0", "1e5", "NaN", "Infinity", "null", "true", "x", "\x00", "é", "١"),
    *("9" * 19, "9" * 20, "9" * 40, "9223372036854775807", "99999999999999999999.9", "a" * 3000),
    *("0.00000001", "0.000000001", "[]", "{}", '["BTCUSDT"]', "[1]", '{"a":1}', "%", "&", "="),
    *("1M", "1w", "1s", "-12:00", "5m", "NOPE", "btcusdt", "BTCUSDC", "SELL", "BUY", "FOK", "IOC"),
    *(
        "LIMIT",
        "MARKET",
        "STOP_LOSS",
        "TAKE_PROFIT_LIMIT",
        "LIMIT_MAKER",
        "EXPIRE_BOTH",
        "DECREMENT",
    ),
    *("99.00", "100.05", "150.00", "0.1", "10", "2000", "1735689600000", "ALLOW_FAILURE", "2", "5"),
)
NAMES = (
    *("symbol", "symbols", "side", "type", "quantity", "price", "stopPrice", "trailingDelta"),
    *("icebergQty", "timeInForce", "quoteOrderQty", "newClientOrderId", "selfTradePreventionMode"),
    *("orderId", "origClientOrderId", "orderListId", "startTime", "endTime", "fromId", "limit"),
    *("interval", "timeZone", "windowSize", "newQty", "cancelOrderId", "recvWindow", "timestamp"),
    *("strategyId", "strategyType", "newOrderRespType", "symbolStatus", "workingPrice"),
    *("pendingAbovePrice", "pendingBelowTrailingDelta", "aboveStopPrice", "belowIcebergQty"),
)
FORMS: tuple[dict[str, Any], ...] = (
    p.RESTING,
    p.TAKING,
    p.OCO,
    p.OLD_OCO,
    {**p.WORKING, **p.PENDING, **p.SIZED},
    {**p.WORKING, **p.PAIR, **p.SIZED},
    {**p.WORKING, **p.PAIR_OF_LIMITS},
    p.replace(p.RESTING, cancelOrderId=2),
    {**MINE, "orderId": 2},
    {**MINE, "interval": "1h", "limit": 5},
    MINE,
    {},
)
ANSWERS = {200, 400, 401, 404, 409, 418, 429}


FITTING: dict[str, tuple[dict[str, Any], ...]] = {
    "POST /api/v3/order": (p.RESTING, p.TAKING, p.MAKER),
    "POST /api/v3/order/oco": (p.OLD_OCO,),
    "POST /api/v3/orderList/oco": (p.OCO,),
    "POST /api/v3/orderList/otoco": ({**p.WORKING, **p.PAIR, **p.SIZED},),
    "POST /api/v3/orderList/opoco": ({**p.WORKING, **p.PAIR_OF_LIMITS},),
    "POST /api/v3/order/cancelReplace": (p.replace(p.RESTING, cancelOrderId=2),),
}


def mutated(draw: random.Random, target: str = "") -> dict[str, Any]:
    """Return the parameters of a request to `target`, some of them strange."""
    usual = FITTING.get(target, (MINE, {})) if draw.random() < 0.8 else FORMS
    form = dict(draw.choice(usual))
    for _ in range(draw.choice((0, 0, 0, 1, 1, 2, 3))):
        name = draw.choice([*NAMES, *form])
        form[name] = draw.choice(STRANGE)
    if form and draw.random() < 0.05:
        del form[draw.choice(list(form))]
    return form


def held_by_orders(on: Exchange) -> Counter[str]:
    """Return what open orders hold, by asset."""
    held: Counter[str] = Counter()
    for order in on.records.open_orders():
        held[order.held_asset] += order.held  # type: ignore[assignment]
    return held


@pytest.mark.parametrize("seed", range(4))
def test_strange_requests_are_always_answered(seed: int) -> None:
    """Two thousand at every endpoint, the clock moving between: refused by a code, or done.

    Afterwards the account's held money is what its open orders hold.
    """
    draw, on = random.Random(seed), prepared()
    door = door_of(on)
    seen: Counter[int] = Counter()
    for _ in range(2_000):
        endpoint = draw.choice(ENDPOINTS)
        target = f"{endpoint.method} {endpoint.path}"
        text = urlencode({"timestamp": on.clock.now_ms(), **mutated(draw, target)})
        query = f"{text}&signature={sign(text)}" if endpoint.access == "signed" else text
        key = LOCAL_KEY if draw.random() < 0.98 else draw.choice(["", "x", None])
        answer = door.answer(Request(endpoint.method, endpoint.path, query, "", key))
        assert answer.status in ANSWERS, (endpoint.path, text, answer)
        seen[answer.status] += 1
        if draw.random() < 0.02:
            on.clock.move_to(on.clock.now_ms() + draw.choice([1, 60_000, 900_000]))
    assert seen[200] > 100
    held = held_by_orders(on)
    for asset in on.wallet.assets:
        assert on.wallet.free(asset) >= 0
        assert abs(on.wallet.held(asset) - held[asset]) < Decimal("1e-12")


@pytest.mark.parametrize("seed", range(2))
def test_strange_messages_are_always_answered(seed: int) -> None:
    """A thousand at the WebSocket API, of every type JSON has."""
    draw, on = random.Random(seed), prepared()
    session = ApiSession(door_of(on))
    strange: list[Any] = [None, True, 5, -1.5, "x", [], [1], {}, {"a": [{}]}, "9" * 30]
    for _ in range(1_000):
        message: Any = {"id": draw.choice(strange), "method": draw.choice([*METHODS, *strange])}
        message["params"] = draw.choice([*strange, mutated(draw), {"symbol": draw.choice(strange)}])
        if draw.random() < 0.1:
            message = draw.choice(strange)
        answer = session.answer(orjson.dumps(message).decode())
        assert answer is not None
        assert answer["status"] in ANSWERS, (message, answer)


@pytest.mark.parametrize(
    "sent",
    [
        b"\x00\x01\x02\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET /api/v3/ping HTTP/1.1\r\nContent-Length: -5\r\n\r\n",
        b"POST /api/v3/order HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\n\xff\xfe\xff\xfe",
        b"GET /ws HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n",
        b"GET /" + b"a" * 100_000,
    ],
)
def test_bytes_that_are_no_request_harm_nobody(running: RunningTestnet, sent: bytes) -> None:
    """Whatever becomes of the connection, the next client is served."""
    host, port = running.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=5) as line:
        line.sendall(sent)
        line.shutdown(socket.SHUT_WR)
        answer = line.recv(100)
    assert b" 500 " not in answer
    assert requests.get(f"{running.url}/api/v3/ping", timeout=5).json() == {}


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "clock", "nonsense"),
        ("POST", "clock", '{"advance_seconds": 1e300}'),
        ("POST", "clock", '{"advance_seconds": -5}'),
        ("POST", "clock", '{"to_ms": 1}'),
        ("POST", "clock", '{"to_ms": true}'),
        ("POST", "clock", '{"to_ms": 99999999999999999}'),
        ("POST", "faults", "[1]"),
        ("POST", "faults", '{"faults": [{"kind": "lag", "seconds": 1e300}]}'),
        ("POST", "faults", '{"seed": [], "rate": 0.5}'),
        ("POST", "faults", '{"draws": [5]}'),
        ("POST", "faults", '{"faults": [{"kind": "status", "symbol": "NOPE"}]}'),
        ("POST", "deposit", '{"asset": 5, "amount": "1"}'),
        ("POST", "deposit", '{"asset": "../x", "amount": "1"}'),
        ("POST", "deposit", '{"asset": "USDT", "amount": "NaN"}'),
        ("POST", "deposit", '{"asset": "USDT", "amount": "1e999999"}'),
        ("POST", "deposit", '{"asset": "USDT", "amount": "-99999999"}'),
        ("PUT", "clock", ""),
        ("GET", "nothing", ""),
    ],
)
def test_the_admins_door_says_what_is_wrong(
    running: RunningTestnet, method: str, path: str, body: str
) -> None:
    """One sentence, 400 or 404; the clock stands and the exchange goes on."""
    before = running.exchange.clock.now_ms()
    answer = requests.request(method, f"{running.url}/testnet/{path}", data=body, timeout=5)
    assert answer.status_code in (400, 404), answer.text
    assert answer.json()["error"]
    assert running.exchange.clock.now_ms() == before


@pytest.mark.parametrize("path", ["ws/btcusdt@kline_1h", "stream", "ws-api/v3"])
@pytest.mark.parametrize(
    "sent",
    [
        *("", "null", "[]", "5", '{"method":[]}', '{"method":"SUBSCRIBE","params":5}', b"\xff\x00"),
        *('{"method":"SUBSCRIBE","params":[[],{},5]}', '{"method":"SET_PROPERTY","params":[1]}'),
        *('{"method":"UNSUBSCRIBE","params":{"a":1},"id":{}}', "x" * 100_000),
    ],
)
def test_sockets_answer_what_is_no_request(
    running: RunningTestnet, path: str, sent: str | bytes
) -> None:
    """An answer, not a broken connection: the next request on it is served."""

    async def work() -> list[Any]:
        async with websockets.connect(f"ws{running.url.removeprefix('http')}/{path}") as line:
            await line.send(sent)
            first = orjson.loads(await line.recv())
            await line.send('{"id":7,"method":"time"}')
            return [first, orjson.loads(await line.recv())]

    first, second = asyncio.run(asyncio.wait_for(work(), 10))
    assert isinstance(first, dict)
    assert second["id"] == 7


def test_a_crowd_is_served_in_some_order(running: RunningTestnet) -> None:
    """Eight clients at once: every order is filled once, ids are unique, money adds up."""
    filled: list[Any] = []
    failed: list[Any] = []

    def trade() -> None:
        with requests.Session() as session:
            for _ in range(40):
                form = urlencode({**p.TAKING, "quantity": "0.1", "timestamp": now_ms})
                answer = session.post(
                    f"{running.url}/api/v3/order?{form}&signature={sign(form)}",
                    headers={"X-MBX-APIKEY": LOCAL_KEY},
                    timeout=20,
                )
                (filled if answer.status_code == 200 else failed).append(answer.json())

    now_ms = running.exchange.clock.now_ms()
    crowd = [threading.Thread(target=trade) for _ in range(8)]
    for one in crowd:
        one.start()
    for one in crowd:
        one.join(60)
    assert failed == []
    assert sorted(o["orderId"] for o in filled) == list(range(1, 321))
    assert len({o["fills"][0]["tradeId"] for o in filled}) == 320
    spent = sum((Decimal(o["cummulativeQuoteQty"]) for o in filled), Decimal(0))
    with running.exchange.lock:
        assert running.exchange.wallet.free("USDT") == 10_000 - spent
        assert running.exchange.wallet.free("BTC") == Decimal("32") * Decimal("0.999")


def start_process(port: int) -> tuple[subprocess.Popen[bytes], str]:
    """Start `thunes testnet` and return it with its address once it listens."""
    command = [sys.executable, "-c", "from thunes_pipelines.cli.main import main; main()"]
    options = ["testnet", "--port", str(port), "--clock", "stepped", "--json"]
    process = subprocess.Popen([*command, *options], stdout=subprocess.PIPE)
    assert process.stdout is not None
    told = b""
    while not told.endswith(b"}\n"):
        told += process.stdout.readline()
    return process, str(orjson.loads(told)["url"])


@pytest.mark.slow
def test_killed_and_started_again_it_serves_on_the_same_port() -> None:
    """SIGKILL leaves nothing behind: the new one has a new account; SIGTERM ends with 0."""
    process, url = start_process(0)
    try:
        port = int(url.rpartition(":")[2])
        info = requests.get(f"{url}/api/v3/exchangeInfo", timeout=10).json()
        assert len(info["symbols"]) == 2
        process.kill()
        assert process.wait(10) == -signal.SIGKILL
    finally:
        process.kill()
        process.stdout.close()  # type: ignore[union-attr]
    process, again = start_process(port)
    try:
        assert again == url
        assert requests.get(f"{url}/api/v3/ping", timeout=10).json() == {}
        process.terminate()
        assert process.wait(10) == 0
    finally:
        process.kill()
        process.wait(10)
        process.stdout.close()  # type: ignore[union-attr]
