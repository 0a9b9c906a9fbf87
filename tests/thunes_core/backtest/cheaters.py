"""Strategies that know what they cannot know, as source text, each with the check that tells.

Honest ones beside them must pass. All look alike: an exposure from one line of code.
"""

from __future__ import annotations

HEAD = """
from dataclasses import dataclass
from typing import ClassVar
import numpy as np
import polars as pl

CLOSE = pl.col("close")

def flag(bars, condition):
    return bars.select(condition.fill_null(False).cast(pl.Float64)).to_series()
"""

CLASS = """
@dataclass(frozen=True)
class Mine:
    name: ClassVar[str] = "mine"
    warmup_bars: ClassVar[int] = {warmup}

    def target_exposure(self, bars):
        {body}
"""


def source(body: str, *, warmup: int = 30, before: str = "") -> str:
    """Return a strategy file whose `target_exposure` is `body`."""
    indented = body.strip().replace("\n", "\n        ")
    return HEAD + before + CLASS.format(warmup=warmup, body=indented)


HONEST = {
    "momentum": source("return flag(bars, CLOSE > CLOSE.shift(10))"),
    "rolling quantile": source(
        "return flag(bars, CLOSE > CLOSE.rolling_quantile(0.8, window_size=30))"
    ),
    "never trades": source("return flag(bars, CLOSE < 0)"),
    "hour of the day": source("return flag(bars, pl.col('open_time').dt.hour() < 8)", warmup=0),
    "numpy": source("c = bars['close'].to_numpy()\nreturn np.append(0.0, c[1:] > c[:-1])[:len(c)]"),
}

CHEATERS = {
    "peeks one bar": ("later bars cut", source("return flag(bars, CLOSE.shift(-1) > CLOSE)")),
    "peeks fifty bars": ("later bars cut", source("return flag(bars, CLOSE.shift(-50) > CLOSE)")),
    "normalises over all bars": (
        "later bars changed",
        source("return flag(bars, (CLOSE - CLOSE.mean()) / CLOSE.std() > 0)"),
    ),
    "ranks over all bars": (
        "later bars changed",
        source("return flag(bars, CLOSE > CLOSE.quantile(0.6))"),
    ),
    "centres its window": (
        "later bars cut",
        source("return flag(bars, CLOSE > CLOSE.rolling_mean(9, center=True))"),
    ),
    "fills backwards": (
        "later bars changed",
        source("return flag(bars, CLOSE.shift(-3).backward_fill() > CLOSE)"),
    ),
    "knows the last bar": (
        "later bars cut",
        source("return flag(bars, pl.int_range(pl.len()) >= pl.len() - 5)"),
    ),
    "reads a later volume": (
        "later bars changed",
        source("return flag(bars, pl.col('volume').shift(-1) > 50 * pl.col('volume').mean())"),
    ),
    "sees a pause coming": (
        "later bars changed",
        source(
            "t = pl.col('open_time')\nreturn flag(bars, t.shift(-1) - t > pl.duration(hours=2))"
        ),
    ),
    "peeks, but never triggers": (
        "later bars changed",
        source("return flag(bars, CLOSE.shift(-1) > 5 * CLOSE)"),
    ),
    "peeks for a crash that never comes": (
        "later bars changed",
        source(
            "calm = CLOSE.pct_change().abs() < 0.001\n"
            "return flag(bars, calm & (CLOSE.shift(-1) < 0.2 * CLOSE))"
        ),
    ),
    "peeks only after an extreme bar": (
        "later bars changed",
        source(
            "leap = CLOSE / CLOSE.shift(1) > 1.4\n"
            "return flag(bars, leap & (CLOSE.shift(-2) > CLOSE))"
        ),
    ),
    "keeps the whole history in its module": (
        "later bars cut",
        source(
            "SEEN.setdefault('mean', bars['close'].mean())\n"
            "return flag(bars, CLOSE > SEEN['mean'])",
            before="SEEN = {}\n",
        ),
    ),
    "counts its calls": (
        "repeatable",
        source(
            "CALLS.append(1)\nreturn flag(bars, CLOSE > CLOSE.shift(1 + len(CALLS) % 3))",
            before="CALLS = []\n",
        ),
    ),
    "draws lots": (
        "repeatable",
        source("return pl.Series(np.random.default_rng().random(len(bars)))"),
    ),
    "remembers the peak of other bars in a callback": (
        "no state",
        source(
            "on_bars(bars)\nreturn flag(bars, CLOSE > 0.9 * PEAK[0])",
            before=(
                "PEAK = [0.0]\n\n"
                "def on_bars(bars):\n"
                "    PEAK[0] = max(PEAK[0], bars['close'].max() or 0.0)\n"
            ),
        ),
    ),
    "needs more history than it says": (
        "warm-up",
        source("return flag(bars, CLOSE > CLOSE.rolling_mean(200))", warmup=20),
    ),
    "holds for ever": (
        "warm-up",
        source("return flag(bars, (CLOSE.pct_change() > 0.05).cum_sum() > 0)", warmup=50),
    ),
    "goes short": ("exposure", source("return (bars['close'].diff().fill_null(0)).sign()")),
    "is undefined at first": (
        "exposure",
        source("return bars.select((CLOSE > CLOSE.shift(5)).cast(pl.Float64)).to_series()"),
    ),
    "borrows": ("exposure", source("return flag(bars, CLOSE > CLOSE.shift(1)) * 1.5")),
    "drops rows": ("exposure", source("return flag(bars, CLOSE > CLOSE.shift(1))[1:]")),
    "crashes without bars": ("exposure", source("return flag(bars, CLOSE > bars['close'][0])")),
    "states no warm-up": (
        "warm-up",
        source("return flag(bars, CLOSE > CLOSE.shift(1))", warmup=-1),
    ),
}
