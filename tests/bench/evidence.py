"""How often the evidence is right: promotions on markets with a planted edge and on pure noise.

    make bench-evidence                      100 seeded markets of each kind, two strategies
    python -m tests.bench.evidence --markets 20 --strategies sma_crossover

A planted market has a drift that switches between up and down; its strength is chosen so that the
best parameters' Sharpe ratio, after costs and on a very long sample of the same process, is about
2.5. Noise has the same volatility. Goal: at least 80 % promoted of the first, at most 5 % of the
second. Rates come with their 95 % Wilson intervals.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import track
from rich.table import Table

from tests.benchmarks.pages import replace_section
from tests.planted import HOURS_A_YEAR, NOISE, Planted, market
from thunes_core.backtest import metrics
from thunes_core.research.evidence import judge
from thunes_core.research.fitting import try_build
from thunes_core.research.neighbours import even_sample
from thunes_core.research.splits import Span
from thunes_core.research.walk_forward import WalkForwardOptions, walk_forward
from thunes_core.research.windows import Terms, Window
from thunes_core.strategies.base import strategy_class

EDGES = {"sma_crossover": Planted(4.0, 1_000), "donchian_breakout": Planted(4.35, 1_000)}
YEARS = 4
LONG_YEARS = 80
PROMOTE_AT_LEAST, PROMOTE_AT_MOST = 0.80, 0.05
_Z = 1.959964
Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the evidence said of one market: the failed findings, and the stitched Sharpe."""

    failed: tuple[str, ...]
    sharpe: float


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark; 0 when both goals hold for every strategy, 1 when not."""
    asked = _parsed(arguments)
    rows = list(_rows(asked))
    if asked.json:
        sys.stdout.write(json.dumps(rows, indent=1) + "\n")
    else:
        _show(rows)
    if asked.write:
        write(asked.write, rows, asked.trials)
    return 0 if all(row["reached"] for row in rows) else 1


def _parsed(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--markets", type=int, default=100)
    parser.add_argument("--trials", type=int, default=40)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--first-seed", type=int, default=10_000)
    parser.add_argument("--strategies", nargs="+", default=sorted(EDGES), choices=sorted(EDGES))
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--write", type=Path, help="replace the section of this page")
    return parser.parse_args(arguments)


def _rows(asked: argparse.Namespace) -> Iterator[Row]:
    for strategy in asked.strategies:
        for name, kind in (("edge", EDGES[strategy]), ("noise", NOISE)):
            verdicts = _verdicts(asked, strategy, kind, f"{strategy} {name}")
            promoted = sum(not v.failed for v in verdicts)
            low, high = wilson(promoted, len(verdicts))
            rate = promoted / len(verdicts)
            yield {
                "strategy": strategy,
                "market": name,
                "true_sharpe": true_sharpe(strategy, kind),
                "mean_stitched_sharpe": sum(v.sharpe for v in verdicts) / len(verdicts),
                "markets": len(verdicts),
                "promoted": rate,
                "interval": [low, high],
                "reached": rate >= PROMOTE_AT_LEAST if name == "edge" else rate <= PROMOTE_AT_MOST,
                "failed": dict(Counter(f for v in verdicts for f in v.failed).most_common()),
            }


def _verdicts(asked: argparse.Namespace, strategy: str, kind: Planted, label: str) -> list[Verdict]:
    seeds = range(asked.first_seed, asked.first_seed + asked.markets)
    one = partial(verdict, strategy, kind, asked.trials)
    with ProcessPoolExecutor(asked.workers, get_context("spawn")) as pool:  # polars has threads
        found = pool.map(one, seeds)
        return list(track(found, label, len(seeds), console=Console(stderr=True)))


def verdict(strategy: str, kind: Planted, trials: int, seed: int) -> Verdict:
    """Walk one market forward and judge it."""
    bars = market(kind, HOURS_A_YEAR * YEARS, seed)
    result = walk_forward(
        bars,
        strategy=strategy,
        symbol="TESTUSDT",
        interval="1h",
        options=WalkForwardOptions(trials=trials, seed=seed),
    )
    evidence = judge(result, bars)
    failed = tuple(f.name for f in evidence.findings if not f.passed)
    return Verdict(failed, evidence.figures["sharpe"])


def true_sharpe(strategy: str, kind: Planted) -> float:
    """Return the best of many parameter sets' net Sharpe on a very long sample."""
    bars = market(kind, HOURS_A_YEAR * LONG_YEARS, seed=1)
    window = Window(bars, Span(0, len(bars)), 0)
    built = (try_build(strategy, v) for v in even_sample(strategy_class(strategy).space, 80, 1))
    runs = (window.run(made, Terms()) for made in built if made is not None)
    return max(metrics.sharpe(window.daily_returns(run)) for run in runs)


def wilson(hits: int, count: int) -> tuple[float, float]:
    """Return the 95 % Wilson interval of a rate."""
    rate, z2 = hits / count, _Z**2
    centre = (rate + z2 / (2 * count)) / (1 + z2 / count)
    reach = _Z / (1 + z2 / count) * math.sqrt(rate * (1 - rate) / count + z2 / (4 * count**2))
    return max(centre - reach, 0.0), min(centre + reach, 1.0)


HEADS = ("strategy", "market", "true Sharpe", "promoted", "95 %", "goal", "failed findings")


def _cells(row: Row) -> tuple[str, ...]:
    failed = ", ".join(f"{name} {count}" for name, count in list(row["failed"].items())[:4])
    return (
        row["strategy"],
        f"{row['market']} × {row['markets']}",
        f"{row['true_sharpe']:.2f}",
        f"{row['promoted']:.0%}",
        f"{row['interval'][0]:.1%} – {row['interval'][1]:.1%}",
        "reached" if row["reached"] else "missed",
        failed,
    )


def _show(rows: Sequence[Row]) -> None:
    table = Table(title=f"promotions of {YEARS}-year hourly markets")
    for head in HEADS:
        table.add_column(head, overflow="fold")
    for row in rows:
        table.add_row(*_cells(row))
    Console().print(table)


def write(path: Path, rows: Sequence[Row], trials: int) -> None:
    """Put the rates into their section of a page."""
    intro = (
        f"Seeded markets of {YEARS} years of hourly bars, {trials} trials a fold, otherwise the "
        "default folds, windows and thresholds. An edge is a drift that switches between up and "
        "down; noise has the same volatility. Rates with 95 % Wilson intervals; asked for are at "
        f"least {PROMOTE_AT_LEAST:.0%} of the edges and at most {PROMOTE_AT_MOST:.0%} of noise. "
        f"The true Sharpe ratio is the best set's, after costs, over {LONG_YEARS} years of "
        "the same process. By `make bench-evidence`."
    )
    body = [_cells(row) for row in rows]
    replace_section(path, "evidence", "Evidence", intro, [HEADS, *body])


if __name__ == "__main__":
    sys.exit(main())
