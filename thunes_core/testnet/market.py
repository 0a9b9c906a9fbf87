"""The market: for each symbol a listing and a price path, replayed from candles or generated.

Add here: a question about prices that several endpoints ask. Keep out: orders, HTTP.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import numpy as np
import polars as pl

from thunes_core.clock import from_millis, to_millis
from thunes_core.domain.bars import Interval, parse_interval, resample
from thunes_core.errors import BadInput, UnknownName
from thunes_core.testnet.generate import Generator
from thunes_core.testnet.listing import TRADING, Listing, usual_listing
from thunes_core.testnet.long_series import LongSeries, is_long, long_series
from thunes_core.testnet.refusals import bad_interval, bad_symbol
from thunes_core.testnet.series import (
    Candle,
    Crossing,
    PathOrder,
    Series,
    frame_of,
    series_of,
)
from thunes_core.testnet.tape import Tape

DEMO_START = datetime(2025, 1, 1, tzinfo=UTC)
_START_PRICES = {"BTCUSDT": 40_000.0, "ETHUSDT": 2_500.0, "BNBUSDT": 400.0, "SOLUSDT": 90.0}


class Traded:
    """One symbol: its listing and its candles, growing when they are generated."""

    def __init__(self, listing: Listing, series: Series, generator: Generator | None) -> None:
        self.listing = listing
        self._series = series
        self._generator = generator
        self._coarse: dict[tuple[str, int], Series | LongSeries] = {}
        self._tape: Tape | None = None
        self._halts: list[tuple[int, int]] = []
        self._halted_ms: int | None = None

    @property
    def is_trading(self) -> bool:
        """True while orders match."""
        return self.listing.status == TRADING

    def set_status(self, status: str, now_ms: int) -> None:
        """Change the listing's status; outside of TRADING the price stands and candles stop."""
        if self._halted_ms is None and status != TRADING:
            self._halted_ms = now_ms
        elif self._halted_ms is not None and status == TRADING:
            self._halts.append((self._halted_ms, now_ms))
            self._halted_ms = None
        self.listing.status = status

    def _seen(self, now_ms: int) -> int:
        """Return up to when the path is known at `now_ms`: not beyond a running halt."""
        return now_ms if self._halted_ms is None else min(now_ms, self._halted_ms)

    def series_until(self, time_ms: int) -> Series:
        """Return the base candles, drawn at least up to `time_ms` when they are generated."""
        while self._generator is not None and self._series.end_ms <= time_ms:
            self._series = self._series.extended(self._generator.next_block())
            self._coarse.clear()
        return self._series

    def tape_until(self, time_ms: int) -> Tape:
        """Return the public trades, drawn at least up to `time_ms`."""
        series = self.series_until(time_ms)
        if self._tape is None or self._tape.series is not series:
            self._tape = Tape(series, self.listing.tick)
        return self._tape

    def trade_count(self, now_ms: int) -> int:
        """Return how many public trades there were by `now_ms`: the id of the next one."""
        return self.tape_until(now_ms).count_until(self._seen(now_ms))

    def between(self, start_ms: int, now_ms: int) -> Candle:
        """Return one candle of the path from `start_ms` to `now_ms`."""
        now_ms = self._seen(now_ms)
        seen = self.series_until(now_ms).between(min(start_ms, now_ms), now_ms)
        return self._on_tick(seen)

    def _on_tick(self, part: Candle) -> Candle:
        """Return a part of the path as a candle whose prices could be traded at."""
        opened, high, low, close = (
            float(self._priced(raw)) for raw in (part.open, part.high, part.low, part.close)
        )
        return part._replace(open=opened, high=high, low=low, close=close)

    def _priced(self, raw: float) -> Decimal:
        """Return the multiple of the tick that is nearest to a price of the path."""
        tick = self.listing.tick
        ticks = (Decimal(str(round(raw, 8))) / tick).to_integral_value()
        return max(ticks * tick, tick)

    def candles(
        self,
        interval: str,
        now_ms: int,
        start_ms: int | None,
        end_ms: int | None,
        limit: int,
        offset_ms: int = 0,
    ) -> list[Candle]:
        """Return the candles that Binance's klines gives at `now_ms`, the running one partial."""
        now_ms = self._seen(now_ms)
        base = self.series_until(now_ms)
        series = self._series_of(base, interval, offset_ms)
        last = series.index_at(now_ms)
        if end_ms is not None:
            last = min(last, series.index_at(end_ms))
        first = last - limit + 1
        if start_ms is not None:
            first = int(np.searchsorted(series.open_ms, start_ms))
            last = min(last, first + limit - 1)
        found = series.candles(max(first, 0), max(last + 1, 0))
        if found and now_ms <= found[-1].close_ms:
            found[-1] = self._on_tick(self._running(base, series, last, now_ms))
        if not self._halts:
            return found
        return [
            c for c in found if not any(a <= c.open_ms and c.close_ms < b for a, b in self._halts)
        ]

    def _series_of(self, base: Series, interval: str, offset_ms: int) -> Series | LongSeries:
        """Return the whole candles of an interval; refuse one that cannot be made."""
        if interval == base.interval and not offset_ms:
            return base
        key = (interval, offset_ms)
        if key not in self._coarse:
            if is_long(interval, offset_ms):
                self._coarse[key] = long_series(base, interval, offset_ms)
            else:
                self._coarse[key] = self._resampled(base, interval)
        return self._coarse[key]

    def _resampled(self, base: Series, interval: str) -> Series:
        try:
            coarse = parse_interval(interval)
        except UnknownName:
            raise bad_interval() from None
        if coarse.minutes % base.interval.minutes:
            raise bad_interval()
        return series_of(resample(frame_of(base, self.listing.symbol), coarse), base.order)

    def _running(
        self, base: Series, series: Series | LongSeries, index: int, now_ms: int
    ) -> Candle:
        """Return the candle at `index` as far as it has come."""
        if series is base:
            return base.candle_at(index, now_ms)
        whole = series.candle(index)
        first = int(np.searchsorted(base.open_ms, whole.open_ms))
        parts = [base.candle_at(i, now_ms) for i in range(first, base.index_at(now_ms) + 1)]
        return _merge(parts, whole)

    def price(self, now_ms: int) -> Decimal:
        """Return the last price, on the symbol's tick."""
        return self._priced(self.series_until(now_ms).price_at(self._seen(now_ms)))

    def average_price(self, now_ms: int, minutes: int = 5) -> Decimal:
        """Return the mean price of the last minutes, from two points a minute; 0: the last."""
        now_ms = self._seen(now_ms)
        series = self.series_until(now_ms)
        points = [series.price_at(now_ms - i * 30_000) for i in range(2 * minutes + 1)]
        return Decimal(str(round(sum(points) / len(points), 8)))

    def first_crossing(
        self, after_ms: int, until_ms: int, level: Decimal, *, falling: bool, touch: bool
    ) -> Crossing | None:
        """Return the first moment in (`after_ms`, `until_ms`] at which the price passes `level`."""
        return self.series_until(until_ms).first_crossing(
            after_ms, until_ms, float(level), falling=falling, touch=touch
        )


def _merge(parts: Sequence[Candle], whole: Candle) -> Candle:
    """Join base candles into the running coarse one; a candle without trades sets no price."""
    seen = [c for c in parts[:-1] if c.volume > 0 or c.trades > 0] + [parts[-1]]
    return Candle(
        whole.open_ms,
        seen[0].open,
        max(c.high for c in seen),
        min(c.low for c in seen),
        seen[-1].close,
        sum(c.volume for c in parts),
        whole.close_ms,
        sum(c.quote_volume for c in parts),
        sum(c.trades for c in parts),
        sum(c.taker_base for c in parts),
        sum(c.taker_quote for c in parts),
    )


class Market:
    """All symbols of the exchange. `start` is where a clock begins when nobody says otherwise."""

    def __init__(self, traded: Iterable[Traded], start: datetime) -> None:
        self._traded = {one.listing.symbol: one for one in traded}
        self.start = start

    @property
    def symbols(self) -> list[str]:
        """The listed symbols, in alphabetical order."""
        return sorted(self._traded)

    def find(self, symbol: str) -> Traded:
        """Return the symbol's market, or refuse with -1121."""
        if symbol not in self._traded:
            raise bad_symbol()
        return self._traded[symbol]

    def listing(self, symbol: str) -> Listing:
        """Return the symbol's listing, or refuse with -1121."""
        return self.find(symbol).listing

    def price(self, symbol: str, now_ms: int) -> Decimal:
        """Return the last price of `symbol`."""
        return self.find(symbol).price(now_ms)

    def klines(
        self,
        symbol: str,
        interval: str,
        now_ms: int,
        *,
        start_ms: int | None = None,
        end_ms: int | None = None,
        limit: int = 500,
        offset_ms: int = 0,
    ) -> list[Candle]:
        """Return candles as Binance does: bounds on the open time, inclusive.

        `offset_ms` shifts the grid: candles of a day begin at midnight of that time zone.
        """
        return self.find(symbol).candles(interval, now_ms, start_ms, end_ms, limit, offset_ms)


def replayed_market(
    frames: Sequence[pl.DataFrame],
    *,
    start: datetime | None = None,
    order: PathOrder = PathOrder.LOW_FIRST,
    listings: Iterable[Listing] = (),
) -> Market:
    """Build a market that replays `frames` (one symbol each, schema of bars).

    The clock begins at `start`, else on the candle three quarters through the shortest series.
    Given `listings` replace the usual filters. `BadInput` when a symbol comes twice or `start` is
    outside of the candles.
    """
    given = {one.symbol: one for one in listings}
    traded: dict[str, Traded] = {}
    for frame in frames:
        symbol = str(frame["symbol"][0])
        if symbol in traded:
            raise BadInput(f"market: expected each symbol once; {symbol} came twice; drop a file")
        series = series_of(frame, order)
        listing = given.get(symbol) or usual_listing(
            symbol, float(series.close[-1]), _decimals(series)
        )
        traded[symbol] = Traded(listing, series, None)
    if not traded:
        raise BadInput("market: expected candles of at least one symbol; there were none")
    spans = [(t.series_until(0).open_ms[0], t.series_until(0).end_ms) for t in traded.values()]
    return Market(traded.values(), _start_inside(spans, start, traded))


def _start_inside(
    spans: Sequence[tuple[int, int]], start: datetime | None, traded: dict[str, Traded]
) -> datetime:
    first, last = max(int(s[0]) for s in spans), min(int(s[1]) for s in spans)
    if start is None:
        step = max(t.series_until(0).step_ms for t in traded.values())
        return from_millis((first + (last - first) * 3 // 4) // step * step)
    if not first <= to_millis(start) < last:
        raise BadInput(
            f"start: expected a time within the candles, {from_millis(first).isoformat()} to "
            f"{from_millis(last).isoformat()}; it was {start.isoformat()}"
        )
    return start


def _decimals(series: Series) -> int:
    """Return how many decimals the prices show, at most 8."""
    prices = np.concatenate([series.open, series.high, series.low, series.close])
    for decimals in range(8):
        if np.allclose(np.round(prices, decimals), prices, rtol=0, atol=1e-9):
            return decimals
    return 8


def generated_market(
    symbols: Sequence[str] = ("BTCUSDT",),
    *,
    seed: int = 7,
    start: datetime = DEMO_START,
    interval: Interval = Interval.H1,
    history_days: int = 730,
    order: PathOrder = PathOrder.LOW_FIRST,
) -> Market:
    """Build a market of invented candles from `history_days` before `start`, without end.

    Equal arguments give equal candles, whatever is asked first.
    """
    if not symbols:
        raise BadInput("market: expected at least one symbol; there were none")
    origin = interval.floor(start) - timedelta(days=history_days)
    origin -= timedelta(hours=origin.hour, minutes=origin.minute)
    traded = [_invented(s, seed, origin, interval, order) for s in sorted(set(symbols))]
    for one in traded:
        one.series_until(to_millis(start))
    return Market(traded, start)


def _invented(
    symbol: str, seed: int, origin: datetime, interval: Interval, order: PathOrder
) -> Traded:
    price = _START_PRICES.get(symbol) or float(1 + zlib.crc32(symbol.encode()) % 400)
    listing = usual_listing(symbol, price)
    generator = Generator(
        symbol,
        interval,
        seed=seed,
        origin_ms=to_millis(origin),
        start_price=price,
        tick=float(listing.tick),
        order=order,
    )
    return Traded(listing, generator.next_block(), generator)
