"""Promotion and rollback as whole actions: registry, the ledger's copy, the shadow before it.

Commands, jobs and the research assets all come here, so that none forgets a part. What is promoted
trades from the next tick on: the ledger's copy is made at once, and MLflow is asked by each tick.

Add here: what belongs to a promotion. Keep out: the rule itself (thunes_core.research.promotion).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING

import polars as pl

from thunes_core.domain.bars import parse_interval
from thunes_core.domain.parameters import Champion, split_study_key
from thunes_core.domain.records import Shadow
from thunes_core.errors import PromotionRefused
from thunes_core.research.promotion import Outcome, PromotionPolicy
from thunes_core.research.shadowing import SideBySide, beside, compare, is_complete

if TYPE_CHECKING:
    from thunes_core.adapters.ledger import Ledger
    from thunes_core.settings import Settings
    from thunes_pipelines.resources.registry import Candidate, Registry


class Settling(StrEnum):
    """What became of a candidate."""

    PROMOTED = "promoted"
    KEPT = "kept"
    ON_PAPER = "on paper"


@dataclass(frozen=True, slots=True)
class Settled:
    """The champion after a ruling was carried out (None: none yet), the version before, and why."""

    outcome: Settling
    champion: Champion | None
    before: str | None
    why: str


@dataclass(frozen=True, slots=True)
class Promoting:
    """Where promotions are made: registry, ledger, settings, and the exchange's clock."""

    registry: Registry
    ledger: Ledger
    settings: Settings
    now: datetime

    def promote(
        self, study: str, version: str | None = None, *, although: str | None = None
    ) -> Champion:
        """Make a version (by default the candidate) champion.

        Raises `PromotionRefused` where the evidence does not carry it, or where the settings ask
        for days on paper that it has not had; `although` is a person's reason to do it all the
        same, and is kept.
        """
        if not although:
            self._require_days_on_paper(self.registry.candidate(study, version))
        champion = self.registry.promote(study, version, although=although)
        self._in_force(champion, f"version {champion.version} was promoted")
        return champion

    def rollback(self, study: str) -> Champion:
        """Return to the champion before."""
        champion = self.registry.rollback(study)
        self._in_force(champion, f"rolled back to version {champion.version}")
        return champion

    def settle(self, study: str) -> Settled:
        """Carry out what was ruled about the candidate: promote it, watch it on paper, or keep.

        "Keep" is an outcome like the others: nothing good enough was found, and nothing is done.
        """
        candidate, before = self.registry.candidate(study), self.registry.champion_or_none(study)
        number = before.version if before else None
        if candidate.verdict is not Outcome.PROMOTE:
            return Settled(Settling.KEPT, before, number, candidate.why)
        if self._needs_paper(candidate) and not self._has_been_on_paper(candidate):
            why = f"{candidate.why}; {self._put_on_paper(candidate)}"
            return Settled(Settling.ON_PAPER, before, number, why)
        return Settled(Settling.PROMOTED, self.promote(study), number, candidate.why)

    def _in_force(self, champion: Champion, why: str) -> None:
        self.ledger.remember_champion(champion, self.now)
        self.ledger.end_shadow(champion.study, self.now, why)

    def _needs_paper(self, candidate: Candidate) -> bool:
        """The first champion of a paper account begins at once: it is on paper anyway."""
        return self.settings.shadow_days > 0 and candidate.policy is not PromotionPolicy.BOOTSTRAP

    def _has_been_on_paper(self, candidate: Candidate) -> bool:
        made = decisions_on_paper(self.ledger, candidate.study, candidate.version)
        interval = parse_interval(split_study_key(candidate.study)[2])
        return is_complete(made, interval.duration, self.settings.shadow_days)

    def _put_on_paper(self, candidate: Candidate) -> str:
        """Let the candidate decide on paper, unless another is at it; say which.

        The one that is at it ends its days first: were it replaced by each newer candidate, weekly
        searches would let none ever end more than a week.
        """
        running = self.ledger.shadow(candidate.study)
        if running is not None and running.candidate.version != candidate.version:
            other = running.candidate.version
            return f"version {other} is on paper beside the champion and ends its days first"
        if running is None:
            chosen = self.registry.trusted_version(candidate.study, candidate.version)
            self.ledger.begin_shadow(Shadow(chosen, self.now))
        return f"first {self._days()} on paper beside the champion"

    def _require_days_on_paper(self, candidate: Candidate) -> None:
        if not self._needs_paper(candidate) or self._has_been_on_paper(candidate):
            return
        made = decisions_on_paper(self.ledger, candidate.study, candidate.version).height
        raise PromotionRefused(
            f"{candidate.study}: expected {self._days()} of version {candidate.version} on paper "
            f"before its promotion (THUNES_SHADOW_DAYS); {made} bars are recorded; wait for the "
            "rest, or give a reason to promote it all the same"
        )

    def _days(self) -> str:
        days = self.settings.shadow_days
        return f"{days} day{'s' * (days > 1)}"


def decisions_on_paper(ledger: Ledger, study: str, version: str) -> pl.DataFrame:
    """Return what one version would have done, by bar."""
    return ledger.shadow_decisions().filter(pl.col("study") == study, pl.col("version") == version)


@dataclass(frozen=True, slots=True)
class PaperState:
    """A running shadow: the version, its bars so far and asked for, and the comparison by bar."""

    version: str
    since: datetime
    bars: int
    wanted: int
    compared: SideBySide
    table: pl.DataFrame

    @property
    def is_complete(self) -> bool:
        """True when as many bars are recorded as were asked for."""
        return self.bars >= self.wanted

    def sentence(self) -> str:
        """Say it in one line."""
        done = f"version {self.version} on paper since {self.since:%Y-%m-%d %H:%M}"
        return f"{done}, {self.bars} of {self.wanted} bars: {self.compared.sentence()}"


def paper_state(ledger: Ledger, study: str, settings: Settings) -> PaperState | None:
    """Return how the candidate on paper does beside the champion; None where none is."""
    shadow = ledger.shadow(study)
    if shadow is None:
        return None
    strategy, symbol, interval = split_study_key(study)
    made = decisions_on_paper(ledger, study, shadow.candidate.version)
    decided = ledger.decisions().filter(
        pl.col("strategy") == strategy, pl.col("symbol") == symbol, pl.col("interval") == interval
    )
    table = beside(made, decided)
    return PaperState(
        version=shadow.candidate.version,
        since=shadow.since,
        bars=made.height,
        wanted=timedelta(days=settings.shadow_days) // parse_interval(interval).duration,
        compared=compare(table, settings.costs),
        table=table,
    )
