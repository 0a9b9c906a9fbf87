"""What can happen to a stream's messages on their way, alone and through real sockets."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

import orjson
import pytest
import requests
import websockets

from tests.thunes_core.testnet.markets import HOUR_MS, START_MS
from tests.thunes_core.testnet.test_sockets import BTC, connected, run, step, streams
from thunes_core.testnet.app import RunningTestnet
from thunes_core.testnet.fault_queue import Faults
from thunes_core.testnet.faults import MESSAGE_KINDS, Draw, Fault, FaultKind
from thunes_core.testnet.line import Line

NAME = "btcusdt@kline_1m"


def carried(*faults: Fault, upto: int = 4, later_ms: int = 0) -> tuple[list[int], list[int]]:
    """Send 0, 1, 2, … at time 0 under `faults`; return what arrives then and at `later_ms`."""
    told = Faults()
    for fault in faults:
        told.add(fault)
    line = Line(told)
    now = line.carry([(NAME, n) for n in range(upto)], 0)
    return now, line.carry([], later_ms)


@pytest.mark.parametrize(
    ("kind", "now", "later"),
    [
        (FaultKind.LOSE_MESSAGE, [0, 2, 3], []),
        (FaultKind.DUPLICATE_MESSAGE, [0, 1, 1, 2, 3], []),
        (FaultKind.REORDER_MESSAGE, [0, 2, 1, 3], []),
        (FaultKind.DELAY_MESSAGE, [0, 2, 3], [1]),
        (FaultKind.STALL_STREAM, [], [0, 1, 2, 3]),
        (FaultKind.CUT_STREAM, [0], []),
    ],
)
def test_a_message_is_struck(kind: FaultKind, now: list[int], later: list[int]) -> None:
    """The second message of four: what arrives at once, and what five seconds later."""
    assert carried(Fault(kind, skip=1), later_ms=5_000) == (now, later)


def test_what_is_held_waits_for_its_time() -> None:
    """A millisecond before its seconds are over nothing of it has arrived."""
    for kind in (FaultKind.DELAY_MESSAGE, FaultKind.REORDER_MESSAGE, FaultKind.STALL_STREAM):
        early = carried(Fault(kind), upto=1, later_ms=4_999)
        late = carried(Fault(kind), upto=1, later_ms=5_000)
        assert (early, late) == (([], []), ([], [0]))


def test_a_fault_strikes_the_streams_it_names() -> None:
    """`on` is the beginning of a stream's name; 0 times is for ever."""
    told = Faults()
    told.add(Fault(FaultKind.LOSE_MESSAGE, on="btcusdt@kline", times=0))
    arrived = Line(told).carry([(NAME, 1), ("userData", 2), ("btcusdt@trade", 3), (NAME, 4)], 0)
    assert arrived == [2, 3]
    assert [h["stream"] for h in told.happened] == [NAME, NAME]


def test_drawn_message_faults_follow_their_seed() -> None:
    """The same seed strikes the same messages, nothing is invented, and requests are spared."""

    def drawn(seed: int) -> list[int]:
        told = Faults()
        kinds = (FaultKind.LOSE_MESSAGE, FaultKind.DUPLICATE_MESSAGE, FaultKind.REORDER_MESSAGE)
        told.draw(Draw(seed, 0.2, kinds, ""))
        assert told.next_for("POST", "/api/v3/order") is None
        return Line(told).carry([(NAME, n) for n in range(500)], 0)

    assert drawn(3) == drawn(3) != drawn(4)
    counts = Counter(drawn(3))
    assert 20 < sum(1 for n in range(500) if counts[n] == 0) < 60
    assert max(counts.values()) == 2


async def told(socket: Any, count: int) -> list[str]:
    """Return the next candles: C0 is the first hour closed, R1 the second as it runs."""
    found = []
    for _ in range(count):
        candle = orjson.loads(await socket.recv())["k"]
        found.append(f"{'C' if candle['x'] else 'R'}{(candle['t'] - START_MS) // HOUR_MS}")
    return found


def give(running: RunningTestnet, *faults: dict[str, Any], **more: Any) -> Any:
    """Order faults through the admin's door."""
    answer = requests.post(
        f"{running.url}/testnet/faults", json={"faults": list(faults), **more}, timeout=5
    )
    assert answer.status_code == 200, answer.text
    return answer.json()


@pytest.mark.parametrize(
    ("kind", "first", "then"),
    [
        ("duplicate_message", "C0 C0 R1", "C1 C2 R3"),
        ("reorder_message", "R1 C0", "C1 C2 R3"),
        ("delay_message", "R1", "C0 C1 C2 R3"),
        ("stall_stream", "", "C0 R1 C1 C2 R3"),
        ("lose_message", "R1", "C1 C2 R3"),
    ],
)
def test_a_socket_sees_its_faults(
    running: RunningTestnet, kind: str, first: str, then: str
) -> None:
    """The first closed candle of a real socket is struck; two hours end what is held."""
    shown = give(running, {"kind": kind, "on": "btcusdt@kline", "seconds": 7200})
    assert [w["kind"] for w in shown["waiting"]] == [kind]
    base = f"ws{running.url.removeprefix('http')}"

    async def work() -> str:
        async with websockets.connect(f"{base}/ws/btcusdt@kline_1h") as socket:
            step(running, 1)
            found = await told(socket, len(first.split()))
            while not running.exchange.faults.happened:
                await asyncio.sleep(0.01)
            step(running, 2)
            return " ".join(found + await told(socket, len(then.split())))

    assert run(work) == f"{first} {then}".strip()


def test_a_cut_comes_without_a_word(running: RunningTestnet) -> None:
    """No farewell, no closing frame; another connection is spared and a new one is served."""
    give(running, {"kind": "cut_stream", "on": "btcusdt@kline"})
    base = f"ws{running.url.removeprefix('http')}"

    async def work() -> Any:
        async with websockets.connect(f"{base}/ws/btcusdt@trade") as other:
            async with websockets.connect(f"{base}/ws/btcusdt@kline_1h") as socket:
                step(running, 1)
                with pytest.raises(websockets.ConnectionClosedError) as caught:
                    await socket.recv()
            assert orjson.loads(await other.recv())["e"] == "trade"
            async with websockets.connect(f"{base}/ws/btcusdt@kline_1h") as socket:
                step(running, 1)
                assert await told(socket, 2) == ["C1", "R2"]
        return caught.value.rcvd

    assert run(work) is None


def test_the_users_events_can_be_struck(running: RunningTestnet) -> None:
    """`userData` names them; the answers to requests are no events and pass."""
    give(running, {"kind": "duplicate_message", "on": "userData"})

    async def work() -> list[Any]:
        async with connected(running) as client, streams(running, client).user_socket() as socket:
            await client.order_limit_buy(**BTC, quantity="1", price="50.00")
            return [await socket.recv() for _ in range(3)]

    first, second, third = run(work)
    assert first == second
    assert (first["e"], third["e"]) == ("executionReport", "outboundAccountPosition")


def test_faults_and_draws_come_in_one_script(running: RunningTestnet) -> None:
    """Draws of requests and of messages stand beside each other, and clearing ends both."""
    kinds = sorted(MESSAGE_KINDS)
    shown = give(running, draws=[{"seed": 1, "rate": 0.1}, {"rate": 0.5, "kinds": kinds}])
    assert shown["draw"]["rate"] == 0.1
    assert (shown["message_draw"]["kinds"], shown["message_draw"]["on"]) == (kinds, "")
    shown = requests.delete(f"{running.url}/testnet/faults", timeout=5).json()
    assert (shown["draw"], shown["message_draw"]) == (None, None)
    mixed = {"draws": [{"rate": 0.5, "kinds": ["error", "delay_message"]}]}
    answer = requests.post(f"{running.url}/testnet/faults", json=mixed, timeout=5)
    assert (answer.status_code, answer.json()["error"][:5]) == (400, "draw:")


def test_a_waiting_message_fault_can_begin_later(running: RunningTestnet) -> None:
    """`at_seconds` of the exchange's clock: before that the messages pass."""
    give(running, {"kind": "lose_message", "on": "btcusdt@kline", "at_seconds": 5400})
    base = f"ws{running.url.removeprefix('http')}"

    async def work() -> list[str]:
        async with websockets.connect(f"{base}/ws/btcusdt@kline_1h") as socket:
            found = []
            for count in (2, 1, 2):
                step(running, 1)
                found += await told(socket, count)
            return found

    assert run(work) == ["C0", "R1", "R2", "C2", "R3"]
