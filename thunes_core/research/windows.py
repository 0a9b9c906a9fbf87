"""A window of bars on which parameter sets are run: warm-up from before it, money from its start.

Add here: a measure of one parameter set on one window. Keep out: choosing among sets.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import product

import numpy as np
import numpy.typing as npt
import polars as pl

from thunes_core.backtest import metrics
from thunes_core.backtest.kernel import Floats
from thunes_core.backtest.simulate import (
    CASH,
    BarArrays,
    Run,
    bar_arrays,
    equity_frame,
    run_arrays,
    run_metrics,
    target_array,
    terms_of,
    trades_frame,
)
from thunes_core.domain.limits import Costs, LotRules, Protection
from thunes_core.domain.parameters import Choice, Value
from thunes_core.domain.results import BacktestResult
from thunes_core.errors import ParametersInvalid
from thunes_core.indicators.columns import Columns, columns_of
from thunes_core.research.splits import Span
from thunes_core.strategies.base import FromColumns, Strategy, build, strategy_class


@dataclass(frozen=True, slots=True)
class Terms:
    """What every run of one study shares: starting cash (quote units), costs, exits, lot rules."""

    cash: float = CASH
    costs: Costs = field(default_factory=Costs)
    protection: Protection = field(default_factory=Protection)
    lots: LotRules = field(default_factory=LotRules)

    def at_costs(self, factor: float) -> Terms:
        """Return the same terms with the costs multiplied."""
        return Terms(self.cash, self.costs.times(factor), self.protection, self.lots)


class Window:
    """Rows `span` of `bars`, with up to `lead` rows before it for warm-up; immutable after making.

    A run begins flat at the span's first bar. Indicators are computed once per window.
    """

    def __init__(self, bars: pl.DataFrame, span: Span, lead: int) -> None:
        first = max(span.start - lead, 0)
        self.led: pl.DataFrame = bars[first : span.stop]
        self._skip = span.start - first
        self.bars: pl.DataFrame = bars[span.start : span.stop]
        self._arrays: BarArrays = bar_arrays(self.bars)
        self._columns: Columns = columns_of(self.led)
        self._day_ends: npt.NDArray[np.int64] = metrics.day_ends(self._arrays.time)

    def run(self, strategy: Strategy, terms: Terms) -> Run:
        """Run `strategy` from flat over the window."""
        target = target_array(self._exposure(strategy)[self._skip :], len(self._arrays.time))
        rules = terms_of(terms.costs, terms.protection, terms.lots)
        return run_arrays(self._arrays, target, rules, terms.cash)

    def backtest(self, strategy: Strategy, terms: Terms) -> BacktestResult:
        """Run `strategy` and return frames and metrics."""
        run = self.run(strategy, terms)
        return BacktestResult(
            equity_frame(self.bars, run), trades_frame(run), run_metrics(run), run.rejected
        )

    def daily_returns(self, run: Run) -> Floats:
        """Return the run's returns per UTC day (days,)."""
        return self.daily_returns_of(run.equity, run.start_cash)

    def daily_returns_of(self, equity: Floats, cash: float) -> Floats:
        """Return the returns per UTC day of an equity per bar that began with `cash`."""
        return metrics.daily_returns(equity[self._day_ends], cash)

    @property
    def days(self) -> int:
        """Count the UTC days that have bars."""
        return len(self._day_ends)

    def _exposure(self, strategy: Strategy) -> Floats:
        if isinstance(strategy, FromColumns):
            return strategy.exposure(self._columns)
        return strategy.target_exposure(self.led).to_numpy()


def try_build(strategy: str, values: Mapping[str, Value]) -> Strategy | None:
    """Build a strategy; None for a combination that it refuses (fast above slow, say)."""
    try:
        return build(strategy, values)
    except ParametersInvalid:
        return None


def longest_warmup(strategy: str) -> int:
    """Return the most warm-up bars that any corner of the strategy's space asks for."""
    built = (try_build(strategy, corner) for corner in _corners(strategy))
    return max((made.warmup_bars for made in built if made is not None), default=0)


def _corners(strategy: str) -> Iterator[dict[str, Value]]:
    dimensions = strategy_class(strategy).space.dimensions
    ends: list[tuple[Value, ...]] = [
        d.options if isinstance(d, Choice) else (d.low, d.high) for d in dimensions.values()
    ]
    for corner in product(*ends):
        yield dict(zip(dimensions, corner, strict=True))
