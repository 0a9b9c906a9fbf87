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
from thunes_core.domain.parameters import Choice, IntRange, Value
from thunes_core.domain.results import BacktestResult
from thunes_core.indicators.columns import columns_of
from thunes_core.research.fitting import Fitted, Fitting, Material, exposure_of, try_build
from thunes_core.research.splits import Span
from thunes_core.strategies.base import Strategy, strategy_class


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
        self.skip: int = span.start - first
        self.bars: pl.DataFrame = bars[span.start : span.stop]
        self._arrays: BarArrays = bar_arrays(self.bars)
        self._material = Material(self.led, columns_of(self.led), self.skip)
        self._day_ends: npt.NDArray[np.int64] = metrics.day_ends(self._arrays.time)

    def run(self, strategy: Strategy, terms: Terms) -> Run:
        """Run `strategy` from flat over the window."""
        return self.run_exposure(exposure_of(strategy, self._material), terms)

    def run_exposure(self, exposure: Floats, terms: Terms) -> Run:
        """Run an exposure per row, lead included, from flat over the window."""
        target = target_array(exposure[self.skip :], len(self._arrays.time))
        rules = terms_of(terms.costs, terms.protection, terms.lots)
        return run_arrays(self._arrays, target, rules, terms.cash)

    def honest_run(self, fitting: Fitting, values: Mapping[str, Value], terms: Terms) -> Run | None:
        """Run what `values` would have done here without having seen it; None when refused."""
        exposure = fitting.exposure(self._material, values)
        return None if exposure is None else self.run_exposure(exposure, terms)

    def fit(self, fitting: Fitting, values: Mapping[str, Value]) -> Fitted:
        """Return the parameter set that this window gives."""
        return fitting.fit(self._material, values)

    def backtest(self, strategy: Strategy, terms: Terms) -> BacktestResult:
        """Run `strategy` and return frames and metrics."""
        return self.result(self.run(strategy, terms))

    def result(self, run: Run) -> BacktestResult:
        """Return the frames and metrics of a run."""
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


def longest_reach(strategy: str) -> int:
    """Return the most bars that a label of the strategy's space looks ahead; 0 without labels."""
    horizon = strategy_class(strategy).space.dimensions.get("horizon")
    learns = hasattr(strategy_class(strategy), "fitted")
    return horizon.high + 1 if learns and isinstance(horizon, IntRange) else 0


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
