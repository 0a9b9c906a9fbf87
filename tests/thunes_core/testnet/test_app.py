"""The served testnet: start, stop, the admin's clock."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest
import requests

from tests.thunes_core.testnet.markets import RISING, START_MS, market
from thunes_core.errors import BadInput, OutsideFailed
from thunes_core.testnet.app import RunningTestnet, serve_in_thread
from thunes_core.testnet.clock import RunningClock, SteppedClock, make_clock


def test_starts_and_stops_in_a_fraction_of_a_second() -> None:
    """Others start hundreds of them: both together stay below half a second, no thread is left."""
    before = threading.active_count()
    begun = time.perf_counter()
    running = serve_in_thread(market(RISING))
    assert requests.get(f"{running.url}/api/v3/ping", timeout=5).json() == {}
    running.stop()
    running.stop()
    assert time.perf_counter() - begun < 0.5
    assert threading.active_count() == before


def test_a_taken_port_is_one_clear_failure(running: RunningTestnet) -> None:
    """The address is named and another port asked for."""
    port = int(running.url.rsplit(":", 1)[1])
    with pytest.raises(OutsideFailed, match=f"expected 127.0.0.1:{port} to be free"):
        serve_in_thread(market(RISING), port=port)


@pytest.mark.parametrize(
    ("body", "now_ms"),
    [({"advance_seconds": 1.5}, START_MS + 1_500), ({"to_ms": START_MS + 7}, START_MS + 7)],
)
def test_clock_is_stepped_through_the_admins_door(
    running: RunningTestnet, body: dict[str, float], now_ms: int
) -> None:
    """By seconds or to a time; a GET tells where it stands."""
    url = f"{running.url}/testnet/clock"
    shown = {"now_ms": now_ms, "multiple": 0.0, "stepped": True}
    assert requests.post(url, json=body, timeout=5).json() == shown
    assert requests.get(url, timeout=5).json() == shown


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b'{"to_ms": 1}', b'{"advance_seconds": "x"}'])
def test_clock_refuses_what_it_cannot_do(running: RunningTestnet, body: bytes) -> None:
    """No JSON, no time, or a time in the past: 400 with a sentence, the clock stays."""
    answer = requests.post(f"{running.url}/testnet/clock", data=body, timeout=5)
    assert answer.status_code == 400
    assert "expected" in answer.json()["error"]
    assert running.exchange.clock.now_ms() == START_MS


def test_clocks_by_name() -> None:
    """Stepped stands, xN runs N times as fast as the machine, other names are bad input."""
    assert isinstance(make_clock("stepped", None), SteppedClock)
    seconds = [10.0]
    clock = RunningClock(START_MS, 3600, lambda: seconds[0])
    seconds[0] = 12.0
    assert clock.now_ms() == START_MS + 7_200_000
    clock.move_to(START_MS + 8_000_000)
    seconds[0] = 13.0
    assert clock.now_ms() == START_MS + 8_000_000 + 3_600_000
    assert make_clock("x60", None).multiple == 60
    for wrong in ("fast", "x0", "60x", "x"):
        with pytest.raises(BadInput, match="expected real, stepped or xN"):
            make_clock(wrong, None)


def test_moving_the_clock_lets_orders_fill(running: RunningTestnet) -> None:
    """The exchange itself is at hand beside the server."""
    running.exchange.clock.move_to(START_MS + 3_600_000)
    with running.exchange.lock:
        running.exchange.advance()
    price = requests.get(f"{running.url}/api/v3/ticker/price?symbol=BTCUSDT", timeout=5).json()[
        "price"
    ]
    assert price == "103.00000000"


def test_the_documented_example_runs() -> None:
    """The first Python block of docs/testnet.md works as it stands."""
    text = (Path(__file__).resolve().parents[3] / "docs" / "testnet.md").read_text()
    block = text.split("```python\n")[1].split("```")[0]
    names: dict[str, object] = {}
    exec(block, names)
    assert isinstance(names["testnet"], RunningTestnet)
