"""Live equity against what the evidence promised: for the daily report, by study and together.

Add here: a view of kept and broken promises. Keep out: formulas (research.promise), wording of
reports.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import polars as pl

from thunes_core.research.promise import LEAST_DAYS, promise_of, promised_equity, standing
from thunes_pipelines.standing import Standing, watched

if TYPE_CHECKING:
    from thunes_core.adapters.bars.store import BarStore
    from thunes_core.adapters.ledger import Ledger
    from thunes_core.settings import Settings


@dataclass(frozen=True, slots=True)
class Promises:
    """A sentence for each study, and the band of the whole account (time, low, high) or None."""

    sentences: dict[str, str] = field(default_factory=dict)
    band: pl.DataFrame | None = None


def promises(
    ledger: Ledger, bars: BarStore, settings: Settings, studies: Sequence[str], until: datetime
) -> Promises:
    """Hold every champion's live results up to `until` against its evidence.

    The account's band adds up those of the studies, as if all went well or badly together: it is
    wider than what independent studies would give. A study without kept evidence counts with what
    it was worth. None before `LEAST_DAYS` whole days of every champion.
    """
    sentences, bands = dict[str, str](), list[pl.DataFrame]()
    for study in studies:
        watch, champion = watched(ledger, study, None, until), ledger.remembered_champion(study)
        if watch is None or champion is None:
            return Promises(sentences)
        one = Standing(champion, watch.since, until, settings, ledger, bars)
        band, said = _one(one)
        bands.append(band)
        if said:
            sentences[study] = said
    return Promises(sentences, _together(bands) if sentences else None)


def _one(one: Standing) -> tuple[pl.DataFrame, str]:
    """Return the study's band by day and its sentence; what it was worth where there is none."""
    equity = one.live_equity
    if one.walk is not None:
        promise = promise_of(one.walk)
        band = promised_equity(equity, promise, one.since)
        kept = standing(equity, promise, one.since)
        if band is not None and kept is not None:
            return band, kept.sentence()
    return equity.select("time", low="equity", high="equity"), ""


def _together(bands: list[pl.DataFrame]) -> pl.DataFrame | None:
    """Add up the days that every study knows; times become the ends of the days."""
    both = pl.concat(bands).group_by("time").agg(pl.len(), pl.col("low", "high").sum())
    known = both.filter(pl.col("len") == len(bands)).sort("time")
    if known.height < LEAST_DAYS:
        return None
    return known.select(pl.col("time") + timedelta(days=1), "low", "high")
