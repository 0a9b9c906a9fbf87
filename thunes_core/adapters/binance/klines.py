"""Turn pages of Binance klines into the frame of bars, column by column.

Add here: another form in which Binance ships klines. Keep out: requests, validation.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import polars as pl

from thunes_core.domain.bars import PRICES, SCHEMA, Interval, empty

FIELDS = (
    "open_time",
    *PRICES,
    "volume",
    "close_time",
    "quote_volume",
    "trades",
    "taker_buy_base",
    "taker_buy_quote",
    "ignore",
)
"""The twelve fields of a kline, in the exchange's order."""

_FLOATS = (*PRICES, "volume", "quote_volume", "taker_buy_base", "taker_buy_quote")


def parse_klines(rows: Sequence[Sequence[Any]], symbol: str, interval: Interval) -> pl.DataFrame:
    """Return rows of twelve fields (times in ms, numbers as text) in the schema of bars, as sent.

    Nothing is sorted, dropped or checked. Raises polars' errors where a number is no number.
    """
    if not rows:
        return empty()
    columns = dict(zip(FIELDS, zip(*rows, strict=True), strict=True))
    return pl.DataFrame(
        {
            "symbol": pl.repeat(symbol, len(rows), eager=True, dtype=pl.String()),
            "interval": pl.repeat(str(interval), len(rows), eager=True, dtype=pl.String()),
            "open_time": _time(columns["open_time"]),
            **{name: pl.Series(columns[name]).cast(pl.Float64()) for name in _FLOATS},
            "trades": pl.Series(columns["trades"], dtype=pl.Int64()),
        }
    ).select(*SCHEMA)


def _time(millis: Sequence[int]) -> pl.Series:
    series = pl.Series(millis, dtype=pl.Int64()) * 1000
    return series.cast(pl.Datetime("us")).dt.replace_time_zone("UTC")
