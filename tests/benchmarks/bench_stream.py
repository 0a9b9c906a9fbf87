"""The stream: from a closed-bar frame at the socket to the start, and the end, of the tick.

    python -m tests.benchmarks.bench_stream --bars 200      make bench-stream writes the page

The exchange is the local testnet in a process of its own, sixty times as fast as real time; the
long-lived process is the one of `thunes stream --trade`. Frames are timed when the socket hands
them over, ticks when the core's `tick` is entered. Goal: at most 50 ms from frame to start.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from tests.benchmarks.apart import in_another_process
from tests.benchmarks.pages import replace_section
from thunes_core.adapters.stream import link
from thunes_core.adapters.stream.board import latest
from thunes_core.domain.bars import Interval
from thunes_core.domain.parameters import Champion, ParameterSet
from thunes_core.settings import load
from thunes_core.trading import step
from thunes_pipelines.resources import wiring
from thunes_pipelines.services.stream import follow
from thunes_pipelines.services.stream_ticks import WokenTicks

START = datetime(2024, 1, 1, tzinfo=UTC)
STUDY = "sma_crossover.BTCUSDT.1m"
PACE = 60
GOAL_MS = 50.0


def serve(pipe: Any) -> None:
    """Serve a fast market; runs in a process of its own."""
    from thunes_core.testnet.app import serve_in_thread
    from thunes_core.testnet.market import generated_market

    market = generated_market(["BTCUSDT"], start=START, interval=Interval.M1, history_days=2)
    with serve_in_thread(market, clock=f"x{PACE}") as running:
        pipe.send(running.url)
        pipe.recv()


class Times:
    """When frames of closed bars came, and when ticks began and ended; seconds, one clock."""

    def __init__(self) -> None:
        self.frames: list[float] = []
        self.began: list[float] = []
        self.ended: list[float] = []
        self.reads_ms = np.array([])

    def watch(self) -> None:
        """Time what the socket hands over and what the core's tick does, from now on."""
        receive, tick = link.SocketLink.receive, step.tick

        async def receive_timed(of: link.SocketLink) -> str | bytes:
            text = await receive(of)
            if '"x":true' in str(text):
                self.frames.append(time.perf_counter())
            return text

        def tick_timed(*given: Any) -> Any:
            self.began.append(time.perf_counter())
            try:
                return tick(*given)
            finally:
                self.ended.append(time.perf_counter())

        link.SocketLink.receive = receive_timed  # type: ignore[method-assign]
        step.tick = tick_timed

    def spans_ms(self, to: list[float]) -> np.ndarray:
        """Return, for each frame met by an idle process, how long after it the next of `to` was."""
        idle = [
            frame
            for frame in self.frames[1:]
            if not any(a < frame < b for a, b in zip(self.began, self.ended, strict=False))
        ]
        after = [min((t for t in to if t > frame), default=np.nan) - frame for frame in idle]
        spans = 1000 * np.array(after)
        return spans[~np.isnan(spans)]


def read_times_ms(board: Path) -> np.ndarray:
    """Return how long reads of the newest quote and bar take, as a sensor or a tick reads them."""
    spans = []
    for _ in range(2000):
        began = time.perf_counter()
        latest(board, "BTCUSDT")
        spans.append(time.perf_counter() - began)
    return 1000 * np.array(spans)


def measure(bars: int) -> Times:
    """Follow the stream and trade on it for so many bars."""
    times = Times()
    with in_another_process(serve) as (url, _), tempfile.TemporaryDirectory() as folder:
        os.environ |= {
            "THUNES_HOME": folder,
            "THUNES_INTERVAL": "1m",
            "THUNES_BROKER": "exchange",
            "THUNES_BINANCE_REST_URL": url,
            "THUNES_MLFLOW_TRACKING_URI": "http://127.0.0.1:9",
        }
        settings = load()
        with closing(wiring.ledger(settings)) as ledger:
            chosen = ParameterSet("sma_crossover", {"fast": 5, "slow": 20})
            ledger.remember_champion(Champion(STUDY, chosen, "1", "run"), START)
        times.watch()
        with WokenTicks(settings, lambda _: None) as ticks:
            follow(settings, ticks.wake, (bars + 3) * 60 / PACE)
        times.reads_ms = read_times_ms(settings.board_path)
    return times


def main() -> None:
    """Measure, print, and with `--write` replace the section of a page."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--bars", type=int, default=30)
    parser.add_argument("--write", type=Path, help="replace the section of this page")
    asked = parser.parse_args()
    times = measure(asked.bars)
    rows = [
        ("frame to start of the tick", times.spans_ms(times.began), f"≤ {GOAL_MS:.0f} ms"),
        ("frame to end of the tick", times.spans_ms(times.ended), ""),
        ("newest quote and bar read from the board", times.reads_ms, "≤ 1 ms"),
    ]
    heads = ("", "times", "p50 ms", "p99 ms", "goal")
    cells = [
        (name, str(len(s)), f"{np.median(s):.2f}", f"{np.percentile(s, 99):.2f}", goal)
        for name, s, goal in rows
    ]
    table = Table(*heads, title="stream to tick")
    for row in cells:
        table.add_row(*row)
    Console(width=100).print(table)
    if asked.write:
        told = (
            "From a closed-bar frame at the socket in the process of `thunes stream --trade`, "
            "SQLite ledger with full sync, on the local testnet; by `make bench-stream`."
        )
        replace_section(asked.write, "stream", "Stream to tick", told, [heads, *cells])


if __name__ == "__main__":
    main()
