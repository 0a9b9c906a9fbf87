"""A market whose latest price is the stream's mid price, as long as that is fresh.

Everything else, and every doubt, goes to the market behind it: REST is the truth.

Add here: another fact that the board may answer for. Keep out: the board, the stream.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path

import polars as pl

from thunes_core.adapters.stream.board import latest
from thunes_core.clock import from_millis, monotonic_seconds
from thunes_core.domain.bars import Interval
from thunes_core.domain.instrument import Instrument
from thunes_core.errors import StoreFailed, UnknownName
from thunes_core.trading.ports import MarketData

FRESH = timedelta(seconds=5)
"""Older quotes are not believed, on the exchange's clock."""


class QuotedMarket:
    """`market`, with prices from the board at `path` where they are at most `FRESH` old.

    The board's age is told by the exchange's clock as this object last heard it, so a price before
    the first `server_time` comes from the market.
    """

    def __init__(self, market: MarketData, path: Path) -> None:
        self._market = market
        self._path = path
        self._heard: tuple[datetime, float] | None = None

    def server_time(self) -> datetime:
        """Return the exchange's clock, UTC."""
        now = self._market.server_time()
        self._heard = now, monotonic_seconds()
        return now

    def instruments(self, symbols: Sequence[str] | None = None) -> dict[str, Instrument]:
        """Return instruments by symbol, as the market tells them."""
        return self._market.instruments(symbols)

    def klines(
        self, symbol: str, interval: Interval, start: datetime, end: datetime
    ) -> pl.DataFrame:
        """Return closed bars, as the market tells them."""
        return self._market.klines(symbol, interval, start, end)

    def price(self, symbol: str) -> Decimal:
        """Return the middle of the newest bid and ask, or the market's latest price."""
        mid = self._mid(symbol)
        return self._market.price(symbol) if mid is None else mid

    def _mid(self, symbol: str) -> Decimal | None:
        try:
            shown = latest(self._path, symbol)
        except (StoreFailed, UnknownName):
            return None
        now = self._now()
        if now is None or not (shown.bid and shown.ask):
            return None
        is_fresh = abs(now - from_millis(shown.heard_ms)) <= FRESH
        return (Decimal(repr(shown.bid)) + Decimal(repr(shown.ask))) / 2 if is_fresh else None

    def _now(self) -> datetime | None:
        if self._heard is None:
            return None
        at, then = self._heard
        return at + timedelta(seconds=monotonic_seconds() - then)
