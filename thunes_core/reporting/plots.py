"""Plots as PNG bytes: equity with drawdown, price with trades, folds of a walk-forward.

Matplotlib's object interface only (no global figure), imported when a plot is drawn. Long series
are thinned to what a screen can show, keeping the extremes, so that a picture stays small.

Add here: a picture that a page or the UI shows. Keep out: reading of stores, computing of results.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from thunes_core.domain.results import FoldResult

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INK, MUTED, GRID = "#1f2933", "#64748b", "#e5e9f0"
LINE, GOOD, BAD, BAND = "#1565a7", "#2e8b57", "#c0392b", "#9fc3e0"
_WIDTH, _DPI, _MAX_POINTS = 10.2, 90, 800


def equity_drawdown_png(
    equity: pl.DataFrame,
    title: str,
    *,
    benchmark: pl.DataFrame | None = None,
    benchmark_name: str = "buy and hold",
    band: pl.DataFrame | None = None,
    width: float = _WIDTH,
) -> bytes:
    """Draw equity above its drawdown.

    `equity`: columns `time` or `open_time` (UTC) and `equity` (quote units), sorted; may be empty.
    `benchmark`: the same columns, or `close` in place of `equity`; scaled to start where equity
    does. `band`: columns `time`, `low`, `high` (quote units). Rows with NaN are left out.
    `width`: inches at 90 dots; a phone's screen is about 4.4.
    """
    curve = _curve(equity, "equity")
    figure = new_figure(4.4, width)
    if curve.is_empty():
        return nothing_yet(figure, title)
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=[3, 1])
    _draw_band(above, band)
    _draw_benchmark(above, benchmark, float(curve["value"][0]), benchmark_name)
    _line(above, curve, LINE, "equity")
    _draw_drawdown(below, curve)
    _legend(above)
    dress(above, title, "equity")
    dress(below, "", "drawdown")
    return to_png(figure)


def price_trades_png(bars: pl.DataFrame, trades: pl.DataFrame, title: str) -> bytes:
    """Draw closes with an upward mark per entry and a downward mark per exit.

    `bars`: columns open_time (UTC), close (quote units). `trades`: entry_time, entry_price,
    exit_time, exit_price (null while open), pnl; exits are green when pnl > 0, else red.
    """
    curve = _curve(bars, "close")
    figure = new_figure(3.8)
    if curve.is_empty():
        return nothing_yet(figure, title)
    axes = figure.subplots()
    _line(axes, curve, MUTED, "close", width=0.9)
    closed = trades.filter(pl.col("exit_time").is_not_null())
    _marks(axes, trades, "entry", "^", LINE, "entry")
    _marks(axes, closed.filter(pl.col("pnl").cast(pl.Float64) > 0), "exit", "v", GOOD, "gain")
    _marks(axes, closed.filter(pl.col("pnl").cast(pl.Float64) <= 0), "exit", "v", BAD, "loss")
    _legend(axes)
    dress(axes, title, "price")
    return to_png(figure)


def promise_png(promise: pl.DataFrame, title: str) -> bytes:
    """Draw the band of growth by day: columns day, low, middle, high (1 = unchanged)."""
    figure = new_figure(3.4)
    axes = figure.subplots()
    day = promise["day"].to_numpy()
    low, high = promise["low"].to_numpy(), promise["high"].to_numpy()
    axes.fill_between(day, low, high, color=BAND, alpha=0.45, lw=0, label="5 to 95 %")
    axes.plot(day, promise["middle"].to_numpy(), color=LINE, lw=1.4, label="middle")
    axes.axhline(1.0, color=MUTED, lw=0.8)
    _legend(axes)
    dress(axes, title, "growth", dates=False)
    axes.set_xlabel("days", color=MUTED, fontsize=9)
    return to_png(figure)


def folds_png(folds: Sequence[FoldResult], title: str, metric: str = "sharpe") -> bytes:
    """Draw the spans of every fold above its `metric` in training and in test, side by side.

    NaN metrics are drawn as no bar.
    """
    figure = new_figure(4.6)
    if not folds:
        return nothing_yet(figure, title)
    spans, values = figure.subplots(2, 1, height_ratios=[1, 1.4])
    _draw_spans(spans, folds)
    _draw_fold_metric(values, folds, metric)
    dress(spans, title, "fold")
    dress(values, "", metric.replace("_", " "), dates=False)
    return to_png(figure)


def _curve(frame: pl.DataFrame, column: str) -> pl.DataFrame:
    """Bring a frame to columns time, value (Float64), without null and NaN."""
    time = "time" if "time" in frame.columns else "open_time"
    value = column if column in frame.columns else "close"
    return (
        frame.select(time=pl.col(time), value=pl.col(value).cast(pl.Float64))
        .drop_nulls()
        .filter(pl.col("value").is_finite())
    )


def _thin(curve: pl.DataFrame) -> pl.DataFrame:
    """Keep the lowest and the highest point of every bucket, at most `_MAX_POINTS` rows."""
    if curve.height <= _MAX_POINTS:
        return curve
    size = -(-curve.height // (_MAX_POINTS // 2))
    rows = curve.with_row_index("row").with_columns(bucket=pl.col("row") // size)
    kept = rows.group_by("bucket").agg(
        pl.col("row").gather(pl.col("value").arg_min()).first().alias("lowest"),
        pl.col("row").gather(pl.col("value").arg_max()).first().alias("highest"),
    )
    wanted = pl.concat([kept["lowest"], kept["highest"]]).unique()
    return rows.filter(pl.col("row").is_in(wanted.implode())).select("time", "value")


def _line(axes: Axes, curve: pl.DataFrame, color: str, label: str, width: float = 1.4) -> None:
    thin = _thin(curve)
    marker = "o" if thin.height == 1 else ""
    times, values = _times(thin["time"]), thin["value"].to_numpy()
    axes.plot(times, values, color=color, lw=width, marker=marker, label=label)
    axes.margins(x=0.01)


def _draw_benchmark(axes: Axes, benchmark: pl.DataFrame | None, start: float, name: str) -> None:
    if benchmark is None:
        return
    curve = _curve(benchmark, "equity")
    if not curve.is_empty():
        scaled = curve.with_columns(pl.col("value") * (start / curve["value"][0]))
        _line(axes, scaled, MUTED, name, width=0.9)


def _draw_band(axes: Axes, band: pl.DataFrame | None) -> None:
    if band is not None and not band.is_empty():
        low, high = band["low"].to_numpy(), band["high"].to_numpy()
        axes.fill_between(
            _times(band["time"]), low, high, color=BAND, alpha=0.45, lw=0, label="promised band"
        )


def _draw_drawdown(axes: Axes, curve: pl.DataFrame) -> None:
    fall = curve.with_columns((pl.col("value") / pl.col("value").cum_max() - 1) * 100)
    thin = _thin(fall)
    times, values = _times(thin["time"]), thin["value"].to_numpy()
    axes.fill_between(times, values, 0, color=BAD, alpha=0.25, lw=0)
    axes.plot(times, values, color=BAD, lw=0.8)
    axes.set_ylim(top=0)
    axes.yaxis.set_major_formatter("{x:g} %")


def _marks(
    axes: Axes, trades: pl.DataFrame, side: str, marker: str, color: str, label: str
) -> None:
    if trades.is_empty():
        return
    prices = trades[f"{side}_price"].cast(pl.Float64).to_numpy()
    axes.scatter(
        _times(trades[f"{side}_time"]),
        prices,
        marker=marker,
        s=26,
        color=color,
        zorder=3,
        label=label,
    )


def _draw_spans(axes: Axes, folds: Sequence[FoldResult]) -> None:
    for fold in folds:
        spans = ((fold.train_start, fold.train_end, BAND), (fold.test_start, fold.test_end, LINE))
        for start, end, color in spans:
            ends = np.array([start.replace(tzinfo=None), end.replace(tzinfo=None)], "M8[us]")
            axes.plot(ends, [fold.number, fold.number], color=color, lw=7, solid_capstyle="butt")
    axes.set_yticks([fold.number for fold in folds])
    axes.invert_yaxis()


def _draw_fold_metric(axes: Axes, folds: Sequence[FoldResult], metric: str) -> None:
    at = np.arange(len(folds))
    train = [fold.train_metrics.get(metric, np.nan) for fold in folds]
    test = [fold.test_metrics.get(metric, np.nan) for fold in folds]
    axes.bar(at - 0.2, train, 0.38, color=BAND, label="train")
    axes.bar(at + 0.2, test, 0.38, color=LINE, label="test (not seen by the search)")
    axes.axhline(0, color=INK, lw=0.8)
    axes.set_xticks(at, [f"fold {fold.number}" for fold in folds])
    _legend(axes)


def _times(column: pl.Series) -> Any:
    """Convert to numpy times that matplotlib shows as UTC."""
    return column.dt.replace_time_zone(None).to_numpy()


def new_figure(height: float, width: float = _WIDTH) -> Figure:
    """Return an empty figure of `height` x `width` inches."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), dpi=_DPI, layout="constrained", facecolor="white")


def dress(axes: Axes, title: str, ylabel: str, *, dates: bool = True) -> None:
    """Give axes the house's look; `dates`: the x axis is time."""
    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter

    if dates:
        locator = AutoDateLocator(minticks=4, maxticks=9)  # type: ignore[no-untyped-call]
        axes.xaxis.set_major_locator(locator)
        formatter = ConciseDateFormatter(locator)  # type: ignore[no-untyped-call]
        axes.xaxis.set_major_formatter(formatter)
        axes.xaxis.get_offset_text().set(color=MUTED, fontsize=8)
    axes.set_ylabel(ylabel, color=MUTED, fontsize=9)
    if title:
        axes.set_title(title, loc="left", color=INK, fontsize=11, fontweight="bold")
    axes.grid(visible=True, axis="y", color=GRID, lw=0.8)
    axes.set_axisbelow(True)
    axes.tick_params(colors=MUTED, labelsize=8, length=0)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.spines["bottom"].set_color(GRID)


def _legend(axes: Axes) -> None:
    """Put the legend on the title's line, at the right, where it covers nothing."""
    axes.legend(
        loc="lower right",
        bbox_to_anchor=(1.0, 0.98),
        frameon=False,
        fontsize=8,
        labelcolor=MUTED,
        ncols=4,
        borderaxespad=0.1,
    )


def nothing_yet(figure: Figure, title: str) -> bytes:
    """Render a figure that says that there is nothing to show."""
    axes = figure.subplots()
    axes.set_title(title, loc="left", color=INK, fontsize=11, fontweight="bold")
    axes.text(0.5, 0.5, "nothing to show yet", ha="center", va="center", color=MUTED)
    axes.set_axis_off()
    return to_png(figure)


def to_png(figure: Figure) -> bytes:
    """Render with 128 colours, rare ones kept: a third of the bytes, the same to the eye."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from PIL import Image

    canvas: Any = FigureCanvasAgg(figure)
    canvas.draw()
    picture = Image.frombuffer("RGBA", canvas.get_width_height(), bytes(canvas.buffer_rgba()))
    palette = picture.convert("RGB").quantize(128, method=Image.Quantize.MAXCOVERAGE)
    out = io.BytesIO()
    palette.save(out, format="png", optimize=True)
    return out.getvalue()
