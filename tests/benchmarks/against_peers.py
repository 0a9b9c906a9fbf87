"""The speed goals: ratios to vectorbt and backtesting.py, taken in one run of one machine.

Run as `python -m tests.benchmarks.against_peers PEERS_PYTHON`. All have the same bars, the same
strategy (SMA cross, fee, slippage, trailing stop), and measures trades and the metrics of semantics
§5 that it knows. The sweeps cover the same ranges; the others' grids are thinner.

Add here: a goal. Keep out: what each side times (`own_speed`, `peer_speed`).
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

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
from thunes_pipelines.cli.output import console

HERE = Path(__file__).parent


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


def own(what: str, interval: str) -> dict[str, float]:
    """Time ourselves in a fresh process."""
    command = [sys.executable, "-m", "tests.benchmarks.own_speed", what, interval]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return json.loads(done.stdout)


def peers(python: str, folder: Path) -> dict[str, dict[str, float]]:
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


def goals(ours: dict[str, dict[str, float]], theirs: dict[str, dict[str, float]]) -> list[Goal]:
    """Return every goal with the figure of this run."""
    found = []
    for interval, single, many in (("1h", 1 / 10, 100), ("1m", 1 / 5, 500)):
        mine, other = ours[interval], theirs[interval]
        ratio = mine["single"] / other["vectorbt_single"]
        told = f"{mine['single'] * 1e3:.2f} ms against {other['vectorbt_single'] * 1e3:.1f}"
        found.append(Goal(f"{interval}: single run / vectorbt's", ratio, single, False, told))
        times = mine["sweep"] / other["vectorbt_sweep"]
        told = f"{mine['sweep']:,.0f} combinations/s against {other['vectorbt_sweep']:,.1f}"
        found.append(Goal(f"{interval}: sweep, times vectorbt's rate", times, many, True, told))
        told = (
            f"{mine['combinations']:,.0f} combinations; vectorbt {other['vectorbt_peak_mb']:,.0f}"
        )
        found.append(Goal(f"{interval}: peak of a sweep, MB", mine["peak_mb"], 400, False, told))
        late = mine["first"] - mine["single"]
        told = f"after imports of {mine['imports']:.2f} s"
        found.append(Goal(f"{interval}: fresh process, s above warm", late, 0.5, False, told))
    slower = theirs["1h"]["backtesting_single"] / ours["1h"]["single"]
    told = f"backtesting.py {theirs['1h']['backtesting_single'] * 1e3:.0f} ms"
    return [*found, Goal("1h: times faster than backtesting.py", slower, 10, True, told)]


def main(python: str) -> int:
    """Measure, show, and return 1 when a goal is missed."""
    with tempfile.TemporaryDirectory() as folder:
        theirs = peers(python, Path(folder))
    ours: dict[str, Any] = {i: {**own("single", i), **own("sweep", i)} for i in INTERVALS}
    table = Table(title="speed goals: ratios in one run")
    for head in ("", "measured", "goal", "", "figures"):
        table.add_column(head, justify="right" if head in ("measured", "goal") else "left")
    found = goals(ours, theirs)
    for goal in found:
        sign = "≥" if goal.at_least else "≤"
        mark = "reached" if goal.reached else "MISSED"
        table.add_row(goal.name, f"{goal.value:,.3g}", f"{sign} {goal.goal:g}", mark, goal.told)
    console.print(table)
    return int(not all(goal.reached for goal in found))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
