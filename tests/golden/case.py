"""Read the hand-made cases and compare a simulation with the answer of one.

Add here: a key that a case may have. Keep out: the simulation.
"""

from __future__ import annotations

import math
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from thunes_core.backtest import kernel
from thunes_core.backtest.simulate import BarArrays, Run, terms_of
from thunes_core.domain.limits import Costs, LimitEntry, LotRules, Protection
from thunes_core.trading.rules import REASONS

HOUR_US = 3_600_000_000
CASES = Path(__file__).parent / "cases"
_KEYS = {
    "name", "says", "bars", "targets", "cash", "costs", "protection", "lots",
    "entry", "trades", "equity", "rejected", "long",
}  # fmt: skip
_TRADE_KEYS = {"entry", "exit", "bought", "sold", "quantity", "pnl", "fees", "reason"}

Simulation = Callable[[BarArrays, Any, kernel.Terms, float, LimitEntry | None], Run]


class Case(NamedTuple):
    """One case: what goes in, and the table of answers."""

    name: str
    bars: BarArrays
    target: np.ndarray
    terms: kernel.Terms
    cash: float
    entry: LimitEntry | None
    answers: dict[str, Any]


def all_cases() -> list[Case]:
    """Read every case of the folder, in the order of the files."""
    return [
        _case(path.stem, raw)
        for path in sorted(CASES.glob("*.toml"))
        for raw in tomllib.loads(path.read_text())["case"]
    ]


def market_cases() -> list[Case]:
    """Return the cases whose entries are at the market."""
    return [case for case in all_cases() if case.entry is None]


def _case(file: str, raw: dict[str, Any]) -> Case:
    unknown = set(raw) - _KEYS | {k for t in raw.get("trades", []) for k in set(t) - _TRADE_KEYS}
    if unknown or len(raw["bars"]) != len(raw["targets"]):
        raise ValueError(
            f"{file}: {raw['name']}: unknown keys {unknown}, or bars and targets differ"
        )
    free = {"taker_fee": 0.0, "maker_fee": 0.0, "slippage": 0.0}
    return Case(
        name=f"{file}: {raw['name']}",
        bars=bars_of(raw["bars"]),
        target=np.nan_to_num(np.array(raw["targets"], float), nan=0.0),
        terms=terms_of(
            Costs(**{**free, **raw.get("costs", {})}),
            Protection(**raw.get("protection", {})),
            LotRules(**raw.get("lots", {})),
        ),
        cash=float(raw.get("cash", 1000)),
        entry=LimitEntry(**raw["entry"]) if "entry" in raw else None,
        answers=raw,
    )


def bars_of(rows: list[list[float]]) -> BarArrays:
    """Return hourly bars from 1970 on from rows of open, high, low, close."""
    prices = np.array(rows, float).T.copy()
    time = np.arange(len(rows), dtype=np.int64) * HOUR_US
    return BarArrays(time, prices[0], prices[1], prices[2], prices[3], HOUR_US)


def differences(case: Case, simulate: Simulation) -> list[str]:
    """Return what the simulation does otherwise than the case says; empty when it agrees."""
    run = simulate(case.bars, case.target, case.terms, case.cash, case.entry)
    expected = case.answers.get("trades", [])
    found = [_readable(row) for row in run.trades]
    wrong = [] if len(found) == len(expected) else [f"{len(found)} trades: {found}"]
    for number, (want, got) in enumerate(zip(expected, found, strict=False)):
        wrong += [
            f"trade {number}: {key} is {got[key]}, not {value}"
            for key, value in want.items()
            if not _same(got[key], value)
        ]
        if ("exit" in want or want.get("reason", "open") != "open") == math.isnan(got["exit"]):
            wrong.append(f"trade {number}: exit is {got['exit']}")
    return wrong + _state_differences(case.answers, run)


def _state_differences(answers: dict[str, Any], run: Run) -> list[str]:
    wrong = []
    if "equity" in answers and not np.allclose(run.equity, answers["equity"], rtol=1e-12):
        wrong.append(f"equity is {run.equity.tolist()}, not {answers['equity']}")
    if run.rejected != answers.get("rejected", 0):
        wrong.append(f"{run.rejected} rejected, not {answers.get('rejected', 0)}")
    share = np.count_nonzero(run.quantity) / len(run.quantity)
    if share != answers.get("long", share):
        wrong.append(f"long for {share} of the bars, not {answers['long']}")
    return wrong


def _readable(row: np.ndarray) -> dict[str, Any]:
    is_open = int(row[kernel.REASON]) == REASONS.index("open")
    return {
        "entry": row[kernel.ENTRY_TIME] / HOUR_US,
        "exit": math.nan if is_open else row[kernel.EXIT_TIME] / HOUR_US,
        "bought": row[kernel.SPENT] / row[kernel.BOUGHT],
        "sold": math.nan if is_open else row[kernel.RECEIVED] / row[kernel.SOLD],
        "quantity": row[kernel.BOUGHT],
        "pnl": row[kernel.PNL],
        "fees": row[kernel.FEES],
        "reason": REASONS[int(row[kernel.REASON])],
    }


def _same(got: Any, want: Any) -> bool:
    if isinstance(want, str):
        return bool(got == want)
    return math.isclose(got, want, rel_tol=1e-12, abs_tol=1e-9)
