"""Whether a champion is due for a new search: too old, or losing more live than allowed.

Pure: what is remembered and what the ledger shows come in, a reason to search or None comes out.

Add here: another cause. Keep out: asking for the run, reading stores.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

import polars as pl


class Cause(StrEnum):
    """Why a new search is asked for."""

    AGE = "age"
    DRAWDOWN = "drawdown"


@dataclass(frozen=True, slots=True)
class Watch:
    """What is remembered of a study's champion: since when it is in force, and what was asked.

    `since` and `asked_at` are on the exchange's clock, UTC; `asked` counts the searches asked for
    during this version.
    """

    study: str
    version: str
    since: datetime
    asked: int = 0
    asked_at: datetime | None = None

    def ask(self, now: datetime) -> Watch:
        """Return the watch after one more search was asked for."""
        return replace(self, asked=self.asked + 1, asked_at=now)


@dataclass(frozen=True, slots=True)
class Due:
    """A search to ask for: the cause, the sentence, and a key that is equal for an equal cause."""

    study: str
    cause: Cause
    why: str
    key: str


def due(
    watch: Watch,
    equity: pl.DataFrame,
    *,
    now: datetime,
    max_age: timedelta,
    max_drawdown: float,
    cool_off: timedelta,
) -> Due | None:
    """Return why `watch.study` needs a new search, or None.

    `equity`: columns time (UTC), equity (Float64, quote units), the marks since `watch.since`.
    `max_drawdown` is a positive fraction. One cause asks again only after `cool_off`.
    """
    if watch.asked_at is not None and now - watch.asked_at < cool_off:
        return None
    fall = deepest_fall(equity)
    if fall > max_drawdown:
        return _because(watch, Cause.DRAWDOWN, f"lost {fall:.1%} live; {max_drawdown:.1%} allowed")
    age = now - watch.since
    if age > max_age:
        return _because(watch, Cause.AGE, f"is {age.days} days old; {max_age.days} allowed")
    return None


def deepest_fall(equity: pl.DataFrame) -> float:
    """Return the deepest fall of `equity` from an earlier peak, as a positive fraction; 0 if none.

    >>> deepest_fall(pl.DataFrame({"equity": [100.0, 80.0, 120.0, 90.0]}))
    0.25
    """
    marks = equity["equity"]
    fall = (1 - marks / marks.cum_max()).max()
    return float(fall) if isinstance(fall, float) else 0.0


def _because(watch: Watch, cause: Cause, what: str) -> Due:
    return Due(
        study=watch.study,
        cause=cause,
        why=f"{watch.study}: champion version {watch.version} {what}",
        key=f"{watch.study}-v{watch.version}-{cause}-{watch.asked}",
    )
