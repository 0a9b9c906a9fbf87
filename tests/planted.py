"""Hourly markets whose edge is known: pure noise, or a drift that switches between up and down.

Both have the same volatility. Deterministic with their seed.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl

from thunes_core.domain.bars import SCHEMA

START = datetime(2021, 1, 1, tzinfo=UTC)
HOURS_A_YEAR = 24 * 365
VOLATILITY_A_YEAR = 0.6


@dataclass(frozen=True, slots=True)
class Planted:
    """Drift of ± `drift_a_year` (log return), switching after `regime_hours` on average."""

    drift_a_year: float = 0.0
    regime_hours: float = 500.0


NOISE = Planted()


def market(kind: Planted, hours: int, seed: int, start: datetime = START) -> pl.DataFrame:
    """Return `hours` bars of 1h in the schema of bars."""
    rng = np.random.default_rng(seed)
    switches = rng.random(hours) < 1.0 / kind.regime_hours
    sign = np.where(np.cumsum(switches) % 2 == rng.integers(2), 1.0, -1.0)
    noise = rng.standard_normal(hours) * VOLATILITY_A_YEAR / np.sqrt(HOURS_A_YEAR)
    close = 100.0 * np.exp(np.cumsum(sign * kind.drift_a_year / HOURS_A_YEAR + noise))
    return _bars(close, rng, start)


def _bars(close: np.ndarray, rng: np.random.Generator, start: datetime) -> pl.DataFrame:
    opened = np.concatenate([[100.0], close[:-1]])
    reach = np.abs(rng.standard_normal((2, len(close)))) * 0.002
    frame = pl.DataFrame(
        {
            "open_time": pl.datetime_range(
                start,
                start + timedelta(hours=len(close) - 1),
                "1h",
                time_unit="us",
                eager=True,
            ),
            "open": opened,
            "high": np.maximum(opened, close) * (1 + reach[0]),
            "low": np.minimum(opened, close) * (1 - reach[1]),
            "close": close,
        }
    )
    numbers = {name: pl.lit(1.0) for name in SCHEMA if name not in frame.columns}
    names = {"symbol": pl.lit("TESTUSDT"), "interval": pl.lit("1h"), "trades": pl.lit(1)}
    return frame.with_columns(**{**numbers, **names}).select(*SCHEMA).cast(SCHEMA)
