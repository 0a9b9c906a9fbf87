"""Latency: from a closed bar to the order on the wire, in one process and as a Dagster run.

    python -m tests.benchmarks.bench_latency --orders 120 --runs 5
    make bench-latency                                     writes the page

Goals: in one process at most 1 ms at the 99th percentile without the durable commits; as a run at
most 3 s (median) from launch to the request on the wire, and at most 2.5 s of CPU. In one process
it is measured twice: within whole ticks, where commits, questions to the exchange and the rest of
the tick lie between two orders, and alone in a loop, as the yardsticks of other ways are taken.
The sums are of orders of which only what waits is told apart; their parts are those of as many
others, since looking at a clock twenty times takes a tenth of what it measures.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from tests.benchmarks import latency_alone, latency_inside, latency_runs
from tests.benchmarks.latency_runs import RunTimes
from tests.benchmarks.pages import replace_section
from tests.benchmarks.stopwatch import REST, Split, Taken

Rows = list[tuple[str, ...]]
HEADS = ("", "p50 ms", "p99 ms", "CPU p50 ms", "CPU p99 ms", "goal")
RUN_HEADS = ("", "p50 s", "worst s", "goal")
GOAL_MS = 1.0
MOMENTS = {
    "started": "run started (the worker and its code location are there)",
    "step": "step started",
    "first_request": "first request on the wire",
    "order": "order's arrival at the exchange",
    "ended": "process ended",
    "cpu_to_order": "CPU of the process until the order",
    "cpu": "CPU of the process, whole run",
}
PARTS_TOLD = (
    "The sums in bold are measured with only what waits told apart, the parts below them in as "
    "many orders more: telling all apart takes time itself."
)
RUN_GOALS = {"first_request": 3.0, "cpu_to_order": 2.5}


def inside_rows(found: Taken) -> Rows:
    """Return the sums and then every part, the dearest first."""
    named = {name for split in found.whole for name in split.wall}
    parts = {name for split in found.split for name in split.wall}
    dearest = sorted(parts, key=lambda name: -np.median([one.wall[name] for one in found.split]))
    return [
        _row("**bar known to bytes ready, without what waits**", found.whole, [REST], GOAL_MS),
        _row("**everything, commits and questions to the exchange too**", found.whole, [*named]),
        *(_row(name, found.split, [name]) for name in dearest),
    ]


def _row(
    title: str, splits: Sequence[Split], names: Sequence[str], goal: float | None = None
) -> tuple[str, ...]:
    wall = [1000 * sum(split.wall[name] for name in names) for split in splits]
    cpu = [1000 * sum(split.cpu[name] for name in names) for split in splits]
    figures = [f"{np.percentile(of, at):.3f}" for of in (wall, cpu) for at in (50, 99)]
    told = _verdict("p99", float(np.percentile(wall, 99)), goal, "ms")
    return (title, *figures, told)


def _verdict(what: str, value: float, goal: float | None, unit: str) -> str:
    """Say a goal and whether it is reached; nothing where there is none."""
    if goal is None:
        return ""
    return f"{what} ≤ {goal:g} {unit}: {'reached' if value <= goal else 'missed'}"


def run_rows(runs: Sequence[RunTimes]) -> Rows:
    """Return median and worst of every moment of the runs."""
    found = {field.name: [getattr(run, field.name) for run in runs] for field in fields(RunTimes)}
    return [
        (
            MOMENTS[name],
            f"{np.median(s):.2f}",
            f"{max(s):.2f}",
            _verdict("p50", float(np.median(s)), RUN_GOALS.get(name), "s"),
        )
        for name, s in found.items()
    ]


@dataclass(frozen=True, slots=True)
class Measured:
    """Orders in a loop, with their stop as one list, within ticks; runs, forked and fresh."""

    alone: Taken
    listed: Taken
    inside: Taken
    runs: Sequence[RunTimes]
    fresh: Sequence[RunTimes]

    @property
    def tables(self) -> tuple[Rows, ...]:
        """A table of each, its head first."""
        split = (self.alone, self.listed, self.inside)
        return (
            *([HEADS, *inside_rows(one)] for one in split),
            *([RUN_HEADS, *run_rows(one)] for one in (self.runs, self.fresh)),
        )


def measure(orders: int, runs: int, folder: Path) -> Measured:
    """Time orders in this process, alone and within ticks, then whole runs."""
    with latency_runs.testnet() as exchange:
        settings = latency_inside.trading_settings(folder / "alone", exchange.url)
        alone = latency_alone.measure(settings, 10 * orders)
        settings = latency_inside.trading_settings(
            folder / "listed", exchange.url, stop_loss="0.02"
        )
        listed = latency_alone.measure(settings, 10 * orders)
    with latency_runs.testnet() as exchange:
        settings = latency_inside.trading_settings(folder / "inside", exchange.url)
        inside = latency_inside.measure(settings, exchange.step, orders)
    found = []
    for way in (latency_runs.Forked, latency_runs.Fresh):
        with latency_runs.testnet() as exchange:
            home = folder / way.__name__.lower()
            found.append(latency_runs.measure(home, exchange, runs, way))
    return Measured(alone, listed, inside, *found)


def main() -> None:
    """Measure, print, and with `--write` replace the section of a page."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--orders", type=int, default=120)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--write", type=Path, help="replace the section of this page")
    asked = parser.parse_args()
    before = os.getloadavg()[0]
    with tempfile.TemporaryDirectory() as folder:
        found = measure(asked.orders, asked.runs, Path(folder))
    load = f"load {before:.1f} before and {os.getloadavg()[0]:.1f} after, {os.cpu_count()} cores"
    for heads, *rows in found.tables:
        table = Table(*heads, title=load)
        for row in rows:
            table.add_row(*row)
        Console(width=120).print(table)
    if asked.write:
        _write(asked.write, load, found)


def _write(page: Path, load: str, found: Measured) -> None:
    sections = (
        (
            "latency alone",
            "Bar to order, in a loop",
            f"{len(found.alone.whole)} entries decided in a loop, with nothing between one and the "
            "next: the code of a tick from the closed bars on, up to the bytes of the order; the "
            "ledger answers from memory, nothing is written and no exchange is asked. "
            f"{PARTS_TOLD}",
        ),
        (
            "latency listed",
            "Bar to order with its stop, in a loop",
            f"The same of {len(found.listed.whole)} entries that go with their stop as one order "
            f"list. {PARTS_TOLD}",
        ),
        (
            "latency",
            "Bar to order",
            f"{len(found.inside.whole)} orders of real ticks in one process on the local testnet: "
            "from the closed bars read and parsed to the bytes of the first order request given to "
            f"the connection. SQLite ledger with full sync. {PARTS_TOLD}",
        ),
        (
            "run latency",
            "Run to order",
            f"{len(found.runs)} runs of `trade`, each a fork of the warm process of `thunes up`; "
            "seconds since the launch. The CPU of the whole run counts what the warm process did "
            "for it. The daemon's queue looks once a second, which comes on top.",
        ),
        (
            "fresh run latency",
            "Run to order, in a fresh process",
            f"{len(found.fresh)} runs of `trade` without that warm process (`dagster dev`, another "
            "system than Linux, code that changed since the last run): each a fresh process of "
            "`dagster api execute_run`, as Dagster's own launchers start it.",
        ),
    )
    for (name, title, told), rows in zip(sections, found.tables, strict=True):
        told = f"{told} Machine under {load}; by `make bench-latency`."
        replace_section(page, name, title, told, rows)


if __name__ == "__main__":
    main()
