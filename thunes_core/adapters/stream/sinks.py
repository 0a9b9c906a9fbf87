"""Where the feed's news goes: first the board, then whoever waits for a bar, then the lake.

Add here: another receiver of news. Keep out: the feed.
"""

from __future__ import annotations

from collections.abc import Callable

import polars as pl

from thunes_core.adapters.bars.ingest_file import complete_from
from thunes_core.adapters.bars.result import store_rows
from thunes_core.adapters.bars.store import BarStore
from thunes_core.adapters.stream.board import Board
from thunes_core.adapters.stream.events import Quote
from thunes_core.clock import SystemClock, to_millis
from thunes_core.domain.bars import Interval
from thunes_core.domain.window import Window

SOURCE = "stream"


class BoardAndLake:
    """Shows news on the board at once, wakes `on_bars`, and stores bars in the lake."""

    def __init__(
        self,
        board: Board,
        store: BarStore,
        interval: Interval,
        on_bars: Callable[[pl.DataFrame], None] = lambda _: None,
    ) -> None:
        self._board = board
        self._store = store
        self._interval = interval
        self._on_bars = on_bars

    def bars(self, bars: pl.DataFrame) -> None:
        """Take closed bars of one symbol."""
        last = bars.row(-1, named=True)
        close_ms = to_millis(last["open_time"] + self._interval.duration)
        self._board.update(
            last["symbol"],
            heard_ms=close_ms,
            bar_open_ms=to_millis(last["open_time"]),
            **{name: last[name] for name in ("open", "high", "low", "close", "volume")},
        )
        self._on_bars(bars)
        self._keep(bars, last["symbol"])

    def _keep(self, bars: pl.DataFrame, symbol: str) -> None:
        """Add `bars` to the lake; what is stored between them stays."""
        start, end = bars["open_time"][0], bars["open_time"][-1] + self._interval.duration
        window = Window(symbol, self._interval, start, end)
        stored = self._store.read(symbol, self._interval, start, end)
        store_rows(
            self._store,
            complete_from(bars, stored, ()),
            window,
            source=SOURCE,
            observed_at=SystemClock().now(),
        )

    def quote(self, quote: Quote, at_ms: int) -> None:
        """Take the newest quote."""
        self._board.update(quote.symbol, heard_ms=at_ms, bid=quote.bid, ask=quote.ask)
