"""Figures of a backtest for the browser (Plotly): equity, drawdown, trades, rolling Sharpe.

Colours are chosen to be read on white and on black; backgrounds are left to the page. Long series
are thinned to what a screen can show, keeping the extremes.

Add here: a figure of the backtest's page. Keep out: the page, figures for messages (`plots`).
"""

from __future__ import annotations

from calendar import month_abbr
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import polars as pl

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

Line = npt.NDArray[np.float64]

STRATEGY, HOLD, GOOD, BAD = "#3b82c4", "#94a3b8", "#2f9e63", "#d1483c"
GRID = "rgba(128,128,128,0.22)"
INK = "#7b8794"
SHADE = "rgba(59,130,196,0.25)"
FILLS = {"strategy": "tozeroy", "buy and hold": "none"}
BUCKETS = 1500
"""Two points of each bucket are drawn: more than a screen has columns."""
MAX_MARKS = 2000
LOG_FROM = 8.0
"""An equity that grows more than so many times is drawn on a logarithmic axis."""


def equity_figure(equity: pl.DataFrame, held: pl.DataFrame, cash: float) -> Figure:
    """Draw equity beside buy and hold, above the drawdown of both.

    Frames have open_time (UTC) and equity (quote units); peaks begin at `cash`.
    """
    from plotly.subplots import make_subplots

    figure = make_subplots(rows=2, shared_xaxes=True, row_heights=[0.7, 0.3], vertical_spacing=0.04)
    for name, frame, colour in (("buy and hold", held, HOLD), ("strategy", equity, STRATEGY)):
        times, values = frame["open_time"], frame["equity"].to_numpy()
        fall = values / np.maximum(np.maximum.accumulate(values), cash) - 1
        figure.add_trace(_curve(times, values, name, colour, ",.2f"), row=1, col=1)
        below = _curve(times, fall, f"{name}, drawdown", colour, ".2%")
        below.update(showlegend=False, fill=FILLS[name], fillcolor=SHADE)
        figure.add_trace(below, row=2, col=1)
    span = equity["equity"].to_numpy()
    growth = span.max() / span.min() if len(span) and span.min() > 0 else 1.0
    figure.update_yaxes(type="log" if growth > LOG_FROM else "linear", row=1, col=1)
    figure.update_yaxes(tickformat=".0%", row=2, col=1)
    return _dressed(figure, 460)


def trades_figure(bars: pl.DataFrame, trades: pl.DataFrame) -> Figure:
    """Draw closes with a mark for each entry and each exit, coloured by gain.

    Of very many trades those with the largest gains and losses are marked.
    """
    from plotly.graph_objects import Figure

    figure = Figure(_curve(bars["open_time"], bars["close"].to_numpy(), "close", HOLD, ",.8~g"))
    shown = trades.sort(pl.col("pnl").abs(), descending=True).head(MAX_MARKS).sort("entry_time")
    closed = shown.filter(pl.col("exit_time").is_not_null())
    figure.add_trace(_marks(shown, "entry", "triangle-up", STRATEGY, "entry"))
    gain, loss = closed.filter(pl.col("pnl") > 0), closed.filter(pl.col("pnl") <= 0)
    figure.add_trace(_marks(gain, "exit", "triangle-down", GOOD, "exit, gain"))
    figure.add_trace(_marks(loss, "exit", "triangle-down", BAD, "exit, loss"))
    return _dressed(figure, 400)


def rolling_sharpe_figure(rolling: pl.DataFrame) -> Figure:
    """Draw `sharpe` over `day` (both columns); NaN is a gap."""
    from plotly.graph_objects import Figure

    figure = Figure(
        _curve(rolling["day"], rolling["sharpe"].to_numpy(), "rolling Sharpe", STRATEGY, ".2f")
    )
    figure.add_hline(y=0, line={"color": INK, "width": 1, "dash": "dot"})
    return _dressed(figure, 260)


def monthly_figure(monthly: pl.DataFrame) -> Figure:
    """Draw year, month, return (fraction) as a heat map, newest year on top, with year totals.

    `customdata` holds the texts without decimals, for a narrow screen.
    """
    from plotly.graph_objects import Figure, Heatmap

    years = monthly["year"].unique().sort(descending=True).to_list()
    cells = np.full((len(years), 13), np.nan)
    for year, month, value in monthly.select("year", "month", "return").iter_rows():
        cells[years.index(year), month - 1] = value
    cells[:, 12] = np.nanprod(1 + cells[:, :12], axis=1) - 1
    limit = max(float(np.nanmax(np.abs(cells[:, :12]))), 1e-9)
    words, short = (
        [["" if np.isnan(v) else f"{v * 100:.{digits}f}" for v in row] for row in cells]
        for digits in (1, 0)
    )
    heat = Heatmap(
        z=cells,
        x=[*month_abbr[1:], "year"],
        y=[str(year) for year in years],
        text=words,
        customdata=short,
        texttemplate="%{text}",
        hovertemplate="%{y}, %{x}: %{z:.2%}<extra></extra>",
        colorscale=[[0, BAD], [0.5, "#e9edf1"], [1, GOOD]],
        zmin=-limit,
        zmax=limit,
        showscale=False,
        xgap=2,
        ygap=2,
    )
    figure = _dressed(Figure(heat), 60 + 34 * len(years))
    initials = [*(name[0] for name in month_abbr[1:]), "year"]
    figure.update_xaxes(side="top", tickmode="array", tickvals=list(range(13)), ticktext=initials)
    figure.update_xaxes(showgrid=False, fixedrange=True, ticks="", tickangle=0)
    figure.update_yaxes(type="category", autorange="reversed", ticks="")
    figure.update_yaxes(showgrid=False, fixedrange=True)
    return figure.update_layout(margin={"l": 38, "r": 4, "t": 26, "b": 4}, hovermode="closest")


def extremes(values: Line, buckets: int = BUCKETS) -> npt.NDArray[np.int64]:
    """Return the rows to draw: first, last, and lowest and highest of each bucket; NaN kept."""
    count = len(values)
    if count <= 2 * buckets:
        return np.arange(count)
    edges = np.linspace(0, count, buckets + 1).astype(np.int64)
    known = np.nan_to_num(values, nan=float(np.nanmean(values)))
    parts = [known[a:b] for a, b in pairwise(edges)]
    lowest = edges[:-1] + [part.argmin() for part in parts]
    highest = edges[:-1] + [part.argmax() for part in parts]
    return np.unique(np.concatenate(([0], lowest, highest, [count - 1])))


def _curve(times: pl.Series, values: Line, name: str, colour: str, form: str) -> Any:
    from plotly.graph_objects import Scatter

    rows = extremes(values)
    return Scatter(
        x=_local(times)[rows],
        y=values[rows],
        name=name,
        mode="lines" if len(rows) > 1 else "markers",
        line={"color": colour, "width": 1.3},
        hovertemplate=f"%{{y:{form}}}",
    )


def _marks(trades: pl.DataFrame, side: str, symbol: str, colour: str, name: str) -> Any:
    from plotly.graph_objects import Scatter

    words = [f"{r}, {p:+,.2f}" for r, p in trades.select("reason", "pnl").iter_rows()]
    return Scatter(
        x=_local(trades[f"{side}_time"]),
        y=trades[f"{side}_price"].to_numpy(),
        name=name,
        mode="markers",
        marker={"color": colour, "symbol": symbol, "size": 8, "line": {"width": 0}},
        text=words if side == "exit" else None,
        hovertemplate="%{y:,.8~g} %{text}" if side == "exit" else "%{y:,.8~g}",
    )


def _local(times: pl.Series) -> npt.NDArray[np.datetime64]:
    """Return UTC times without a zone: the browser shows them as they are."""
    return times.dt.replace_time_zone(None).dt.cast_time_unit("ms").to_numpy()


def _dressed(figure: Figure, height: int) -> Figure:
    figure.update_xaxes(gridcolor=GRID, zeroline=False, showline=False, automargin=True)
    figure.update_yaxes(gridcolor=GRID, zeroline=False, automargin=True, nticks=6)
    return figure.update_layout(
        height=height,
        template="none",
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        font={"color": INK, "size": 11, "family": "system-ui, 'Liberation Sans', sans-serif"},
        margin={"l": 44, "r": 8, "t": 28, "b": 28},
        hovermode="x unified",
        modebar={"bgcolor": "rgba(0,0,0,0)", "color": INK, "activecolor": STRATEGY},
        legend={"orientation": "h", "x": 0, "y": 1.0, "yanchor": "bottom"},
        hoverlabel={"bgcolor": "#1f2933", "font": {"color": "#f5f7fa"}},
    )
