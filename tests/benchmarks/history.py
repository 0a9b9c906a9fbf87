"""Keep the results of the last runs and say what has become slower.

Run as `python -m tests.benchmarks.history FILE`, FILE being pytest-benchmark's JSON. Medians are
of processor time and divided by the yardstick of the same run, so that another machine or a busy
one does not look like a change; the newest run is compared with the median of the ones kept. Ends
with 1 on a regression.

Add here: what is kept of a run. Keep out: what is timed.
"""

from __future__ import annotations

import csv
import json
import sys
from pathlib import Path
from statistics import median

from rich.table import Table

from thunes_pipelines.cli.output import console

KEPT = Path(__file__).parent / "history.csv"
COLUMNS = ("date", "commit", "benchmark", "median_ms", "yardsticks")
RUNS = 20
TOO_SLOW = 1.5
"""A median this many times that of the runs before, and above all of them, is a regression."""


def rows_of(document: dict) -> list[dict[str, str]]:
    """Return one row per benchmark of a run."""
    found = {b["name"]: b["stats"]["median"] for b in document["benchmarks"]}
    yardstick = found["test_yardstick_of_the_machine"]
    commit = document.get("commit_info", {}).get("id", "")[:7]
    return [
        {
            "date": document["datetime"][:16],
            "commit": commit,
            "benchmark": name.removeprefix("test_"),
            "median_ms": f"{seconds * 1000:.4f}",
            "yardsticks": f"{seconds / yardstick:.4f}",
        }
        for name, seconds in found.items()
    ]


def kept_rows() -> list[dict[str, str]]:
    """Return the rows of the last runs, oldest first."""
    if not KEPT.exists():
        return []
    with KEPT.open(newline="") as file:
        return list(csv.DictReader(file))


def keep(rows: list[dict[str, str]]) -> None:
    """Write the newest `RUNS` runs of each benchmark."""
    counts: dict[str, int] = {}
    newest = []
    for row in reversed(rows):
        counts[row["benchmark"]] = counts.get(row["benchmark"], 0) + 1
        if counts[row["benchmark"]] <= RUNS:
            newest.append(row)
    with KEPT.open("w", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS)
        writer.writeheader()
        writer.writerows(reversed(newest))


def main(path: Path) -> int:
    """Compare, show, keep; return 1 when something became too slow."""
    before, now = kept_rows(), rows_of(json.loads(path.read_text()))
    table = Table(title="medians, and times the last runs (by the machine's yardstick)")
    for head in ("", "ms", "yardsticks", "× before"):
        table.add_column(head, justify="left" if not head else "right")
    slower = []
    for row in now:
        past = [float(r["yardsticks"]) for r in before if r["benchmark"] == row["benchmark"]]
        times = float(row["yardsticks"]) / median(past) if past else 1.0
        if times > TOO_SLOW and float(row["yardsticks"]) > max(past):
            slower.append(row["benchmark"])
        table.add_row(row["benchmark"], row["median_ms"], row["yardsticks"], f"{times:.2f}")
    console.print(table)
    keep(before + now)
    if slower:
        console.print(f"slower than {TOO_SLOW} times the last runs: {', '.join(slower)}")
    return int(bool(slower))


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
