"""Several symbols on shared cash (semantics §4): target exposures in, one equity curve out.

Each symbol has a weight; its target is a fraction of weight × equity of the whole account. Limits
per symbol, in total and on the number of positions bind increases alone.

Add here: what a portfolio's run takes or tells. Keep out: rules, metrics' formulas.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from thunes_core.backtest import kernel, metrics
from thunes_core.backtest import portfolio_kernel as pk
from thunes_core.backtest.simulate import (
    BarArrays,
    bar_arrays,
    read_only,
    target_array,
    terms_of,
    trades_frame_of,
)
from thunes_core.domain.bars import TIME
from thunes_core.domain.limits import Conditions, LotRules, PortfolioLimits
from thunes_core.domain.results import PortfolioResult
from thunes_core.errors import BadInput, BarsInvalid

Floats = npt.NDArray[np.float64]
Targets = Mapping[str, pl.Series | npt.NDArray[np.float64]]
_ANY = 2**62


@dataclass(frozen=True, slots=True)
class _Aligned:
    """Bars of all symbols, alphabetical, on one axis of times."""

    symbols: tuple[str, ...]
    bars: tuple[BarArrays, ...]
    time: npt.NDArray[np.int64]
    places: npt.NDArray[np.int64]


def backtest_portfolio(
    bars: Mapping[str, pl.DataFrame],
    targets: Targets,
    *,
    weights: Mapping[str, float] | None = None,
    conditions: Conditions = Conditions(),  # noqa: B008 - immutable
    lots: Mapping[str, LotRules] | None = None,
    limits: PortfolioLimits = PortfolioLimits(),  # noqa: B008 - immutable
) -> PortfolioResult:
    """Run target exposures of several symbols over their bars, by symbol, on shared cash.

    Bars are of one interval; a symbol without a bar at some time keeps its last price and does not
    trade. `weights` default to equal parts of 1; `lots` to those of `conditions`. Raises
    `BadInput` where symbols do not match or weights are no fractions, else as `backtest`.
    """
    aligned = _align(bars)
    shares = _weights(aligned.symbols, weights)
    _require_same("targets", targets, aligned.symbols)
    board = _board(aligned, targets, shares, conditions, lots or {}, limits)
    times, symbols = len(aligned.time), len(aligned.symbols)
    cash, quantity, equity = np.empty(times), np.empty((symbols, times)), np.empty(times)
    closed, rejected, still_open = pk.run_portfolio(
        board, read_only(aligned.time, np.int64), conditions.cash, cash, quantity, equity
    )
    trades = _trades(board.trades[: closed + still_open], aligned.symbols)
    frame = pl.DataFrame(
        {"open_time": pl.Series(aligned.time).cast(TIME), "equity": equity, "cash": cash}
    )
    held = pl.DataFrame(dict(zip(aligned.symbols, quantity, strict=True)))
    measured = metrics.metrics_of(
        frame,
        trades,
        cash=conditions.cash,
        exposure=float((quantity > 0).any(axis=0).mean()),
        traded=float(board.trades[: closed + still_open, [kernel.SPENT, kernel.RECEIVED]].sum()),
    )
    return PortfolioResult(frame, held, trades, measured, rejected)


def _align(bars: Mapping[str, pl.DataFrame]) -> _Aligned:
    """Put the bars of all symbols on the union of their times."""
    if not bars:
        raise BadInput("portfolio: expected bars of at least one symbol; there were none")
    symbols = tuple(sorted(bars))
    arrays = tuple(bar_arrays(bars[symbol]) for symbol in symbols)
    if len({a.interval_us for a in arrays}) > 1:
        raise BarsInvalid("portfolio: expected bars of one interval; they differ; resample them")
    time = np.unique(np.concatenate([a.time for a in arrays]))
    places = np.full((len(symbols), len(time)), -1, np.int64)
    for row, a in zip(places, arrays, strict=True):
        row[np.searchsorted(time, a.time)] = np.arange(len(a.time))
    return _Aligned(symbols, arrays, time, places)


def _weights(symbols: tuple[str, ...], given: Mapping[str, float] | None) -> Floats:
    if given is None:
        return np.full(len(symbols), 1.0 / len(symbols))
    _require_same("weights", given, symbols)
    weights = np.array([given[symbol] for symbol in symbols], float)
    if not (np.isfinite(weights).all() and (weights >= 0).all() and weights.sum() <= 1 + 1e-9):
        raise BadInput(f"weights: expected fractions of at most 1 in sum; it was {dict(given)}")
    return weights


def _require_same(what: str, given: Mapping[str, object], symbols: tuple[str, ...]) -> None:
    if set(given) != set(symbols):
        raise BadInput(
            f"{what}: expected exactly the symbols {', '.join(symbols)}; "
            f"it was {', '.join(sorted(given))}; give one for each"
        )


def _board(
    aligned: _Aligned,
    targets: Targets,
    weights: Floats,
    conditions: Conditions,
    lots: Mapping[str, LotRules],
    limits: PortfolioLimits,
) -> pk.Board:
    symbols, longest = len(aligned.symbols), max(len(a.time) for a in aligned.bars)
    prices, wanted = np.zeros((symbols, 4, longest)), np.zeros((symbols, longest))
    for s, (symbol, a) in enumerate(zip(aligned.symbols, aligned.bars, strict=True)):
        prices[s, :, : len(a.time)] = a[1:5]
        wanted[s, : len(a.time)] = target_array(targets[symbol], len(a.time))
    terms = [
        terms_of(conditions.costs, conditions.protection, lots.get(symbol, conditions.lots))
        for symbol in aligned.symbols
    ]
    return pk.Board(
        places=aligned.places,
        prices=prices,
        targets=wanted,
        weights=weights,
        terms=np.array(terms),
        caps=np.array([limits.max_symbol_exposure, limits.max_total_exposure]),
        max_positions=limits.max_positions or _ANY,
        interval_us=aligned.bars[0].interval_us,
        books=np.zeros((symbols, len(kernel.Book._fields))),
        marks=np.zeros(symbols),
        entered=np.zeros(symbols),
        trades=np.empty((sum(len(a.time) + 1 for a in aligned.bars), pk.SYMBOL + 1)),
    )


def _trades(rows: Floats, symbols: tuple[str, ...]) -> pl.DataFrame:
    named = pl.Series("symbol", [symbols[int(s)] for s in rows[:, pk.SYMBOL]], dtype=pl.String)
    return trades_frame_of(rows).insert_column(0, named)
