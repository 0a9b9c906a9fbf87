"""What a champion in force stands on, and what speaks for a new search: one look per trigger.

Reads the ledger and the lake alone; MLflow is not imported, for sensors look every few minutes.

Add here: a look at a champion. Keep out: formulas (core), asking for runs (research_sensors).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from typing import TYPE_CHECKING

import polars as pl

from thunes_core.domain.bars import Interval, fingerprint, parse_interval
from thunes_core.domain.parameters import Champion, split_study_key
from thunes_core.research.due import Cause, Found, Watch, enough_new, fallen, too_old
from thunes_pipelines.research_plan import walk_store

if TYPE_CHECKING:
    from thunes_core.adapters.bars.store import BarStore
    from thunes_core.adapters.ledger import Ledger
    from thunes_core.domain.results import WalkForwardResult
    from thunes_core.indicators.averages import Line
    from thunes_core.settings import Settings

SHORT_HASH = 12


@dataclass(frozen=True)
class Standing:
    """One champion at one moment of the exchange's clock, and where its facts are read.

    `since` is when it took over. What is asked for twice is read once.
    """

    champion: Champion
    since: datetime
    now: datetime
    settings: Settings
    ledger: Ledger
    bars: BarStore

    @property
    def study(self) -> str:
        """The study's name."""
        return self.champion.study

    @property
    def symbol(self) -> str:
        """The symbol that is traded."""
        return split_study_key(self.study)[1]

    @property
    def interval(self) -> Interval:
        """The interval of its bars."""
        return parse_interval(split_study_key(self.study)[2])

    @cached_property
    def walk(self) -> WalkForwardResult | None:
        """The newest walk-forward that chose these parameters: the evidence. None if not kept."""
        walks = walk_store(self.settings)
        return walks.of_choice(self.study, self.champion.parameters.fingerprint)

    @cached_property
    def searched(self) -> datetime | None:
        """The end of the newest bar that any search of the study has seen."""
        return walk_store(self.settings).searched_until(self.study)

    def read(self, start: datetime | None, end: datetime | None) -> pl.DataFrame:
        """Read stored bars; None is the begin of the evidence, or now."""
        return self.bars.read(self.symbol, self.interval, start or self.since, end or self.now)

    @cached_property
    def live_equity(self) -> pl.DataFrame:
        """What the study's book was worth at the end of each day since shortly before."""
        from thunes_core.research.promise import live_equity

        strategy, symbol, _ = split_study_key(self.study)
        fills = self.ledger.fills().filter(
            pl.col("strategy") == strategy, pl.col("symbol") == symbol
        )
        closes = self.read(self.since - timedelta(days=2), self.now)
        return live_equity(fills, closes, float(self.settings.allotment_quote))


def live_results(one: Standing) -> Found | None:
    """Find live results that left the promised band, or fell deeper than allowed."""
    from thunes_core.research.promise import promise_of, standing

    deep = fallen(one.ledger.equity(since=one.since), one.settings.max_live_drawdown)
    if deep is not None or one.walk is None:
        return deep
    kept = standing(one.live_equity, promise_of(one.walk), one.since)
    if kept is None or not kept.outside:
        return None
    return Found(Cause.BAND, f"is outside its promise: {kept.sentence()}")


def drift(one: Standing) -> Found | None:
    """Find that features or volatility left what the champion was fitted on."""
    from thunes_core.research import drift as measure

    if one.walk is None or one.walk.chosen_until is None:
        return None
    training = one.read(one.walk.chosen_from, one.walk.chosen_until)
    first = max(one.now - timedelta(days=measure.STRETCH_DAYS), one.walk.chosen_until)
    if one.now - first < timedelta(days=measure.LEAST_NEW_DAYS):
        return None
    volatility = measure.volatility_drift(training, one.read(first, one.now))
    if volatility is not None and volatility.has_drifted:
        return Found(Cause.VOLATILITY, f"meets another market: {volatility.sentence()}")
    deciles = stored_deciles(one.champion)
    if deciles is None:
        return None
    warm = first - measure.WARMUP_BARS * one.interval.duration
    features = measure.feature_drift(training, one.read(warm, one.now), deciles)
    if features is not None and features.has_drifted:
        return Found(Cause.FEATURES, f"meets other features: {features.sentence()}")
    return None


def stored_deciles(champion: Champion) -> Line | None:
    """Return the deciles that a fitted champion was versioned with; None for any other."""
    from thunes_core.strategies.model_document import read_model

    model = champion.parameters.values.get("model")
    return read_model(model)["deciles"] if isinstance(model, str) and model else None


def age(one: Standing) -> Found | None:
    """Find a champion that is in force for too long without a search that kept it."""
    allowed = timedelta(days=one.settings.champion_max_age_days)
    return too_old(one.since, one.now, allowed, one.searched)


def new_data(one: Standing) -> Found | None:
    """Find enough stored bars that no search has seen."""
    span = one.bars.span(one.symbol, one.interval)
    if span is None:
        return None
    newest = span[1] + one.interval.duration
    return enough_new(one.searched, newest, timedelta(days=one.settings.new_data_days))


def revision(one: Standing) -> Found | None:
    """Find that the bars under the evidence are no longer those it was made of."""
    if one.walk is None:
        return None
    held = fingerprint(one.read(one.walk.bars_from, one.walk.chosen_until))
    if held == one.walk.data_fingerprint:
        return None
    return Found(
        Cause.REVISION,
        "stands on bars that were revised since; `thunes why --month` shows what else does",
        mark=held[:SHORT_HASH],
        at_once=True,
    )


def watched(ledger: Ledger, study: str, known: Watch | None, now: datetime) -> Watch | None:
    """Return what is remembered of the champion in force; a new version begins anew."""
    champion = ledger.remembered_champion(study)
    since = ledger.champion_since(study)
    if champion is None or since is None:
        return None
    if known is not None and known.version == champion.version:
        return known
    return Watch(study, champion.version, min(since, now))
