"""Invented bars that drive a strategy into its corners, and invented futures for given bars.

For finding faults only: nothing here says how markets move, and no result on it is one.

Add here: a kind of market, or of future, in which a fault would show. Keep out: judging.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

import numpy as np
import numpy.typing as npt
import polars as pl

from thunes_core.domain.bars import PRICES, SCHEMA, VOLUMES, Interval

Steps = npt.NDArray[np.float64]
Random = np.random.Generator
START = datetime(2024, 1, 1, tzinfo=UTC)
LOG_RANGE = 9.0
"""Prices stay within e^±9 of their beginning, far from underflow."""


def markets(interval: Interval, count: int, seed: int) -> list[pl.DataFrame]:
    """Return one frame of `count` bars for each kind of market; same seed, same bars."""
    return [
        invented_bars(steps(np.random.default_rng((seed, kind)), count), interval, (seed, kind))
        for kind, steps in enumerate(_MARKETS)
    ]


def invented_bars(steps: Steps, interval: Interval, seed: tuple[int, ...]) -> pl.DataFrame:
    """Return bars whose closes follow the log returns `steps` from 100, wicks and volume random."""
    rng, count = np.random.default_rng((*seed, 1)), len(steps)
    close = 100 * np.exp(np.clip(np.cumsum(steps), -LOG_RANGE, LOG_RANGE))
    opened = np.append(close[:1], close[:-1])
    wick = np.exp(np.abs(rng.normal(0, 0.3 * np.std(steps), (2, count))))
    volume = rng.lognormal(3, 1, count) * (rng.random(count) > 0.02)
    prices = {
        "open": opened,
        "high": np.maximum(opened, close) * wick[0],
        "low": np.minimum(opened, close) / wick[1],
        "close": close,
    }
    volumes = {name: volume * (close if "quote" in name else 1.0) for name in VOLUMES}
    time = pl.datetime_range(
        START, START + interval.duration * (count - 1), interval.duration, eager=True
    )
    columns = {"open_time": time, **prices, **volumes, "trades": np.ceil(volume)}
    named = pl.DataFrame(columns).with_columns(
        symbol=pl.lit("TESTUSDT"), interval=pl.lit(str(interval))
    )
    return named.select(*SCHEMA).cast(SCHEMA)  # type: ignore[arg-type]


def _calm(rng: Random, count: int) -> Steps:
    return rng.normal(0.0001, 0.004, count)


def _wild(rng: Random, count: int) -> Steps:
    return rng.standard_t(2.5, count) * 0.02


def _cycles(rng: Random, count: int) -> Steps:
    return 0.02 * np.sin(np.arange(count) / 9) + rng.normal(0, 0.004, count)


def _crashes(rng: Random, count: int) -> Steps:
    leap = np.where(rng.random(count) < 0.01, rng.choice([-0.7, -0.4, 0.5, 0.8], count), 0.0)
    return leap + rng.normal(0, 0.003, count)


def _standstills(rng: Random, count: int) -> Steps:
    moving = np.repeat(rng.random(count // 30 + 1) < 0.5, 30)[:count]
    return np.where(moving, rng.normal(0, 0.01, count), 0.0)


def _trends(rng: Random, count: int) -> Steps:
    drift = np.repeat(rng.choice([-0.01, 0.01], count // 70 + 1), 70)[:count]
    return drift + rng.normal(0, 0.006, count)


_MARKETS = (_calm, _wild, _cycles, _crashes, _standstills, _trends)


def _soars(later: pl.DataFrame, _: Random) -> pl.DataFrame:
    return later.with_columns(pl.col(PRICES) * 10)


def _crashes_down(later: pl.DataFrame, _: Random) -> pl.DataFrame:
    return later.with_columns(pl.col(PRICES) * 0.1)


def _rises_a_little(later: pl.DataFrame, _: Random) -> pl.DataFrame:
    return later.with_columns(pl.col(PRICES) * 1.02)


def _falls_a_little(later: pl.DataFrame, _: Random) -> pl.DataFrame:
    return later.with_columns(pl.col(PRICES) * 0.98)


def _shuffled(later: pl.DataFrame, rng: Random) -> pl.DataFrame:
    order = rng.permutation(len(later))
    return later.with_columns(pl.exclude("open_time", "symbol", "interval").gather(order))


def _floods(later: pl.DataFrame, _: Random) -> pl.DataFrame:
    return later.with_columns(pl.col(*VOLUMES, "trades") * 1000 + 1)


def _dries_up(later: pl.DataFrame, _: Random) -> pl.DataFrame:
    quiet = {name: pl.col("open").first() for name in PRICES}
    return later.with_columns(pl.col(*VOLUMES, "trades") * 0, **quiet)


def _pauses(later: pl.DataFrame, _: Random) -> pl.DataFrame:
    step = Interval(later["interval"][0]).duration
    return later.with_columns(pl.col("open_time") + 7 * step)


Future = Callable[[pl.DataFrame, Random], pl.DataFrame]
FUTURES: dict[str, Future] = {
    "soar tenfold": _soars,
    "crash to a tenth": _crashes_down,
    "rise by 2 %": _rises_a_little,
    "fall by 2 %": _falls_a_little,
    "come in another order": _shuffled,
    "bring a flood of volume": _floods,
    "bring no trade at all": _dries_up,
    "come after a pause": _pauses,
}


def with_future(bars: pl.DataFrame, cut: int, future: Future, rng: Random) -> pl.DataFrame:
    """Return the first `cut` bars as they were, followed by another future."""
    return pl.concat([bars[:cut], future(bars[cut:], rng).cast(SCHEMA)])  # type: ignore[arg-type]
