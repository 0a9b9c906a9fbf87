"""Pictures of a search: every trial in order, and the objective over each parameter.

They say in one still picture what Optuna's own page says in five live ones, for viewers that run no
scripts.

Add here: a picture of trials. Keep out: reading of stores, searching.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import polars as pl

from thunes_core.reporting.plots import BAD, LINE, MUTED, dress, new_figure, nothing_yet, to_png

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_ACROSS = 3
_ROW_INCHES = 2.7


def trials_png(trials: pl.DataFrame, parameters: Sequence[str], title: str) -> bytes:
    """Draw the Sharpe ratio of each trial in order with the best so far, then over each parameter.

    `trials`: columns number, sharpe (per year; null where the strategy refused the combination),
    feasible, and one per name in `parameters` (numbers, texts or flags). Trials that broke a rule
    are crosses.
    """
    done = trials.filter(pl.col("sharpe").is_not_null() & pl.col("sharpe").is_finite())
    rows = -(-len(parameters) // _ACROSS)
    figure = new_figure(_ROW_INCHES * (1 + rows))
    if done.is_empty():
        return nothing_yet(figure, title)
    grid = figure.add_gridspec(1 + rows, _ACROSS)
    history = figure.add_subplot(grid[0, :])
    _draw_history(history, done, title)
    for place, name in enumerate(parameters):
        row, column = divmod(place, _ACROSS)
        axes = figure.add_subplot(grid[1 + row, column], sharey=history)
        _draw_slice(axes, done, name)
    return to_png(figure)


def _draw_history(axes: Axes, done: pl.DataFrame, title: str) -> None:
    _dots(axes, done, "number")
    kept = done.filter(pl.col("feasible"))
    axes.step(kept["number"], kept["sharpe"].cum_max(), color=LINE, lw=1.4, where="post")
    dress(axes, title, "Sharpe ratio", dates=False)
    axes.set_xlabel("trial (line: best so far, crosses: a rule broken)", color=MUTED, fontsize=8)


def _draw_slice(axes: Axes, done: pl.DataFrame, name: str) -> None:
    _dots(axes, done, name)
    dress(axes, "", "", dates=False)
    axes.set_xlabel(name.replace("_", " "), color=MUTED, fontsize=9)


def _dots(axes: Axes, done: pl.DataFrame, name: str) -> None:
    for holds, marker, color in ((True, "o", LINE), (False, "x", BAD)):
        some = done.filter(pl.col("feasible") == holds)
        axes.scatter(_places(some[name]), some["sharpe"], s=14, marker=marker, color=color)


def _places(values: pl.Series) -> Any:
    """Return numbers as they are and anything else as text, which matplotlib spaces evenly."""
    return values if values.dtype.is_numeric() else values.cast(pl.String)
