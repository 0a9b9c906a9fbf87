"""Run many parameter combinations over the same bars, with every metric of semantics §5 for each.

Combinations are worked off in batches over threads: the changes of each distinct target are made
once (indicators shared), each combination is a leaping run, results are handed out batch by batch.
Memory is bounded by the batches in flight and does not grow with the number of combinations.

A combination names parameters of the strategy (others keep their defaults) and, if it likes,
fields of `Protection` (`stop_loss`, …).

Add here: how combinations are divided and gathered. Keep out: rules, metrics, drawing.
"""

from __future__ import annotations

import dataclasses
import math
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import polars as pl

from thunes_core.backtest import leap, metrics
from thunes_core.backtest.kernel import Floats, Terms
from thunes_core.backtest.simulate import MINUTE_US, arrays_from, terms_of
from thunes_core.backtest.targets import changes_of
from thunes_core.backtest.terrain import Terrain, terrain_of
from thunes_core.domain.limits import Conditions, Protection
from thunes_core.domain.parameters import Value
from thunes_core.errors import ParametersInvalid
from thunes_core.indicators.columns import Columns, columns_of
from thunes_core.strategies.base import Strategy, make, parameter_types, strategy_class

BATCH = 1024
"""Combinations a batch, at most."""

BATCH_VALUES = 400_000
"""Daily equities a batch, at most: 3 MB, which stay in the cache."""

BATCH_BARS = 2**28
"""Bars times combinations a batch, at most: a batch of minutes takes a second or less."""

EXITS = tuple(f.name for f in dataclasses.fields(Protection))
Grid = Mapping[str, Sequence[Value]]
Values = Mapping[str, Value]
Progress = Callable[[int, int], None]


class Ground(NamedTuple):
    """Bars prepared once for any number of runs; shared by threads.

    The first `skip` bars only warm up indicators: runs begin flat at the bar after them.
    """

    terrain: Terrain
    columns: Columns
    bars: pl.DataFrame
    skip: int


class Batch(NamedTuple):
    """Results of some combinations, a row each, in their order; NaN where one is refused.

    `metrics` by name as in `metrics.NAMES`; `daily_equity` (rows, days) in quote units.
    """

    metrics: dict[str, Floats]
    daily_equity: Floats
    rejected_orders: Floats
    refused: npt.NDArray[np.bool_]


class _Tasks(NamedTuple):
    """Distinct strategies (None where refused), which of them each row runs, and its terms."""

    strategies: list[Strategy | None]
    which: npt.NDArray[np.int64]
    terms: Floats


def prepare(bars: pl.DataFrame, *, skip: int = 0) -> Ground:
    """Prepare bars of one symbol (schema of bars, sorted) for `evaluate` and `sweep`."""
    columns = columns_of(bars)
    return Ground(terrain_of(arrays_from(columns, skip)), columns, bars, skip)


def evaluate(
    ground: Ground,
    strategy: str,
    combinations: Sequence[Values],
    conditions: Conditions = Conditions(),  # noqa: B008 - immutable
) -> Batch:
    """Run `strategy` once per combination, in this thread, and measure each.

    Raises `UnknownName`, or `ParametersInvalid` for names that nobody knows.
    """
    cls = strategy_class(strategy)
    require_names(cls, {name for values in combinations for name in values})
    signals: dict[tuple[tuple[str, Value], ...], int] = {}
    which = [
        signals.setdefault(tuple((k, v) for k, v in values.items() if k not in EXITS), len(signals))
        for values in combinations
    ]
    terms = _base_terms(conditions, len(combinations))
    for row, values in enumerate(combinations):
        for name in EXITS:
            if name in values:
                terms[row, _TERM[name]] = float(values[name]) * _UNIT.get(name, 1)
    made = [_try_make(cls, dict(signal)) for signal in signals]
    return _run(ground, _Tasks(made, np.array(which, np.int64), terms), conditions.cash)


def sweep_batches(
    ground: Ground,
    strategy: str,
    grid: Grid,
    conditions: Conditions = Conditions(),  # noqa: B008 - immutable
    *,
    threads: int | None = None,
    progress: Progress | None = None,
) -> Iterator[pl.DataFrame]:
    """Yield frames of one row per combination of `grid`, the last name varying fastest.

    Columns: the names of the grid, the metrics, rejected_orders. Combinations that the strategy
    refuses have no row. `progress` is told (combinations done, all) after each batch. The results
    do not depend on `threads` (default: all cores).
    """
    cls = strategy_class(strategy)
    grid = _typed_grid(cls, grid)
    total = math.prod(len(values) for values in grid.values())
    threads = threads or core_count()
    size = _batch_size(ground.terrain, total, threads)

    def work(start: int) -> tuple[int, pl.DataFrame]:
        stop = min(start + size, total)
        return stop, _grid_batch(ground, cls, grid, start, stop, conditions)

    for stop, frame in _in_order(work, range(0, total, size), threads):
        if progress is not None:
            progress(stop, total)
        yield frame


def sweep(
    bars: pl.DataFrame,
    strategy: str,
    grid: Grid,
    conditions: Conditions = Conditions(),  # noqa: B008 - immutable
    *,
    threads: int | None = None,
    progress: Progress | None = None,
) -> pl.DataFrame:
    """Return all rows of `sweep_batches` over `bars` in one frame."""
    batches = sweep_batches(
        prepare(bars), strategy, grid, conditions, threads=threads, progress=progress
    )
    return pl.concat(batches)


def heat_map(rows: pl.DataFrame, x: str, y: str, metric: str = "sharpe") -> pl.DataFrame:
    """Return the best `metric` by `y` (rows, first column) and `x` (columns), both ascending.

    With more names in the grid each field is the best over them; empty fields are null.
    """
    best = rows.group_by(y, x).agg(pl.col(metric).fill_nan(None).max())
    return best.sort(x).pivot(on=x, index=y, values=metric).sort(y)


def require_names(cls: type[Strategy], names: Iterable[str]) -> None:
    """Raise `ParametersInvalid` unless every name is a parameter of `cls` or of `Protection`."""
    known = {*parameter_types(cls), *EXITS}
    unknown = sorted(set(names) - known)
    if unknown:
        raise ParametersInvalid(
            f"{cls.name}: expected names among {sorted(known)}; it was {unknown}; correct them"
        )


def core_count() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


_TERM = {name: Terms._fields.index(name) for name in EXITS if name in Terms._fields}
_TERM["cooldown_minutes"] = Terms._fields.index("cooldown_us")
_UNIT = {"cooldown_minutes": MINUTE_US}


def _base_terms(conditions: Conditions, rows: int) -> Floats:
    row = terms_of(conditions.costs, conditions.protection, conditions.lots)
    return np.tile(np.array(row, np.float64), (rows, 1))


def _try_make(cls: type[Strategy], values: Values) -> Strategy | None:
    try:
        return make(cls, values)
    except ParametersInvalid:
        return None


def _batch_size(terrain: Terrain, total: int, threads: int) -> int:
    """Return how many combinations make a batch: many, but with every thread busy to the end."""
    by_days, by_bars = BATCH_VALUES // len(terrain.day_ends), BATCH_BARS // len(terrain.time)
    largest = max(1, min(BATCH, by_days, by_bars))
    rounds = math.ceil(total / (largest * threads))
    return math.ceil(total / (rounds * threads))


def _typed_grid(cls: type[Strategy], grid: Grid) -> dict[str, list[Value]]:
    """Return the grid with whole numbers as floats where floats are meant, or refuse it."""
    require_names(cls, grid)
    kinds = {**dict.fromkeys(EXITS, float), **parameter_types(cls)}
    empty = sorted(name for name, values in grid.items() if not values)
    if empty or not grid:
        raise ParametersInvalid(f"grid: expected values for every name; {empty or 'none'} lack")
    typed: dict[str, list[Value]] = {
        name: [float(v) if kinds[name] is float and type(v) is int else v for v in values]
        for name, values in grid.items()
    }

    def allowed(name: str, value: float) -> bool:
        return math.isfinite(value) and (value >= 0.0 or name not in EXITS)

    wrong = [
        f"{name}={value!r}"
        for name, values in typed.items()
        for value in values
        if type(value) is not kinds[name] or (isinstance(value, float) and not allowed(name, value))
    ]
    if wrong:
        raise ParametersInvalid(
            f"grid: expected finite values of the parameters' types, exits from 0 up; "
            f"it was {', '.join(wrong)}; correct them"
        )
    return typed


def _grid_batch(
    ground: Ground,
    cls: type[Strategy],
    grid: Mapping[str, list[Value]],
    start: int,
    stop: int,
    conditions: Conditions,
) -> pl.DataFrame:
    """Run the combinations [start, stop) of `grid` and return their rows."""
    shape = tuple(len(values) for values in grid.values())
    digits = dict(zip(grid, np.unravel_index(np.arange(start, stop), shape), strict=True))
    found = _run(ground, _grid_tasks(cls, grid, digits, conditions), conditions.cash)
    columns = {name: np.array(grid[name])[digit] for name, digit in digits.items()}
    counts = {
        "trades": np.nan_to_num(found.metrics["trades"]).astype(np.int64),
        "rejected_orders": np.nan_to_num(found.rejected_orders).astype(np.int64),
    }
    frame = pl.DataFrame({**columns, **found.metrics, **counts})
    return frame.filter(~found.refused) if found.refused.any() else frame


def _grid_tasks(
    cls: type[Strategy],
    grid: Mapping[str, list[Value]],
    digits: Mapping[str, npt.NDArray[np.int64]],
    conditions: Conditions,
) -> _Tasks:
    own = [name for name in grid if name not in EXITS]
    rows = len(next(iter(digits.values())))
    key = np.zeros(rows, np.int64)
    for name in own:
        key = key * len(grid[name]) + digits[name]
    _, first, which = np.unique(key, return_index=True, return_inverse=True)
    picked = [[grid[name][i] for i in digits[name][first]] for name in own]
    names = tuple(own)
    made = [_try_make(cls, dict(zip(names, row, strict=True))) for row in zip(*picked, strict=True)]
    terms = _base_terms(conditions, rows)
    for name in grid:
        if name in EXITS:
            values = np.array(grid[name], np.float64) * _UNIT.get(name, 1)
            terms[:, _TERM[name]] = values[digits[name]]
    return _Tasks(made or [_try_make(cls, {})], which, terms)


def _run(ground: Ground, tasks: _Tasks, cash: float) -> Batch:
    """Make the changes of every accepted strategy, run its rows, and measure all at once."""
    made = [strategy for strategy in tasks.strategies if strategy is not None]
    accepted = np.array([strategy is not None for strategy in tasks.strategies], bool)
    runs = accepted[tasks.which]
    place = np.where(runs, (np.cumsum(accepted) - 1)[tasks.which], -1)
    daily = np.full((len(runs), len(ground.terrain.day_ends)), np.nan)
    sums = np.full((len(runs), leap.REJECTIONS + 1), np.nan)
    first = 0
    for found in changes_of(made, ground.bars, ground.columns, ground.skip):
        after = first + len(found.places)
        rows = np.flatnonzero((place >= first) & (place < after))
        which = place[rows] - first
        leap.run_many(ground.terrain, *found, rows, which, float(cash), tasks.terms, daily, sums)
        first = after
    figures = _figures(daily, sums, ground.terrain, cash)
    return Batch(figures, daily, sums[:, leap.REJECTIONS], ~runs)


def _figures(daily: Floats, sums: Floats, terrain: Terrain, cash: float) -> dict[str, Floats]:
    bars = len(terrain.time)
    return metrics.figures(
        daily,
        cash=cash,
        drawdown=sums[:, leap.WORST] - 1.0,
        closed=sums[:, leap.CLOSED],
        wins=sums[:, leap.WINS],
        gains=sums[:, leap.GAINS],
        losses=sums[:, leap.LOSSES],
        exposure=sums[:, leap.LONG_BARS] / bars,
        traded=sums[:, leap.TRADED],
        mean_equity=sums[:, leap.EQUITY_SUM] / bars,
    )


def _in_order(
    work: Callable[[int], tuple[int, pl.DataFrame]], starts: Iterable[int], threads: int
) -> Iterator[tuple[int, pl.DataFrame]]:
    """Yield the results of `work` in order, at most two batches a thread ahead of the reader."""
    waiting: deque[Future[tuple[int, pl.DataFrame]]] = deque()
    with ThreadPoolExecutor(threads, thread_name_prefix="sweep") as pool:
        for start in starts:
            if len(waiting) >= 2 * threads:
                yield waiting.popleft().result()
            waiting.append(pool.submit(work, start))
        while waiting:
            yield waiting.popleft().result()
