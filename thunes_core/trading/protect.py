"""Protective exits judged on bars that have closed, with the rules of semantics §3.

Add here: another protective exit. Keep out: orders, the exchange.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from thunes_core.domain.bars import moment_of
from thunes_core.domain.limits import Protection
from thunes_core.domain.portfolio import Position
from thunes_core.indicators.columns import Columns
from thunes_core.trading import rules

NO_EXIT = ""
LATE = timedelta(seconds=60)
"""An entry later than this after a bar's open does not answer for that bar's extremes."""
AT_OPEN = timedelta(0)
"""The same for limit entries: what they waited for came inside the bar, unless it opened there."""


@dataclass(frozen=True, slots=True)
class Watch:
    """A book after the bars were watched, and the reason to exit (`NO_EXIT` when there is none)."""

    position: Position
    reason: str = NO_EXIT


def watch_bars(
    position: Position, bars: Columns, protection: Protection, late: timedelta = LATE
) -> Watch:
    """Walk the closed `bars` after `position.last_bar`: raise the high water or find the exit.

    `bars` may begin earlier. Bars that closed before the entry are passed over, and so is the bar
    of an entry more than `late` after its open.
    """
    if not position.is_open or position.entry_time is None:
        return Watch(position)
    step = _step(bars)
    for open_time, open_price, high, low in _after(bars, position.last_bar):
        after = position.entry_time - open_time
        if after >= step or after > late:
            continue
        entry_bar = open_time <= position.entry_time
        reason = _inside(position, protection, open_price, high, low, entry_bar)
        if reason:
            return Watch(position, reason)
        position = replace(position, high_water=max(position.high_water, high))
    return Watch(position)


def watch_price(position: Position, price: float, protection: Protection) -> str:
    """Return the reason to exit at `price` now, or `NO_EXIT`."""
    if not position.is_open:
        return NO_EXIT
    return _inside(position, protection, price, price, price, entry_bar=False)


def levels(position: Position, protection: Protection) -> tuple[float, bool, float]:
    """Return the stop, whether the trail set it, and the target; unrounded, in quote units."""
    entry = float(position.average_price)
    stop, is_trail = rules.stop_level(
        entry,
        position.high_water,
        protection.stop_loss,
        protection.trailing_stop,
        protection.trailing_activation,
    )
    return stop, is_trail, rules.target_level(entry, protection.take_profit)


def _inside(
    position: Position,
    protection: Protection,
    open_price: float,
    high: float,
    low: float,
    entry_bar: bool,
) -> str:
    stop, is_trail, target = levels(position, protection)
    hit, _price, _at_open = rules.protective_exit(open_price, high, low, stop, target, entry_bar)
    if hit == rules.STOP_HIT:
        return rules.REASONS[rules.TRAILING_STOP if is_trail else rules.STOP_LOSS]
    return rules.REASONS[rules.TAKE_PROFIT] if hit == rules.TARGET_HIT else NO_EXIT


def _after(bars: Columns, since: datetime | None) -> Iterator[tuple[datetime, float, float, float]]:
    """Yield (open time, open, high, low) of the sorted `bars` after `since`."""
    start = 0 if since is None else bars.count_until(since)
    columns = (bars.open_time, bars.open, bars.high, bars.low)
    for us, *prices in zip(*(column[start:].tolist() for column in columns), strict=True):
        yield moment_of(us), *prices


def _step(bars: Columns) -> timedelta:
    """Length of one bar, from the content; zero for less than two bars."""
    if len(bars) < 2:
        return timedelta(0)
    newest, before = int(bars.open_time[-1]), int(bars.open_time[-2])
    return timedelta(microseconds=newest - before)
