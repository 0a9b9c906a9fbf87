"""Sensors of research: what speaks for a new search, one sensor a trigger; shadows that are done.

Each has its own cursor (what it asked for, by study), a run key that is equal for an equal cause,
and a cool-off: one cause starts one run. The run may well end in "keep".

Add here: a trigger. Keep out: the looking (standing), the rule of asking (research.due).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime

import dagster as dg

from thunes_core.errors import OutsideFailed
from thunes_core.research.due import Due, Found, Watch, due
from thunes_pipelines import jobs, partitions, policies, runs, standing
from thunes_pipelines.promotion import paper_state
from thunes_pipelines.resources.house import House

Look = Callable[[standing.Standing], Found | None]
SHADOW_SECONDS = 300


@dataclass(frozen=True, slots=True)
class Trigger:
    """One reason to search anew: its sensor's name, how it looks, how often, and what it says."""

    name: str
    look: Look
    every_seconds: int
    description: str

    def evaluate(
        self, context: dg.SensorEvaluationContext, house: House
    ) -> dg.SensorResult | dg.SkipReason:
        """Ask for a new search of every study for which the cause holds."""
        try:
            now = house.market().server_time()
        except OutsideFailed as error:
            return dg.SkipReason(str(error))
        watches, found = _all_due(self.look, house, read_watches(context.cursor), now)
        busy = runs.partitions_in_flight(context.instance, jobs.REOPTIMISE.name)
        asked = {study: why for study, why in found.items() if study not in busy}
        after = [
            watch.ask(now, asked[watch.study].mark) if watch.study in asked else watch
            for watch in watches
        ]
        return dg.SensorResult(
            run_requests=[_request(why) for why in asked.values()],
            skip_reason=None if asked else f"no champion in force asks for it: {self.description}",
            cursor=write_watches(after),
        )


TRIGGERS = (
    Trigger(
        "reoptimise_on_live_results",
        standing.live_results,
        300,
        "live results outside the band that the evidence promised, or too deep a drawdown",
    ),
    Trigger(
        "reoptimise_on_drift",
        standing.drift,
        900,
        "features or volatility outside what the champion was fitted on",
    ),
    Trigger("reoptimise_on_age", standing.age, 300, "a champion in force for too long"),
    Trigger(
        "reoptimise_on_new_data",
        standing.new_data,
        900,
        "enough new bars that no search has seen",
    ),
    Trigger(
        "reoptimise_on_revision",
        standing.revision,
        900,
        "bars under a champion's evidence that were revised since",
    ),
)


def _all_due(
    look: Look, house: House, known: Mapping[str, Watch], now: datetime
) -> tuple[list[Watch], dict[str, Due]]:
    """Look at every champion in force; return what is remembered, and the searches due."""
    settings, watches, found = house.settings(), list[Watch](), dict[str, Due]()
    with closing(house.ledger()) as ledger:
        for study in partitions.configured_studies(settings):
            watch = standing.watched(ledger, study, known.get(study), now)
            champion = ledger.remembered_champion(study)
            if watch is None or champion is None:
                continue
            watches.append(watch)
            one = standing.Standing(champion, watch.since, now, settings, ledger, house.bars())
            cool_off = policies.REOPTIMISE_COOL_OFF
            why = due(watch, look(one), now=now, cool_off=cool_off, searched=one.searched)
            if why is not None:
                found[study] = why
    return watches, found


def _request(why: Due) -> dg.RunRequest:
    return dg.RunRequest(
        run_key=why.key,
        partition_key=why.study,
        tags={policies.CAUSE: str(why.cause), policies.WHY: why.why},
    )


def read_watches(cursor: str | None) -> dict[str, Watch]:
    """Return what the cursor remembers, by study; empty before the first look."""
    return {
        study: Watch(
            study=study,
            version=kept["version"],
            since=datetime.fromisoformat(kept["since"]),
            asked=kept["asked"],
            asked_at=datetime.fromisoformat(kept["asked_at"]) if kept["asked_at"] else None,
            mark=kept.get("mark", ""),
        )
        for study, kept in json.loads(cursor or "{}").items()
    }


def write_watches(watches: list[Watch]) -> str:
    """Return the cursor that remembers `watches`."""
    return json.dumps(
        {
            watch.study: {
                "version": watch.version,
                "since": watch.since.isoformat(),
                "asked": watch.asked,
                "asked_at": watch.asked_at.isoformat() if watch.asked_at else None,
                "mark": watch.mark,
            }
            for watch in watches
        }
    )


def shadow_done(context: dg.SensorEvaluationContext, house: House) -> dg.SensorResult:
    """Ask for the promotion of every candidate whose days on paper are recorded; once each."""
    settings = house.settings()
    asked: dict[str, str] = json.loads(context.cursor or "{}")
    waiting, requests = [], []
    with closing(house.ledger()) as ledger:
        for study in partitions.configured_studies(settings):
            paper = paper_state(ledger, study, settings)
            if paper is None or asked.get(study) == paper.version:
                continue
            waiting.append(f"{study}: {paper.sentence()}")
            if paper.is_complete:
                asked[study] = paper.version
                requests.append(_promotion(study, paper.version, paper.sentence()))
    return dg.SensorResult(
        run_requests=requests,
        skip_reason=None if requests else "; ".join(waiting) or "no candidate is on paper",
        cursor=json.dumps(asked),
    )


def _promotion(study: str, version: str, why: str) -> dg.RunRequest:
    return dg.RunRequest(
        run_key=f"shadow-{study}-v{version}",
        run_config={"ops": {"promote_version": {"config": {"study": study, "version": version}}}},
        tags={policies.CAUSE: "shadow", policies.WHY: why},
    )


def research_sensors(status: dg.DefaultSensorStatus) -> list[dg.SensorDefinition]:
    """Return the sensors of every trigger, and the one that ends shadows."""
    return [
        *(_sensor(trigger, status) for trigger in TRIGGERS),
        dg.sensor(
            name="promote_after_shadow",
            job_name=jobs.promote.name,
            minimum_interval_seconds=SHADOW_SECONDS,
            default_status=status,
            description="Promotes a candidate whose days on paper beside the champion are over.",
        )(shadow_done),
    ]


def _sensor(trigger: Trigger, status: dg.DefaultSensorStatus) -> dg.SensorDefinition:
    def evaluate(
        context: dg.SensorEvaluationContext, house: House
    ) -> dg.SensorResult | dg.SkipReason:
        return trigger.evaluate(context, house)

    return dg.sensor(
        name=trigger.name,
        job=jobs.REOPTIMISE,
        minimum_interval_seconds=trigger.every_seconds,
        default_status=status,
        description=f"A new search: {trigger.description}.",
    )(evaluate)
