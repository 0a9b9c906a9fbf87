"""How long each position stood without a stop at the exchange, from the ledger alone. Pure.

Covered is while a protective sell of the book rests there; the rest is what nothing protected.
Times are the exchange's.

Add here: another figure of how positions are covered. Keep out: placing protection (see `guard`).
"""

from __future__ import annotations

from bisect import insort
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from thunes_core.domain.orders import Leg
from thunes_core.domain.records import OrderRecord

Span = tuple[datetime, datetime]
NOTHING = timedelta(0)


@dataclass(frozen=True, slots=True)
class Held:
    """A position: its book, from its first fill to its last one or now (UTC)."""

    strategy: str
    symbol: str
    opened: datetime
    closed: datetime


@dataclass(frozen=True, slots=True)
class Cover:
    """A position and how long nothing covered it, `moving` of it between one stop and the next.

    `moves` counts the stops that took another's place while it was held; several that rest beside
    each other, as parts of it, are none.
    """

    held: Held
    bare: timedelta
    moves: int = 0
    moving: timedelta = NOTHING

    @property
    def bare_seconds(self) -> float:
        """Seconds without a stop at the exchange."""
        return self.bare.total_seconds()

    @property
    def moving_seconds(self) -> float:
        """Seconds of it between a stop that was taken away and the one that took its place."""
        return self.moving.total_seconds()


def covers(positions: Iterable[Held], orders: Iterable[OrderRecord], now: datetime) -> list[Cover]:
    """Return how each of `positions` was covered, in their order.

    Positions that no stop was ever placed for are left out: protection was off.
    """
    stops: dict[tuple[str, str], list[Span]] = {}
    for record in orders:
        span = _rested(record, now)
        if span is not None:
            stops.setdefault((record.strategy, record.request.symbol), []).append(span)
    found = []
    for held in positions:
        mine = [s for s in stops.get((held.strategy, held.symbol), []) if _meets(held, s)]
        if mine:
            bare, moving = _bare((held.opened, held.closed), mine)
            found.append(Cover(held, bare, _moves(mine), moving))
    return found


def _rested(record: OrderRecord, now: datetime) -> Span | None:
    """Return from when to when a stop rested; until `now` when it still does."""
    if record.request.leg is not Leg.STOP or record.rested_at is None:
        return None
    ended = record.updated_at if record.status.is_final else None
    return record.rested_at, max(ended or now, record.rested_at)


def _meets(held: Held, stop: Span) -> bool:
    return stop[0] <= held.closed and stop[1] >= held.opened


def _moves(stops: Sequence[Span]) -> int:
    """Count the stops before which another had ended whose place no other took."""
    ends, moves = list[datetime](), 0
    for start, end in sorted(stops):
        moves += moves < len(ends) and ends[moves] <= start
        insort(ends, end)
    return moves


def _bare(span: Span, stops: Sequence[Span]) -> tuple[timedelta, timedelta]:
    """Return how much of `span` lies in none of `stops`, and how much of that between two."""
    at, first, moving = span[0], NOTHING, NOTHING
    for number, (start, end) in enumerate(sorted(stops)):
        gap = max(min(start, span[1]) - at, NOTHING)
        first, moving = (gap, moving) if number == 0 else (first, moving + gap)
        at = max(at, min(end, span[1]))
    return first + moving + max(span[1] - at, NOTHING), moving
