"""Market data: what fetching, storing, reading and checking bars costs, as ratios in one run.

    python -m tests.benchmarks.bench_data                       2 symbols x 30 days of 1m, a minute
    python -m tests.benchmarks.bench_data --symbols 10 --days 365     the whole goal, many minutes
    make bench-data                                             and write docs/performance.md

The exchange is the local testnet in a process of its own; CPU is this process's alone, all threads.
Goals: CPU per bar at most half of plain python-binance and pandas; reads within twice
`polars.read_parquet` of the same bytes; gaps of 10 symbol-years of 1m in well under a second of
CPU; an hourly update touches only its own windows.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import resource
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
from rich.console import Console
from rich.table import Table

from tests.benchmarks.pages import replace_section
from thunes_core.adapters.bars.ingest import ingest_window, ingest_windows
from thunes_core.adapters.bars.store import BarStore
from thunes_core.adapters.binance.market import BinanceMarket
from thunes_core.domain.bars import SCHEMA, Interval
from thunes_core.domain.window import Window

START = datetime(2024, 1, 1, tzinfo=UTC)
NAMES = [f"{c}{c}{c}USDT" for c in "ABCDEFGHIJ"]


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured line: seconds of CPU and of wall clock, and the ratio the goal is about."""

    what: str
    cpu_seconds: float
    wall_seconds: float
    rows: int
    ratio: float | None = None
    goal: str = ""


def measured(work: Callable[[], Any]) -> tuple[Any, float, float]:
    """Run `work`; return its result, CPU seconds of this process, wall seconds."""
    cpu, wall = time.process_time(), time.perf_counter()
    result = work()
    return result, time.process_time() - cpu, time.perf_counter() - wall


def serve(symbols: list[str], days: int, pipe: Any) -> None:
    """Serve generated minutes of `symbols`; runs in a process of its own."""
    from thunes_core.testnet.app import serve_in_thread
    from thunes_core.testnet.market import generated_market

    now = START + timedelta(days=days)
    market = generated_market(symbols, start=now, interval=Interval.M1, history_days=days + 1)
    with serve_in_thread(market) as running:
        pipe.send(running.url)
        pipe.recv()


@contextmanager
def testnet(symbols: list[str], days: int) -> Iterator[str]:
    """Yield the address of a testnet in another process."""
    spawn = multiprocessing.get_context("spawn")
    here, there = spawn.Pipe()
    process = spawn.Process(target=serve, args=(symbols, days, there))
    process.start()
    try:
        yield here.recv()
    finally:
        here.send("stop")
        process.join()


def plain(url: str, window: Window) -> Any:
    """Fetch and parse as the usual script does: python-binance page by page, pandas."""
    import pandas as pd
    from binance.client import Client

    client = Client(ping=False)
    client.API_URL = f"{url}/api"
    rows, since, end = [], int(window.start.timestamp() * 1000), int(window.end.timestamp() * 1000)
    while since < end:
        page = client.get_klines(
            symbol=window.symbol, interval="1m", startTime=since, endTime=end - 1, limit=1000
        )
        rows += page
        if len(page) < 1000:
            break
        since = page[-1][0] + 60_000
    frame = pd.DataFrame(rows, columns=list("tohlcvTqnBQi"))
    frame["t"] = pd.to_datetime(frame["t"], unit="ms", utc=True)
    numbers = list("ohlcvqBQ")
    frame[numbers] = frame[numbers].astype(float)
    client.close_connection()
    return frame.drop(columns=["T", "i"])


def fetching(url: str, windows: list[Window]) -> list[Figure]:
    """Compare fetching and parsing, then the whole ingestion."""
    market, one = BinanceMarket(url), windows[0]
    plain(url, Window(one.symbol, one.interval, one.start, one.start + timedelta(minutes=5)))
    market.klines(one.symbol, one.interval, one.start, one.start + timedelta(days=2))
    theirs, their_cpu, their_wall = measured(lambda: [plain(url, w) for w in windows])
    ours, our_cpu, our_wall = measured(lambda: market.klines_many(windows))
    rows = sum(len(frame) for frame in theirs)
    assert rows == sum(frame.height for frame in ours)
    with tempfile.TemporaryDirectory() as folder:
        store = BarStore(folder)
        _, all_cpu, all_wall = measured(lambda: ingest_windows(market, store, windows))
        _, again_cpu, again_wall = measured(lambda: ingest_windows(market, store, windows))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.parquet"
        _, save_cpu, _ = measured(lambda: [frame.to_parquet(path) for frame in theirs])
    market.close()
    half = "≤ 0.5"
    return [
        Figure("fetch and parse: python-binance, pandas", their_cpu, their_wall, rows),
        Figure("fetch and parse: ours", our_cpu, our_wall, rows, our_cpu / their_cpu, half),
        Figure(
            "whole ingestion: ours (against theirs saved as Parquet)",
            all_cpu,
            all_wall,
            rows,
            all_cpu / (their_cpu + save_cpu),
            half,
        ),
        Figure("ingestion again, nothing new", again_cpu, again_wall, rows),
    ]


def walk(symbol: str, interval: Interval, bars: int) -> pl.DataFrame:
    """Return `bars` bars of a smooth walk."""
    step = pl.int_range(bars, eager=True).cast(pl.Float64())
    price = 100 + (step / 300).sin() * 5 + (step / 7).cos()
    times = pl.datetime_range(
        START, START + (bars - 1) * interval.duration, interval.duration, eager=True
    )
    return pl.DataFrame(
        {
            "symbol": pl.repeat(symbol, bars, eager=True),
            "interval": pl.repeat(str(interval), bars, eager=True),
            "open_time": times.cast(pl.Datetime("us", "UTC")),
            **dict.fromkeys(("open", "close"), price),
            "high": price + 0.5,
            "low": price - 0.5,
            **dict.fromkeys(("volume", "quote_volume"), step % 97 + 0.125),
            "trades": (step % 89).cast(pl.Int64()),
            **dict.fromkeys(("taker_buy_base", "taker_buy_quote"), step % 83 / 3),
        }
    ).select(*SCHEMA)


def put(store: BarStore, bars: pl.DataFrame) -> None:
    """Store `bars` as one window."""
    interval = Interval(bars["interval"][0])
    store.replace_window(
        bars,
        symbol=bars["symbol"][0],
        interval=interval,
        start=bars["open_time"][0],
        end=bars["open_time"][-1] + interval.duration,
        observed_at=START,
    )


def reading(store: BarStore, symbols: list[str], interval: Interval) -> Figure:
    """Compare reading through the store with polars over the same files."""
    paths = {
        s: sorted(store.root.glob(f"bars/symbol={s}/interval={interval}/*/*")) for s in symbols
    }

    def bare() -> int:
        return sum(pl.read_parquet(paths[s], hive_partitioning=False).height for s in symbols)

    def ours() -> int:
        return sum(store.read(s, interval).height for s in symbols)

    best = [min(measured(work)[2] for _ in range(5)) for work in (bare, ours)]
    rows, cpu, _ = measured(ours)
    return Figure(f"read {len(symbols)} x {interval}", cpu, best[1], rows, best[1] / best[0], "≤ 2")


def storing(symbols: list[str], days: int) -> list[Figure]:
    """Measure writes, reads, gaps and a small update over `days` of minutes and a year of hours."""
    with tempfile.TemporaryDirectory() as folder:
        store = BarStore(folder)
        minutes = [walk(s, Interval.M1, days * 1440) for s in symbols]
        _, write_cpu, write_wall = measured(lambda: [put(store, bars) for bars in minutes])
        for symbol in symbols:
            put(store, walk(symbol, Interval.H1, 8760))
        rows = sum(bars.height for bars in minutes)
        _, gap_cpu, gap_wall = measured(lambda: [store.gaps(s, Interval.M1) for s in symbols])
        return [
            Figure("write minutes", write_cpu, write_wall, rows),
            reading(store, symbols, Interval.H1),
            reading(store, symbols[:1], Interval.M1),
            Figure(
                "find gaps in minutes", gap_cpu, gap_wall, rows, gap_cpu, "< 1 s CPU at 5 M rows"
            ),
        ]


def updating(url: str, windows: list[Window]) -> Figure:
    """Ingest the last hour of each symbol; count the files that changed."""
    market = BinanceMarket(url)
    with tempfile.TemporaryDirectory() as folder:
        store = BarStore(folder)
        for w in windows:
            ingest_window(market, store, w.symbol, w.interval, w.start, w.end - timedelta(hours=1))
        before = {p: p.stat().st_mtime_ns for p in store.root.rglob("*.parquet")}
        last = [Window(w.symbol, w.interval, w.end - timedelta(hours=1), w.end) for w in windows]
        results, cpu, wall = measured(lambda: ingest_windows(market, store, last))
        touched = [
            p for p in store.root.rglob("*.parquet") if before.get(p) != p.stat().st_mtime_ns
        ]
        rows = sum(r.written for r in results.values())
        market.close()
        return Figure(
            f"hourly update of {len(windows)} symbols: files touched",
            cpu,
            wall,
            rows,
            len(touched) / len(windows),
            "1 a symbol",
        )


def ingest_alone(url: str, windows: list[Window], pipe: Any) -> None:
    """Ingest `windows`, tell memory before and after in MB; runs in a process of its own."""
    market = BinanceMarket(url)
    market.server_time()
    market.klines_many([replace(w, end=w.start + timedelta(minutes=2000)) for w in windows[:1]])
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    with tempfile.TemporaryDirectory() as folder:
        ingest_windows(market, BarStore(folder), windows)
    pipe.send((before, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024))


def memory(url: str, windows: list[Window]) -> tuple[float, float]:
    """Return the peak memory of an ingestion in MB: libraries alone, and with all bars."""
    spawn = multiprocessing.get_context("spawn")
    here, there = spawn.Pipe()
    process = spawn.Process(target=ingest_alone, args=(url, windows, there))
    process.start()
    found: tuple[float, float] = here.recv()
    process.join()
    return found


def run(symbols: int, days: int) -> tuple[list[Figure], tuple[float, float]]:
    """Measure everything at this size."""
    names = NAMES[:symbols]
    windows = [Window(s, Interval.M1, START, START + timedelta(days=days)) for s in names]
    with testnet(names, days) as url:
        peak = memory(url, windows)
        figures = [*fetching(url, windows), updating(url, windows)]
    return [*figures, *storing(names, days)], peak


def lines(figures: list[Figure]) -> list[tuple[str, ...]]:
    """Return the figures as texts."""
    return [
        (
            f.what,
            f"{f.rows:,}",
            f"{f.cpu_seconds:.2f}",
            f"{f.wall_seconds:.2f}",
            f"{1e6 * f.cpu_seconds / max(f.rows, 1):.2f}",
            "" if f.ratio is None else f"{f.ratio:.2f}",
            f.goal,
        )
        for f in figures
    ]


HEADS = ("", "rows", "CPU s", "wall s", "µs CPU/row", "ratio", "goal")


def main() -> None:
    """Measure, print, and with `--json` write the figures to a file."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--symbols", type=int, default=2)
    parser.add_argument("--days", type=int, default=30)
    parser.add_argument("--json", type=Path, help="write the figures to a file")
    parser.add_argument("--write", type=Path, help="replace the section of this page")
    asked = parser.parse_args()
    figures, (libraries, peak) = run(asked.symbols, asked.days)
    title = f"{asked.symbols} symbols x {asked.days} days of 1m bars"
    told = f"An ingestion peaks at {peak:.0f} MB; its libraries alone take {libraries:.0f} MB."
    table = Table(title=title)
    for head in HEADS:
        table.add_column(head, justify="left" if head in ("", "goal") else "right")
    for cells in lines(figures):
        table.add_row(*cells)
    Console(width=120).print(table)
    sys.stdout.write(f"{told}\n")
    if asked.json:
        asked.json.write_text(json.dumps([asdict(f) for f in figures], indent=2))
    if asked.write:
        intro = f"{title}, by `make bench-data`."
        replace_section(
            asked.write, "market data", "Market data", intro, [HEADS, *lines(figures)], told
        )


if __name__ == "__main__":
    main()
