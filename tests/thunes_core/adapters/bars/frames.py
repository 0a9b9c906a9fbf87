"""Small frames of bars whose content fits in the head."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import polars as pl

from tests.shared_data import shared
from thunes_core.adapters.bars.importers import read_file
from thunes_core.domain.bars import SCHEMA, Interval

START = datetime(2024, 1, 31, 20, tzinfo=UTC)
SEEN = datetime(2024, 3, 1, tzinfo=UTC)
LATER = datetime(2024, 3, 2, tzinfo=UTC)


def bars_of(
    closes: Sequence[float],
    *,
    start: datetime = START,
    interval: Interval = Interval.H1,
    symbol: str = "BTCUSDT",
    skip: Sequence[int] = (),
) -> pl.DataFrame:
    """Return one bar per close, opening at the close before; the numbers in `skip` are left out."""
    opens = [closes[0], *closes[:-1]]
    rows = [
        (
            symbol,
            str(interval),
            start + i * interval.duration,
            opens[i],
            max(opens[i], closes[i]),
            min(opens[i], closes[i]),
            closes[i],
            1.0 + i,
            closes[i],
            10 + i,
            0.5,
            closes[i] / 2,
        )
        for i in range(len(closes))
        if i not in skip
    ]
    return pl.DataFrame(rows, schema=SCHEMA, orient="row")


def real(name: str, symbol: str, interval: Interval) -> pl.DataFrame:
    """Return the bars of a shared file below data/bars, or skip."""
    return read_file(real_path(name), symbol=symbol, interval=interval).bars


def real_path(name: str) -> Path:
    """Return the path of a shared file below data/, or skip."""
    return shared(f"data/{name}.parquet")
