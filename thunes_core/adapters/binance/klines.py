"""Turn pages of Binance klines into the frame of bars, column by column.

Add here: another form in which Binance ships klines. Keep out: requests, validation.
"""

from __future__ import annotations

import io
from collections.abc import Sequence

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

_COUNTS = ("open_time", "close_time", "trades")
_TYPES = {name: pl.Int64() if name in _COUNTS else pl.Float64() for name in FIELDS}
_EMPTY_PAGE = b"[]"


def parse_pages(pages: Sequence[bytes], symbol: str, interval: Interval) -> pl.DataFrame:
    """Return the klines of JSON `pages` (`[[ms,"text",…],…]`) in the schema of bars, as sent.

    A page is rows of twelve plain values, so without its brackets and quotes it is CSV, which
    polars reads several times faster than JSON can be. Nothing is sorted, dropped or checked.
    Raises `ValueError` or polars' errors for anything that is no page of klines.
    """
    texts = [_rows(page) for page in pages if page.strip() != _EMPTY_PAGE]
    if not texts:
        return empty()
    rows = pl.read_csv(io.BytesIO(b"\n".join(texts)), has_header=False, schema=_TYPES)
    return rows.select(
        pl.lit(symbol).alias("symbol"),
        pl.lit(str(interval)).alias("interval"),
        (pl.col("open_time") * 1000).cast(pl.Datetime("us")).dt.replace_time_zone("UTC"),
        *list(SCHEMA)[3:],
    )


def _rows(page: bytes) -> bytes:
    page = page.strip()
    if not (page.startswith(b"[[") and page.endswith(b"]]")):
        raise ValueError(f"expected rows of klines; it began with {page[:40]!r}")
    return page[2:-2].replace(b'"', b"").replace(b"],[", b"\n")
