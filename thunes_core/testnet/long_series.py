"""Candles on grids that no number of minutes says: three days, weeks, months, other time zones.

A candle without trades sets no price, as in `domain.bars.resample`.

Add here: another grid. Keep out: the price path (`series`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np

from thunes_core.domain.bars import parse_interval
from thunes_core.errors import UnknownName
from thunes_core.testnet.refusals import bad_data, bad_interval
from thunes_core.testnet.series import Candle, Ints, Series

MINUTE_MS = 60_000
DAY_MS = 86_400_000
FIRST_MONDAY_MS = 4 * DAY_MS
_DAYS = {"3d": (3, 0), "1w": (7, FIRST_MONDAY_MS)}
_ZONE = re.compile(r"([+-]?)(\d{1,2})(?::([0-5]\d))?")
_MOST_WEST, _MOST_EAST = -12 * 60, 14 * 60


@dataclass(frozen=True, slots=True)
class LongSeries:
    """Whole candles of one grid, sorted; the counterpart of `Series` without a path."""

    open_ms: Ints
    rows: list[Candle]

    def index_at(self, time_ms: int) -> int:
        """Return the index of the last candle opened by `time_ms`; -1 before the first."""
        return int(np.searchsorted(self.open_ms, time_ms, side="right")) - 1

    def candles(self, first: int, stop: int) -> list[Candle]:
        """Return the candles from index `first` up to, not including, `stop`."""
        return self.rows[first:stop]

    def candle(self, index: int) -> Candle:
        """Return the candle at `index`."""
        return self.rows[index]


def is_long(interval: str, offset_ms: int) -> bool:
    """True when a candle of `interval` is no number of minutes on the grid of UTC."""
    return interval in _DAYS or interval == "1M" or offset_ms != 0


def longest_ms(interval: str) -> int:
    """Return how long a candle of `interval` is at most."""
    if interval == "1M":
        return 31 * DAY_MS
    return _step_ms(interval)


def zone_offset_ms(text: str | None) -> int:
    """Return the offset that `timeZone` says (`8`, `-1:00`, `05:45`), 0 for none; or refuse it."""
    if text is None:
        return 0
    match = _ZONE.fullmatch(text)
    if match is None:
        raise bad_data("timeZone")
    minutes = int(match[2]) * 60 + int(match[3] or 0)
    minutes = -minutes if match[1] == "-" else minutes
    if not _MOST_WEST <= minutes <= _MOST_EAST:
        raise bad_data("timeZone")
    return minutes * MINUTE_MS


def _step_ms(interval: str) -> int:
    if interval in _DAYS:
        return _DAYS[interval][0] * DAY_MS
    try:
        return parse_interval(interval).minutes * MINUTE_MS
    except UnknownName:
        raise bad_interval() from None


def opens_of(open_ms: Ints, interval: str, offset_ms: int) -> tuple[Ints, Ints]:
    """Return for each time the open of its candle of `interval`, and the open of the next one."""
    local = open_ms + offset_ms
    if interval == "1M":
        months = local.astype("datetime64[ms]").astype("datetime64[M]")
        following = months + np.timedelta64(1, "M")
        bounds = [m.astype("datetime64[ms]").astype(np.int64) for m in (months, following)]
        return bounds[0] - offset_ms, bounds[1] - offset_ms
    step, shift = _step_ms(interval), _DAYS.get(interval, (0, 0))[1]
    starts = (local - shift) // step * step + shift - offset_ms
    return starts, starts + step


def long_series(base: Series, interval: str, offset_ms: int) -> LongSeries:
    """Build the candles of `interval` from the base candles; refuse what they do not divide."""
    if offset_ms % base.step_ms or (interval != "1M" and _step_ms(interval) % base.step_ms):
        raise bad_interval()
    starts, ends = opens_of(base.open_ms, interval, offset_ms)
    has_traded = (base.trades > 0) | (base.volume > 0)
    groups, group_of = np.unique(starts, return_inverse=True)
    lively = np.zeros(len(groups), dtype=bool)
    lively[group_of[has_traded]] = True
    kept = np.flatnonzero(has_traded | ~lively[group_of])
    heads = np.flatnonzero(np.diff(group_of[kept], prepend=-1))
    tails = np.append(heads[1:], len(kept)) - 1
    columns = (
        groups,
        base.open[kept][heads],
        np.maximum.reduceat(base.high[kept], heads),
        np.minimum.reduceat(base.low[kept], heads),
        base.close[kept][tails],
        np.add.reduceat(base.volume[kept], heads),
        ends[kept][heads] - 1,
        np.add.reduceat(base.quote_volume[kept], heads),
        np.add.reduceat(base.trades[kept], heads),
        np.add.reduceat(base.taker_base[kept], heads),
        np.add.reduceat(base.taker_quote[kept], heads),
    )
    return LongSeries(groups, list(map(Candle, *(c.tolist() for c in columns))))
