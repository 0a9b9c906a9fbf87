"""The public trades of one symbol: a tape that adds up to its candles.

Each candle has as many trades as it says, spread evenly over its time, at the price of the path;
the first is at the open, the last at the close, and from four trades on the extremes are among
them. Quantities add up to the volume. Ids count from 0 at the first candle.

Add here: a question about public trades. Keep out: the account's own trades (`records`).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal

import numpy as np

from thunes_core.testnet.series import Series

EIGHT = Decimal("1e-8")


@dataclass(frozen=True, slots=True)
class PublicTrade:
    """One trade between others. `is_buyer_maker`: the seller took."""

    trade_id: int
    price: Decimal
    quantity: Decimal
    time_ms: int
    is_buyer_maker: bool


class Tape:
    """The trades of a series whose prices lie on `tick`."""

    def __init__(self, series: Series, tick: Decimal) -> None:
        self.series = series
        self._tick = tick
        self._ends = np.cumsum(series.trades)

    def count_until(self, time_ms: int) -> int:
        """Return how many trades there were up to `time_ms`: the id of the next one."""
        index = self.series.index_at(time_ms)
        if index < 0:
            return 0
        number = int(self.series.trades[index])
        since = time_ms - int(self.series.open_ms[index])
        return self._begin(index) + min(number, self._position_count(since, number))

    def _position_count(self, since_ms: int, number: int) -> int:
        """Return how many of a candle's `number` trades are not after `since_ms` of it."""
        low, high = 0, number
        while low < high:
            middle = (low + high) // 2
            if self._offset(middle, number) <= since_ms:
                low = middle + 1
            else:
                high = middle
        return low

    def trades(self, first_id: int, stop_id: int) -> Iterator[PublicTrade]:
        """Yield the trades with ids from `first_id` up to, not including, `stop_id`."""
        for trade_id in range(max(first_id, 0), stop_id):
            index = int(np.searchsorted(self._ends, trade_id, side="right"))
            if index >= len(self._ends):
                return
            yield self._trade(trade_id, index, trade_id - self._begin(index))

    def _trade(self, trade_id: int, index: int, nth: int) -> PublicTrade:
        series = self.series
        number = int(series.trades[index])
        time_ms = int(series.open_ms[index]) + self._offset(nth, number)
        ticks = (Decimal(str(round(series.price_at(time_ms), 8))) / self._tick).to_integral_value()
        volume, bought = float(series.volume[index]), float(series.taker_base[index])
        share = bought / volume if volume else 0.5
        return PublicTrade(
            trade_id,
            max(ticks, Decimal(1)) * self._tick,
            _part(volume, nth + 1, number) - _part(volume, nth, number),
            time_ms,
            int((nth + 1) * share) == int(nth * share),
        )

    def _begin(self, index: int) -> int:
        return int(self._ends[index - 1]) if index else 0

    def _offset(self, nth: int, number: int) -> int:
        """Return when, after the open, the `nth` of a candle's `number` trades happens."""
        step = self.series.step_ms
        if number < 2:
            return 0
        if number >= 4:
            corners = {
                round((number - 1) / 3): step // 3,
                round((number - 1) * 2 / 3): 2 * step // 3,
            }
            if nth in corners:
                return corners[nth]
        return nth * (step - 1) // (number - 1)


def _part(volume: float, nth: int, number: int) -> Decimal:
    """Return what the first `nth` of `number` trades make of `volume`."""
    return (Decimal(str(volume)) * nth / number).quantize(EIGHT)
