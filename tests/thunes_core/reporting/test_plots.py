"""Plots: small PNGs for any length of series, also for none."""

from __future__ import annotations

import io
import math
import subprocess
import sys
from datetime import timedelta

import numpy as np
import polars as pl
import pytest
from PIL import Image

from tests.thunes_core.reporting.days import MIDNIGHT, at, marks
from thunes_core.domain.parameters import ParameterSet
from thunes_core.domain.results import FoldResult
from thunes_core.reporting.plots import (
    _MAX_POINTS,
    _thin,
    equity_drawdown_png,
    folds_png,
    price_trades_png,
    promise_png,
)
from thunes_core.reporting.trial_plots import trials_png

MOST_BYTES = 80_000


def picture(png: bytes) -> Image.Image:
    """Open a PNG."""
    return Image.open(io.BytesIO(png)).convert("RGB")


def long_curve(rows: int = 100_000) -> pl.DataFrame:
    """Return a random walk of minutes."""
    steps = np.random.default_rng(1).normal(0, 0.001, rows)
    times = pl.datetime_range(
        MIDNIGHT, MIDNIGHT + timedelta(minutes=rows - 1), "1m", eager=True, time_zone="UTC"
    )
    return pl.DataFrame({"open_time": times, "equity": 1000 * np.exp(np.cumsum(steps))})


def fold(number: int, test_sharpe: float) -> FoldResult:
    """Return a fold of ten days of training and five of test."""
    start = at(24 * 5 * number)
    return FoldResult(
        number=number,
        train_start=start,
        train_end=start + timedelta(days=10),
        test_start=start + timedelta(days=11),
        test_end=start + timedelta(days=16),
        parameters=ParameterSet("s", {}),
        trials=1,
        train_metrics={"sharpe": 2.0},
        test_metrics={"sharpe": test_sharpe},
        test_equity=marks([1.0]),
    )


def test_a_long_curve_with_everything_stays_small():
    """A hundred thousand minutes with benchmark and band fit a page."""
    curve = long_curve()
    band = curve.select(time="open_time", low=pl.lit(900.0), high=pl.lit(1100.0))
    png = equity_drawdown_png(
        curve, "long", benchmark=curve.rename({"equity": "close"}).reverse(), band=band
    )
    assert len(png) < MOST_BYTES
    assert picture(png).size == (918, 396)


def test_thinning_keeps_the_extremes():
    """The lowest and the highest point of a long series are drawn."""
    curve = long_curve().select(time="open_time", value="equity")
    thin = _thin(curve)
    assert thin.height <= _MAX_POINTS
    assert thin["value"].min() == curve["value"].min()
    assert thin["value"].max() == curve["value"].max()
    assert thin["time"].is_sorted()


@pytest.mark.parametrize("values", [[], [math.nan], [1000.0], [1000.0, 1000.0]])
def test_a_short_curve_is_drawn_without_complaint(values):
    """None, one and equal values have pictures too."""
    assert picture(equity_drawdown_png(marks(values), "short")).width == 918


def test_a_narrow_picture_is_for_a_phone():
    """The width is chosen by the caller."""
    assert picture(equity_drawdown_png(marks([1.0, 2.0]), "phone", width=4.4)).width == 396


def test_gains_are_green_and_losses_red():
    """Colours of rare marks survive the palette."""
    bars = marks([10.0, 11.0, 12.0, 11.0]).rename({"time": "open_time", "equity": "close"})
    trades = pl.DataFrame(
        {
            "entry_time": [at(0), at(2)],
            "entry_price": [10.0, 12.0],
            "exit_time": [at(1), at(3)],
            "exit_price": [11.0, 11.0],
            "pnl": ["1", "-1"],
        }
    )
    colours = np.array(picture(price_trades_png(bars, trades, "trades"))).reshape(-1, 3).astype(int)
    for wanted in ((46, 139, 87), (192, 57, 43)):
        assert np.abs(colours - wanted).sum(axis=1).min() < 12


def test_folds_are_drawn_also_where_a_metric_is_undefined():
    """A fold without trades has no bar, and no warning."""
    assert len(folds_png([fold(0, 1.0), fold(1, math.nan)], "folds")) < MOST_BYTES
    assert len(folds_png([], "folds")) < MOST_BYTES


def test_matplotlib_is_imported_only_when_something_is_drawn():
    """Loading the code location does not pay for pictures."""
    code = "import sys, thunes_core.reporting.daily; sys.exit('matplotlib' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_trials_are_drawn_in_order_and_over_each_parameter():
    """Numbers, choices and flags, trials that broke a rule, and a search that found nothing."""
    trials = pl.DataFrame(
        {
            "number": [0, 1, 2, 3],
            "sharpe": [0.5, None, 1.5, 1.0],
            "feasible": [True, False, False, True],
            "fast": [5, 6, 7, 8],
            "kind": ["a", "b", "a", "b"],
            "anchored": [True, False, True, False],
        }
    )
    some = trials_png(trials, ["fast", "kind", "anchored"], "trials")
    none = trials_png(trials.filter(pl.col("sharpe").is_null()), ["fast"], "trials")
    assert picture(some).width == picture(none).width
    assert len(some) > len(none) > 500


def test_a_promise_is_drawn():
    """The band widens; the picture has its width."""
    days = pl.DataFrame(
        {"day": [1, 2], "low": [0.9, 0.8], "middle": [1.0, 1.0], "high": [1.1, 1.3]}
    )
    drawn = picture(promise_png(days, "promise"))
    assert drawn.width > 500
    assert len(drawn.getcolors(10_000)) > 3
