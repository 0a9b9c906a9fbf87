"""One symbol's candles as arrays, and the price path that runs through them.

Inside a candle the price runs in straight lines: open, first extreme after a third of the time,
second extreme after two thirds, close at the last millisecond. At the next candle's open time the
price is exactly its open. Over a hole in the candles the price rests at the last close.

Add here: a question about the path. Keep out: orders, the exchange's documents.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from thunes_core.domain.bars import Interval, parse_interval

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Knot = tuple[int, float]


class PathOrder(StrEnum):
    """Which extreme of a candle comes first."""

    LOW_FIRST = "low_first"
    COLOUR = "colour"
    SEED = "seed"


class Candle(NamedTuple):
    """One candle, in the order of Binance's rows; times in milliseconds."""

    open_ms: int
    open: float
    high: float
    low: float
    close: float
    volume: float
    close_ms: int
    quote_volume: float
    trades: int
    taker_base: float
    taker_quote: float


@dataclass(frozen=True, slots=True)
class Crossing:
    """When a level was crossed; `jump` is the price where it is not the level itself."""

    time_ms: int
    jump: float | None


@dataclass(frozen=True, slots=True)
class Series:
    """Sorted candles of one interval: times in milliseconds, one array a column, length n."""

    interval: Interval
    open_ms: Ints
    open: Floats
    high: Floats
    low: Floats
    close: Floats
    volume: Floats
    quote_volume: Floats
    trades: Ints
    taker_base: Floats
    taker_quote: Floats
    order: PathOrder = PathOrder.LOW_FIRST

    @property
    def step_ms(self) -> int:
        """Length of a candle in milliseconds."""
        return self.interval.minutes * 60_000

    @property
    def end_ms(self) -> int:
        """The moment the last candle ends."""
        return int(self.open_ms[-1]) + self.step_ms

    def index_at(self, time_ms: int) -> int:
        """Return the index of the last candle opened by `time_ms`; -1 before the first."""
        return int(np.searchsorted(self.open_ms, time_ms, side="right")) - 1

    def candles(self, first: int, stop: int) -> list[Candle]:
        """Return the complete candles from index `first` up to, not including, `stop`."""
        columns = [getattr(self, name)[first:stop].tolist() for name in _ARRAYS]
        columns.insert(6, (self.open_ms[first:stop] + (self.step_ms - 1)).tolist())
        return list(map(Candle, *columns))

    def candle(self, index: int) -> Candle:
        """Return the complete candle at `index`."""
        return self.candles(index, index + 1)[0]

    def candle_at(self, index: int, now_ms: int) -> Candle:
        """Return the candle at `index` as it looks at `now_ms`: running ones are partial."""
        whole = self.candle(index)
        return whole if now_ms > whole.close_ms else self._partial(whole, index, now_ms)

    def _partial(self, whole: Candle, index: int, now_ms: int) -> Candle:
        price = self.price_at(now_ms)
        seen = [p for t, p in self.knots(index) if t <= now_ms]
        share = (now_ms - whole.open_ms) / self.step_ms
        return Candle(
            whole.open_ms,
            whole.open,
            max(*seen, price),
            min(*seen, price),
            price,
            whole.volume * share,
            whole.close_ms,
            whole.quote_volume * share,
            int(whole.trades * share),
            whole.taker_base * share,
            whole.taker_quote * share,
        )

    def between(self, start_ms: int, end_ms: int) -> Candle:
        """Return one candle of the path from `start_ms` to `end_ms`, both within the series."""
        first, last = max(self.index_at(start_ms), 0), max(self.index_at(end_ms), 0)
        edges = [self.price_at(start_ms), self.price_at(end_ms)]
        for index in {first, last}:
            edges += [p for t, p in self.knots(index) if start_ms <= t <= end_ms]
        highs, lows = self.high[first + 1 : last], self.low[first + 1 : last]
        sums = {
            name: float(np.dot(getattr(self, name)[first : last + 1], shares))
            for shares in [self._shares(first, last, start_ms, end_ms)]
            for name in ("volume", "quote_volume", "trades", "taker_base", "taker_quote")
        }
        return Candle(
            start_ms,
            edges[0],
            max(*edges, float(highs.max(initial=edges[0]))),
            min(*edges, float(lows.min(initial=edges[0]))),
            edges[1],
            sums["volume"],
            end_ms,
            sums["quote_volume"],
            int(sums["trades"]),
            sums["taker_base"],
            sums["taker_quote"],
        )

    def _shares(self, first: int, last: int, start_ms: int, end_ms: int) -> Floats:
        """Return which share of each candle's time lies within the two moments."""
        opens = self.open_ms[first : last + 1]
        inside = np.minimum(opens + self.step_ms, end_ms) - np.maximum(opens, start_ms)
        return np.clip(inside / self.step_ms, 0.0, 1.0)

    def knots(self, index: int) -> list[Knot]:
        """Return the four corners (time, price) of the path through the candle at `index`."""
        start, step = int(self.open_ms[index]), self.step_ms
        low, high = float(self.low[index]), float(self.high[index])
        first, second = (low, high) if self._low_comes_first(index) else (high, low)
        return [
            (start, float(self.open[index])),
            (start + step // 3, first),
            (start + 2 * step // 3, second),
            (start + step - 1, float(self.close[index])),
        ]

    def _low_comes_first(self, index: int) -> bool:
        if self.order is PathOrder.LOW_FIRST:
            return True
        if self.order is PathOrder.COLOUR:
            return bool(self.close[index] >= self.open[index])
        return _coin(int(self.open_ms[index]))

    def price_at(self, time_ms: int) -> float:
        """Return the price of the path at `time_ms`; before the first candle its open."""
        index = self.index_at(time_ms)
        if index < 0:
            return float(self.open[0])
        if time_ms >= int(self.open_ms[index]) + self.step_ms - 1:
            return float(self.close[index])
        for (t0, p0), (t1, p1) in _pairs(self.knots(index)):
            if time_ms < t1:
                return p0 + (p1 - p0) * (time_ms - t0) / (t1 - t0)
        return float(self.close[index])

    def first_crossing(
        self, after_ms: int, until_ms: int, level: float, *, falling: bool, touch: bool
    ) -> Crossing | None:
        """Return the first moment in (`after_ms`, `until_ms`] at which the path passes `level`.

        `falling`: from above to below, else from below to above. `touch`: reaching the level is
        enough; otherwise the path must go through it. None when it does not happen.
        """
        for index in self._candidates(after_ms, until_ms, level, falling=falling, touch=touch):
            found = self._crossing_in(index, after_ms, level, falling=falling, touch=touch)
            if found is not None:
                return found if found.time_ms <= until_ms else None
        return None

    def _candidates(
        self, after_ms: int, until_ms: int, level: float, *, falling: bool, touch: bool
    ) -> Iterator[int]:
        first, last = max(self.index_at(after_ms), 0), self.index_at(until_ms)
        if falling:
            extreme = self.low[first : last + 1]
            hit = extreme <= level if touch else extreme < level
        else:
            extreme = self.high[first : last + 1]
            hit = extreme >= level if touch else extreme > level
        return (first + int(i) for i in np.flatnonzero(hit))

    def _crossing_in(
        self, index: int, after_ms: int, level: float, *, falling: bool, touch: bool
    ) -> Crossing | None:
        sign = 1.0 if falling else -1.0

        def passed(price: float) -> bool:
            gap = (level - price) * sign
            return gap >= 0 if touch else gap > 0

        corners = self.knots(index)
        start, opened = corners[0]
        if start > after_ms and passed(opened):
            return Crossing(start, opened)
        for (t0, p0), (t1, p1) in _pairs(corners):
            if t1 <= after_ms or not passed(p1):
                continue
            share = (level - p0) / (p1 - p0) if p1 != p0 else 0.0
            span = max(share, 0.0) * (t1 - t0)
            at = t0 + (int(np.ceil(span)) if touch else int(span) + 1)
            return Crossing(min(max(at, after_ms + 1), t1), None)
        return None

    def trail(
        self, after_ms: int, until_ms: int, extreme: float, fraction: float, *, falling: bool
    ) -> tuple[Crossing | None, float]:
        """Follow the path with a trailing level; return where it is hit, and the extreme seen.

        `falling`: the level lies `fraction` below the highest price since the start, else above
        the lowest. `extreme` is that price so far.
        """
        sign = 1.0 if falling else -1.0
        for index in range(max(self.index_at(after_ms), 0), self.index_at(until_ms) + 1):
            for t0, p0, t1, p1 in self._pieces(index, after_ms, until_ms):
                if (p1 - extreme) * sign > 0:
                    extreme = p1
                level = extreme * (1 - sign * fraction)
                if (level - p1) * sign < 0:
                    continue
                if t0 == t1 or p0 == p1:
                    return Crossing(t1, p1), extreme
                share = min(max((level - p0) / (p1 - p0), 0.0), 1.0)
                at = t0 + int(np.ceil(share * (t1 - t0)))
                return Crossing(max(at, after_ms + 1), round(level, 8)), extreme
        return None, extreme

    def _pieces(
        self, index: int, after_ms: int, until_ms: int
    ) -> Iterator[tuple[int, float, int, float]]:
        """Yield the straight pieces of a candle within (`after_ms`, `until_ms`], its open first."""
        corners = self.knots(index)
        start, opened = corners[0]
        if after_ms < start <= until_ms:
            yield start, opened, start, opened
        for (t0, _), (t1, _) in _pairs(corners):
            first, last = max(t0, after_ms), min(t1, until_ms)
            if first < last:
                yield first, self.price_at(first), last, self.price_at(last)

    def extended(self, more: Series) -> Series:
        """Return this series followed by `more`."""
        joined = {
            name: np.concatenate([getattr(self, name), getattr(more, name)]) for name in _ARRAYS
        }
        return Series(self.interval, **joined, order=self.order)


_ARRAYS = (
    "open_ms",
    "open",
    "high",
    "low",
    "close",
    "volume",
    "quote_volume",
    "trades",
    "taker_base",
    "taker_quote",
)


def _pairs(knots: list[Knot]) -> Iterator[tuple[Knot, Knot]]:
    return itertools.pairwise(knots)


def _coin(time_ms: int) -> bool:
    mixed = (time_ms // 60_000) * 0x9E3779B97F4A7C15 & 0xFFFFFFFFFFFFFFFF
    return bool((mixed >> 40) & 1)


def series_of(bars: pl.DataFrame, order: PathOrder = PathOrder.LOW_FIRST) -> Series:
    """Turn a frame of one symbol and interval (schema of bars, sorted) into a series."""
    return Series(
        parse_interval(bars["interval"][0]),
        bars["open_time"].dt.epoch("ms").to_numpy(),
        bars["open"].to_numpy(),
        bars["high"].to_numpy(),
        bars["low"].to_numpy(),
        bars["close"].to_numpy(),
        bars["volume"].to_numpy(),
        bars["quote_volume"].to_numpy(),
        bars["trades"].to_numpy(),
        bars["taker_buy_base"].to_numpy(),
        bars["taker_buy_quote"].to_numpy(),
        order,
    )


def frame_of(series: Series, symbol: str) -> pl.DataFrame:
    """Turn a series into a frame with the schema of bars."""
    time = pl.Series(series.open_ms).cast(pl.Datetime("ms", "UTC")).cast(pl.Datetime("us", "UTC"))
    return pl.DataFrame(
        {
            "symbol": pl.repeat(symbol, len(time), eager=True),
            "interval": pl.repeat(str(series.interval), len(time), eager=True),
            "open_time": time,
            "open": series.open,
            "high": series.high,
            "low": series.low,
            "close": series.close,
            "volume": series.volume,
            "quote_volume": series.quote_volume,
            "trades": series.trades,
            "taker_buy_base": series.taker_base,
            "taker_buy_quote": series.taker_quote,
        }
    )
