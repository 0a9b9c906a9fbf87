"""Judge the answers of the others: trade for trade, metric for metric, row for row.

Run as `python -m tests.peers.compare FOLDER` after `inputs` and `run_peers`. Where the others
follow another convention, that convention is put into our own code (a changed line of the kernel's
source, another moment) and must then give their answers: a difference counts as explained only if
that holds. Ends with 1 when anything is left over. `docs/agreement.md` tells what is known.

Add here: how an answer is judged. Keep out: asking.
"""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import polars as pl
from rich.table import Table

from tests.thunes_core.backtest.uncompiled import KERNEL, build, simulation
from thunes_core.backtest import kernel
from thunes_core.backtest.metrics import probabilistic_sharpe
from thunes_core.backtest.more_metrics import returns_metrics
from thunes_core.backtest.simulate import BarArrays, Run, backtest, run_arrays, terms_of
from thunes_core.domain.limits import Costs, LotRules, Protection
from thunes_core.research.splits import combinatorial_splits, walk_forward_plan
from thunes_core.trading.rules import OPEN
from thunes_pipelines.cli.output import console

HOUR_US = 3_600_000_000
START_US = 1_672_531_200_000_000
CASH = 1_000_000.0
TOLERANCE = 1e-9

_VISIT = KERNEL[KERNEL.index("    was_flat = b.quantity == 0.0\n    b, done") :]
_VISIT = _VISIT[: _VISIT.index("@compiled")]
_STOPS_FIRST = """    was_flat = b.quantity == 0.0
    if not was_flat:
        b, reason, at_open = protect(b, bar, False, t)
        if reason >= 0:
            return b, reason, bar.time if at_open else bar.time + interval_us, NOTHING
    b, done = rebalance(b, bar, target, previous, t)
    if done == SOLD_OUT:
        return b, rules.SIGNAL, bar.time, done
    return b, -1, 0, done


"""
CONVENTIONS = {"backtesting": KERNEL, "vectorbt": KERNEL.replace(_VISIT, _STOPS_FIRST)}
"""The kernel in the way of each peer. backtesting.py has ours. In vectorbt a stop inside a bar
comes before a signal at its open, and the entry bar neither protects nor lifts the trail."""


class Verdict(NamedTuple):
    """How many things were compared, how many are equal, explained, and left over."""

    name: str
    compared: int
    equal: int
    explained: int
    left: int
    worst: float = 0.0


def own_run(case: dict[str, Any], simulate: Callable[..., Run], lots: LotRules) -> Run:
    """Run one case ourselves."""
    exits = case["exits"]
    columns = [np.array(case[name]) for name in ("open", "high", "low", "close")]
    time = START_US + np.arange(len(columns[0]), dtype=np.int64) * HOUR_US
    bars = BarArrays(time, columns[0], columns[1], columns[2], columns[3], HOUR_US)
    fee = exits.get("fee", 0.0)
    protection = Protection(
        exits.get("stop_loss", 0.0), exits.get("take_profit", 0.0), exits.get("trailing_stop", 0.0)
    )
    terms = terms_of(Costs(fee, fee, exits.get("slippage", 0.0)), protection, lots)
    return simulate(bars, np.array(case["target"]), terms, CASH)


def own_trades(run: Run) -> list[dict[str, float]]:
    """Return our closed trades in the terms of the others; an exit inside a bar is of that bar."""
    found = []
    for row in run.trades[: run.closed]:
        exit_bar = (row[kernel.EXIT_TIME] - START_US) / HOUR_US
        inside = row[kernel.REASON] not in (0, OPEN) and not _at_open(run, row, exit_bar)
        found.append(
            {
                "entry_bar": (row[kernel.ENTRY_TIME] - START_US) / HOUR_US,
                "exit_bar": exit_bar - inside,
                "bought": row[kernel.SPENT] / row[kernel.BOUGHT],
                "sold": row[kernel.RECEIVED] / row[kernel.SOLD],
                "quantity": row[kernel.BOUGHT],
                "pnl": row[kernel.PNL],
                "pnl_per_unit": row[kernel.PNL] / row[kernel.BOUGHT],
            }
        )
    return found


def _at_open(run: Run, row: Any, exit_bar: float) -> bool:
    """True when a protective exit dated at a bar's open was a gap there, not the bar before."""
    return run.quantity[int(exit_bar) - 1] > 0


def compare_trades(peer: str, cases: list[dict[str, Any]], answers: list[Any]) -> list[Verdict]:
    """Compare every trade of one peer, by kind of exits."""
    changed = simulation(build(kernel_source=CONVENTIONS[peer]))
    kinds: dict[str, list[int]] = {}
    worst: dict[str, float] = {}
    for case, answer in zip(cases, answers, strict=True):
        if answer is None:
            continue
        ours = own_trades(own_run(case, run_arrays, LotRules()))
        alike = own_trades(own_run(case, changed, LotRules()))
        equal, distance = _equal_trades(ours, answer)
        explained, distance_alike = _equal_trades(alike, answer)
        both = max(len(ours), len(answer))
        whole = len(alike) == len(answer) == explained
        counts = kinds.setdefault(case["name"], [0, 0, 0, 0])
        counts[0] += both
        counts[1] += equal
        counts[2 if whole else 3] += both - equal
        worst[case["name"]] = max(worst.get(case["name"], 0.0), distance, distance_alike)
    return [Verdict(f"{peer}: {name}", *c, worst[name]) for name, c in kinds.items()]


def _equal_trades(
    ours: list[dict[str, float]], theirs: list[dict[str, float]]
) -> tuple[int, float]:
    """Count their trades that we have too, and the largest relative distance among those."""
    by_entry = {trade["entry_bar"]: trade for trade in ours}
    equal, worst = 0, 0.0
    for trade in theirs:
        mine = by_entry.get(trade["entry_bar"])
        distance = (
            max((_distance(mine[k], v) for k, v in trade.items()), default=1.0) if mine else 1
        )
        equal += distance <= TOLERANCE
        worst = max(worst, distance if distance <= TOLERANCE else 0.0)
    return equal, worst


def _distance(a: float, b: float) -> float:
    if math.isnan(a) and math.isnan(b):
        return 0.0
    return abs(a - b) / max(1.0, abs(a), abs(b))


def compare_metrics(returns: dict[str, list[float]], answers: dict[str, Any]) -> list[Verdict]:
    """Compare every metric of every series with both libraries."""
    verdicts = []
    for library in ("empyrical", "quantstats"):
        counts, worst = [0, 0, 0, 0], 0.0
        for series, found in answers.items():
            values = np.array(returns[series])
            ours, theirs_way = returns_metrics(values), {"psr": _psr_of_sample_moments(values)}
            for name, value in found[library].items():
                distance = _distance(ours[name], value)
                alike = _distance(theirs_way.get(name, math.inf), value)
                counts[0] += 1
                counts[1 if distance <= TOLERANCE else 2 if alike <= TOLERANCE else 3] += 1
                worst = max(worst, min(distance, alike))
        verdicts.append(Verdict(f"{library}: metrics", *counts, worst))
    return verdicts


def _psr_of_sample_moments(returns: Any) -> float:
    """Return PSR(0) as quantstats has it: with the bias-corrected moments of a sample."""
    series = pl.Series(returns)
    skew, kurtosis = series.skew(bias=False), series.kurtosis(bias=False, fisher=False)
    sharpe = float(series.mean() / series.std())
    return probabilistic_sharpe(sharpe, 0.0, len(series), skew, kurtosis)


def compare_splits(asked: dict[str, Any], answers: dict[str, Any]) -> list[Verdict]:
    """Compare every fold and every combination, row by row."""
    walks = [_own_walk(span) for span in asked["walk_forward"]]
    combinations = [_own_combinations(span) for span in asked["combinatorial"]]
    return [
        _verdict_of_lists("skfolio: walk-forward folds", walks, answers["walk_forward"]),
        _verdict_of_lists("skfolio: combinatorial splits", combinations, answers["combinatorial"]),
    ]


def _own_walk(span: dict[str, Any]) -> list[Any]:
    folds = (span["bars"] - span["train"] - span["purge"]) // span["test"]
    plan = walk_forward_plan(
        span["bars"],
        folds=folds,
        train_share=span["train"] / span["bars"],
        purge=span["purge"],
        anchored=span["anchored"],
    )
    return [
        [[s.train.start, s.train.stop - 1], [s.test.start, s.test.stop - 1]] for s in plan.splits
    ]


def _own_combinations(span: dict[str, Any]) -> list[Any]:
    keys = ("groups", "tested", "purge", "embargo")
    found = combinatorial_splits(span["bars"], **{k: span[k] for k in keys})
    return [
        [[i for s in spans for i in range(s.start, s.stop)] for spans in (train, test)]
        for train, test in found
    ]


def _verdict_of_lists(name: str, ours: list[Any], theirs: list[Any]) -> Verdict:
    pairs = [
        (a, b) for mine, other in zip(ours, theirs, strict=True) for a, b in _paired(mine, other)
    ]
    equal = sum(a == b for a, b in pairs)
    return Verdict(name, len(pairs), equal, 0, len(pairs) - equal)


def _paired(mine: list[Any], other: list[Any]) -> list[tuple[Any, Any]]:
    longest = max(len(mine), len(other))
    return list(
        zip(
            mine + [None] * (longest - len(mine)),
            other + [()] * (longest - len(other)),
            strict=True,
        )
    )


def compare_goog(answers: list[dict[str, Any]]) -> list[Verdict]:
    """Reproduce the published example of backtesting.py on its own bars: trades, equity, fall.

    It enters on a cross only (not where the fast mean begins above the slow one) and closes the
    last position at the last bar's open: both are in the target. It buys whole shares.
    """
    bars, *runs = answers
    frame = pl.DataFrame(
        {
            "open_time": pl.Series(bars["time_ms"]) * 1000,
            **{k: bars[k] for k in ("open", "high", "low", "close")},
        }
    ).with_columns(pl.col("open_time").cast(pl.Datetime("us", "UTC")), interval=pl.lit("1d"))
    above = frame["close"].rolling_mean(10) > frame["close"].rolling_mean(30)
    target = above.fill_null(value=False).cast(pl.Float64).to_numpy().copy()
    target[: 29 + int(np.flatnonzero(target[29:] == 0)[0])] = 0.0
    target[-2] = 0.0
    compared, equal, worst = 0, 0, 0.0
    for answer in runs:
        costs = Costs(answer["fee"], answer["fee"], 0.0)
        result = backtest(frame, target, costs=costs, lots=LotRules(step_size=1.0))
        figures = {
            "trades": float(len(result.trades)),
            "final": float(result.equity["equity"][-1]),
            "max_drawdown": result.metrics["max_drawdown"],
        }
        distances = [_distance(figures[name], answer[name]) for name in figures]
        compared += len(distances)
        equal += sum(d <= TOLERANCE for d in distances)
        worst = max(worst, *distances)
    return [Verdict("backtesting: GOOG, SMA 10/30", compared, equal, 0, compared - equal, worst)]


def main(folder: Path) -> int:
    """Print the verdicts and write them to `agreement.json`; return the exit code."""
    asked = json.loads((folder / "inputs.json").read_text())
    answers = json.loads((folder / "answers.json").read_text())
    verdicts = [
        *compare_goog(answers["goog"]),
        *compare_trades("backtesting", asked["cases"], answers["backtesting"]),
        *compare_trades("vectorbt", asked["cases"], answers["vectorbt"]),
        *compare_metrics(asked["returns"], answers["metrics"]),
        *compare_splits(asked["splits"], answers),
    ]
    table = Table(title=", ".join(f"{k} {v}" for k, v in answers["versions"].items()))
    for head in ("", "compared", "equal", "explained", "left over", "largest distance"):
        table.add_column(head, justify="left" if not head else "right")
    for v in verdicts:
        table.add_row(v.name, *(f"{n:,}" for n in v[1:5]), f"{v.worst:.1e}")
    console.print(table)
    (folder / "agreement.json").write_text(
        json.dumps([v._asdict() for v in verdicts], indent=1, default=int)
    )
    return int(any(v.left for v in verdicts))


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
