"""Whether a champion is due for a new search, and that one cause asks once.

Pure: what is remembered and what was found come in, a search to ask for or None comes out.

Add here: another cause, another rule of asking. Keep out: asking for the run, reading stores.
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
    BAND = "band"
    FEATURES = "features"
    VOLATILITY = "volatility"
    NEW_DATA = "new_data"
    REVISION = "revision"


@dataclass(frozen=True, slots=True)
class Watch:
    """What is remembered of a study's champion: since when it is in force, and what was asked.

    `since` and `asked_at` are on the exchange's clock, UTC; `asked` counts the searches asked for
    during this version, `mark` names the last cause that had a name of its own.
    """

    study: str
    version: str
    since: datetime
    asked: int = 0
    asked_at: datetime | None = None
    mark: str = ""

    def ask(self, now: datetime, mark: str = "") -> Watch:
        """Return the watch after one more search was asked for."""
        return replace(self, asked=self.asked + 1, asked_at=now, mark=mark)


@dataclass(frozen=True, slots=True)
class Found:
    """A cause and its sentence.

    `mark` tells one such cause from the next (the content of revised bars, say): the same is asked
    for once. `at_once`: even shortly after a search of another cause.
    """

    cause: Cause
    what: str
    mark: str = ""
    at_once: bool = False


@dataclass(frozen=True, slots=True)
class Due:
    """A search to ask for: the cause, the sentence, and a key that is equal for an equal cause."""

    study: str
    cause: Cause
    why: str
    key: str
    mark: str = ""


def due(
    watch: Watch,
    found: Found | None,
    *,
    now: datetime,
    cool_off: timedelta,
    searched: datetime | None = None,
) -> Due | None:
    """Return the search that `found` asks for, or None.

    One trigger asks again only after `cool_off`; and none asks within it of the newest bar that
    any search has `searched`, for it would see nothing new.
    """
    if found is None or (found.mark and found.mark == watch.mark):
        return None
    if watch.asked_at is not None and now - watch.asked_at < cool_off:
        return None
    if searched is not None and now - searched < cool_off and not found.at_once:
        return None
    return Due(
        study=watch.study,
        cause=found.cause,
        why=f"{watch.study}: champion version {watch.version} {found.what}",
        key=f"{watch.study}-v{watch.version}-{found.cause}-{found.mark or watch.asked}",
        mark=found.mark,
    )


def too_old(
    since: datetime, now: datetime, max_age: timedelta, searched: datetime | None = None
) -> Found | None:
    """Find a champion that is in force for longer than allowed.

    One that a search looked at again since, and that was kept, is as good as new from then on:
    `searched` is the newest bar that any search of the study has seen.
    """
    age = now - since
    if now - max(since, searched or since) <= max_age:
        return None
    return Found(Cause.AGE, f"is {age.days} days old; {max_age.days} allowed")


def fallen(equity: pl.DataFrame, max_drawdown: float) -> Found | None:
    """Find a live drawdown deeper than allowed (a positive fraction).

    `equity`: columns time (UTC), equity (Float64, quote units), the marks since the takeover.
    """
    fall = deepest_fall(equity)
    if fall <= max_drawdown:
        return None
    return Found(Cause.DRAWDOWN, f"lost {fall:.1%} live; {max_drawdown:.1%} allowed")


def enough_new(searched: datetime | None, newest: datetime, wanted: timedelta) -> Found | None:
    """Find that as much history as `wanted` has come since the newest search."""
    if searched is None or newest - searched < wanted:
        return None
    days = (newest - searched).days
    return Found(Cause.NEW_DATA, f"has {days} days of bars that no search has seen")


def deepest_fall(equity: pl.DataFrame) -> float:
    """Return the deepest fall of `equity` from an earlier peak, as a positive fraction; 0 if none.

    >>> deepest_fall(pl.DataFrame({"equity": [100.0, 80.0, 120.0, 90.0]}))
    0.25
    """
    marks = equity["equity"]
    fall = (1 - marks / marks.cum_max()).max()
    return float(fall) if isinstance(fall, float) else 0.0
