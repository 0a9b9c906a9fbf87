"""Results: what a backtest, a walk-forward and the judgement of it consist of.

Add here: a figure that is shown beside the others. Keep out: computing it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

import polars as pl

from thunes_core.domain.parameters import ParameterSet


@dataclass(frozen=True, slots=True)
class BacktestResult:
    """One simulated run of one symbol.

    `equity`: columns open_time (us, UTC), equity (quote units), one row per bar.
    `trades`: entry_time, exit_time (null while open), entry_price, exit_price, quantity, pnl,
    reason (signal, stop_loss, trailing_stop, take_profit, open), fees; quote units.
    `metrics`: by name, semantics §5; NaN where undefined.
    """

    equity: pl.DataFrame
    trades: pl.DataFrame
    metrics: Mapping[str, float]
    rejected_orders: int = 0


@dataclass(frozen=True, slots=True)
class PortfolioResult:
    """One simulated run of several symbols on shared cash.

    `equity`: open_time, equity, cash, one row per time; `quantities`: a column per symbol, base
    units at those times. `trades`: as in `BacktestResult`, with symbol. `metrics` of the whole.
    """

    equity: pl.DataFrame
    quantities: pl.DataFrame
    trades: pl.DataFrame
    metrics: Mapping[str, float]
    rejected_orders: int = 0


@dataclass(frozen=True, slots=True)
class FoldResult:
    """One fold of a walk-forward: its spans (UTC, end excluded), the choice, both results."""

    number: int
    train_start: datetime
    train_end: datetime
    test_start: datetime
    test_end: datetime
    parameters: ParameterSet
    trials: int
    train_metrics: Mapping[str, float]
    test_metrics: Mapping[str, float]
    test_equity: pl.DataFrame


@dataclass(frozen=True, slots=True)
class WalkForwardResult:
    """A whole walk-forward; `stitched` has columns open_time, equity, one row per test bar.

    `chosen` is the parameter set re-fitted on the newest training window: the candidate.
    `trials` counts every trial of all folds and of the final fit. `trial_table` has a row for each:
    fold, number, the parameters, sharpe, total_return, max_drawdown, trades (null where the
    strategy refused the combination), feasible, search (the name under which the trials of a fold
    are kept). `files` document the final fit, by name.
    `bars_from` is the first bar; `chosen_from` and `chosen_until` (end excluded) the newest
    training window. Times UTC. `made_with`: how it was searched and what a run cost, in words.
    """

    strategy: str
    symbol: str
    interval: str
    folds: tuple[FoldResult, ...]
    stitched: pl.DataFrame
    metrics: Mapping[str, float]
    chosen: ParameterSet
    trials: int
    data_fingerprint: str
    trial_table: pl.DataFrame = field(default_factory=pl.DataFrame)
    files: Mapping[str, bytes] = field(default_factory=dict)
    bars_from: datetime | None = None
    chosen_from: datetime | None = None
    chosen_until: datetime | None = None
    made_with: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Finding:
    """One judged figure: its value, the threshold, whether it passes, and the sentence."""

    name: str
    value: float
    threshold: float
    passed: bool
    sentence: str


@dataclass(frozen=True, slots=True)
class Evidence:
    """What a parameter set stands on: figures by name and the findings that judge them."""

    figures: Mapping[str, float]
    findings: tuple[Finding, ...]

    @property
    def passed(self) -> bool:
        """True when every finding passed."""
        return all(finding.passed for finding in self.findings)
