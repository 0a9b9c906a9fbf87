"""The speed goals: ratios to vectorbt and backtesting.py, taken in one run of one machine.

Run as `python -m tests.benchmarks.against_peers PEERS_PYTHON [PAGE]`. Each has the same bars and
the same strategy (SMA cross, fee, slippage, trailing stop), and measures trades and the metrics of
semantics §5 that it knows. The sweeps cover the same ranges; the others' grids are thinner. What
runs on one core is judged by processor time, which a busy machine disturbs least; sweeps, which
use every core here, by the clock.

Add here: a goal. Keep out: what each side times (`own_speed`, `peer_speed`).
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

import numpy as np
from rich.table import Table

from tests.benchmarks.markets import (
    FEE,
    INTERVALS,
    PEER_GRIDS,
    SINGLE,
    SLIPPAGE,
    STOP,
    TRAIL,
    year,
)
from tests.benchmarks.pages import replace_section
from thunes_core.backtest.sweep import core_count
from thunes_pipelines.cli.output import console

HERE = Path(__file__).parent
FRESH = 3
Times = dict[str, float]


class Goal(NamedTuple):
    """A figure, what it must reach, and whether more is better."""

    name: str
    value: float
    goal: float
    at_least: bool
    told: str

    @property
    def reached(self) -> bool:
        """True when the figure is on the right side of the goal."""
        return self.value >= self.goal if self.at_least else self.value <= self.goal


def own(what: str, interval: str, processes: int = 1) -> Times:
    """Time ourselves in fresh processes; the least of them."""
    command = [sys.executable, "-m", "tests.benchmarks.own_speed", what, interval]
    found = [
        json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
        for _ in range(processes)
    ]
    return {name: min(times[name] for times in found) for name in found[0]}


def peers(python: str, folder: Path) -> dict[str, Times]:
    """Time the others in their environment."""
    for interval in INTERVALS:
        bars = year(interval)
        arrays = {n: bars[n].to_numpy() for n in ("open", "high", "low", "close")}
        np.savez(folder / f"{interval}.npz", **arrays)
    task = {"single": SINGLE, "grids": PEER_GRIDS, "fee": FEE, "slippage": SLIPPAGE}
    task |= {"stop": STOP, "trail": TRAIL}
    (folder / "tasks.json").write_text(json.dumps(task))
    command = [python, "-W", "ignore", str(HERE / "peer_speed.py"), str(folder)]
    subprocess.run(command, check=True, capture_output=True)
    return json.loads((folder / "peers.json").read_text())


def goals(interval: str, mine: Times, other: Times) -> list[Goal]:
    """Return every goal of one interval with the figure of this run; `other` is vectorbt."""
    whole = f", vectorbt's {other['first']:.2f}" if "first" in other else ""
    single, many = {"1h": (1 / 10, 100), "1m": (1 / 5, 500)}[interval]
    return [
        Goal(
            f"{interval}: single run / vectorbt's",
            mine["single_cpu"] / other["single_cpu"],
            single,
            False,
            f"{mine['single_cpu'] * 1e3:.2f} ms against {other['single_cpu'] * 1e3:.1f}; "
            f"by the clock {mine['single'] * 1e3:.2f} against {other['single'] * 1e3:.1f}",
        ),
        Goal(
            f"{interval}: sweep, times vectorbt's rate",
            mine["sweep"] / other["sweep"],
            many,
            True,
            f"{mine['sweep']:,.0f} combinations/s against {other['sweep']:,.1f}; "
            f"a second of CPU {mine['sweep_cpu']:,.0f} against {other['sweep_cpu']:,.1f}",
        ),
        Goal(
            f"{interval}: peak of a sweep, MB",
            mine["peak_mb"],
            400,
            False,
            f"{mine['combinations']:,.0f} combinations; vectorbt {other['peak_mb']:,.0f}",
        ),
        Goal(
            f"{interval}: fresh process, s above warm",
            mine["first_cpu"] - mine["single_cpu"],
            0.5,
            False,
            f"by the clock {mine['first'] - mine['single']:.2f}; the first run of a process, its "
            f"imports included, takes {mine['imports'] + mine['first']:.2f} s{whole}",
        ),
    ]


def all_goals(ours: dict[str, Times], theirs: dict[str, Times]) -> list[Goal]:
    """Return the goals of both intervals, and the one against backtesting.py."""
    found = [g for interval in INTERVALS for g in goals(interval, ours[interval], theirs[interval])]
    slow = theirs["1h"]["backtesting"]
    told = f"{ours['1h']['single'] * 1e3:.2f} ms against {slow * 1e3:.0f}"
    faster = slow / ours["1h"]["single"]
    return [*found, Goal("1h: times faster than backtesting.py", faster, 10, True, told)]


HEADS = ("", "measured", "goal", "", "figures")


def row(goal: Goal) -> tuple[str, ...]:
    """Return a goal as texts."""
    sign = "≥" if goal.at_least else "≤"
    mark = "reached" if goal.reached else "MISSED"
    return (goal.name, f"{goal.value:,.3g}", f"{sign} {goal.goal:g}", mark, goal.told)


def write(page: Path, found: list[Goal]) -> None:
    """Replace the section of `page`; the load is how many wanted a core while all ran."""
    cores, load = core_count(), os.getloadavg()[0]
    intro = (
        "An SMA crossover with fee, slippage and trailing stop over a year of bars, trades and all "
        f"metrics of each run, here and in vectorbt, one after the other on {cores} cores under a "
        f"load of {load:.0f}; by `make bench`. Single runs and the first of a process are measured "
        "in processor time, sweeps by the clock: they use every core here, one in vectorbt. The "
        "last runs of each part stand in `tests/benchmarks/history.csv`."
    )
    told = ""
    if load > 2 * cores:
        told = "Other work kept the machine busy, and the clock measures that too: compare the CPU."
    replace_section(page, "backtest", "Backtest", intro, [HEADS, *map(row, found)], told)


def main(python: str, page: Path | None = None) -> int:
    """Measure, show, write the section of `page`, and return 1 when a goal is missed."""
    with tempfile.TemporaryDirectory() as folder:
        theirs = peers(python, Path(folder))
    ours: dict[str, Times] = {i: {**own("single", i, FRESH), **own("sweep", i)} for i in INTERVALS}
    table = Table(title="speed goals: ratios in one run")
    for head in HEADS:
        table.add_column(head, justify="right" if head in ("measured", "goal") else "left")
    found = all_goals(ours, theirs)
    for goal in found:
        table.add_row(*row(goal))
    console.print(table)
    if page is not None:
        write(page, found)
    return int(not all(goal.reached for goal in found))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], *map(Path, sys.argv[2:])))
