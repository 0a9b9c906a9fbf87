"""Candidates on paper: what each would have wanted at the bars that closed, recorded, never sent.

Runs after a tick has done all its work: a fault here costs a record, not an order.

Add here: what is recorded of a candidate. Keep out: orders, comparing (research/shadowing).
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal
from typing import Protocol

import polars as pl

from thunes_core.domain.records import Shadow, ShadowDecision
from thunes_core.strategies.base import build_from
from thunes_core.trading.look import closed_bars
from thunes_core.trading.world import World, parse_study


class ShadowBook(Protocol):
    """Where candidates and their decisions are kept."""

    def shadow(self, study: str) -> Shadow | None:
        """Return the candidate that decides on paper for `study`, or None."""
        ...

    def shadow_decisions(
        self, since: datetime | None = None, until: datetime | None = None
    ) -> pl.DataFrame:
        """Return what candidates would have done, by `bar`."""
        ...


def shadow_decisions(
    world: World, book: ShadowBook, studies: tuple[str, ...]
) -> list[ShadowDecision]:
    """Return the decisions of every candidate on bars that are not recorded yet.

    The first is of the newest closed bar; bars missed since are made up for, and say by
    `recorded_at` that they were late. Raises what reading the bars raises.
    """
    now = world.market.server_time()
    found = [shadow for study in studies if (shadow := book.shadow(study)) is not None]
    return [one for shadow in found for one in _of_one(world, book, shadow, now)]


def _of_one(
    world: World, book: ShadowBook, shadow: Shadow, now: datetime
) -> Iterator[ShadowDecision]:
    candidate = shadow.candidate
    study, strategy = parse_study(candidate.study), build_from(candidate.parameters)
    last = _last_bar(book, shadow)
    bars = closed_bars(world, study, strategy, last, now)
    if bars.is_empty():
        return
    rows = bars.select("open_time", "close").with_columns(strategy.target_exposure(bars))
    fresh = rows.tail(1) if last is None else rows.filter(pl.col("open_time") > last)
    for bar, close, target in fresh.iter_rows():
        price = Decimal(repr(close))
        yield ShadowDecision(candidate.study, candidate.version, bar, target, price, now)


def _last_bar(book: ShadowBook, shadow: Shadow) -> datetime | None:
    """Return the newest bar recorded; the first was closed when the shadow began, or is older."""
    step = parse_study(shadow.candidate.study).interval.duration
    mine = book.shadow_decisions(since=shadow.since - 2 * step).filter(
        pl.col("study") == shadow.candidate.study, pl.col("version") == shadow.candidate.version
    )
    last: datetime | None = mine["bar"].max()  # type: ignore[assignment] # polars says Any literal
    return last
