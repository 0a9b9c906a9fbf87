"""The first start: bars and a first search for every study that has no champion yet.

Without it trading would wait for the hourly ingest and the weekly search. It asks once: what then
fails is seen in its run, and the schedules go on from there.

Add here: what a fresh state folder needs before it can trade. Keep out: promotion, formulas.
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING

import dagster as dg

from thunes_core.domain.parameters import split_study_key
from thunes_core.errors import NoChampion, OutsideFailed
from thunes_pipelines import jobs, partitions, runs
from thunes_pipelines.assets.market import bars_key
from thunes_pipelines.resources.house import House
from thunes_pipelines.schedules import wanted_months

if TYPE_CHECKING:
    from thunes_core.settings import Settings

LOOK_SECONDS = 10


class Stage(StrEnum):
    """How far the first start has come; kept as the sensor's cursor."""

    NOTHING = ""
    BARS_ASKED = "bars asked for"
    SEARCH_ASKED = "search asked for"


def first_start(
    context: dg.SensorEvaluationContext, house: House
) -> dg.SensorResult | dg.SkipReason:
    """Ask for bars, and when they are there for a search, while a study has no champion."""
    settings = house.settings()
    try:
        missing = without_champion(house, settings)
        now = house.market().server_time()
    except OutsideFailed as error:
        return dg.SkipReason(str(error))
    if not missing:
        return dg.SkipReason("every configured study has a champion")
    return _next_step(context, settings, missing, now)


def without_champion(house: House, settings: Settings) -> list[str]:
    """Return the configured studies without a champion; `RegistryUnavailable` passes through."""
    source = house.parameters()
    missing = []
    for study in partitions.configured_studies(settings):
        try:
            source.champion(study)
        except NoChampion:
            missing.append(study)
    return missing


def _next_step(
    context: dg.SensorEvaluationContext, settings: Settings, missing: list[str], now: datetime
) -> dg.SensorResult | dg.SkipReason:
    stage = Stage(context.cursor or "")
    if stage is Stage.NOTHING:
        return _ask_for_bars(context.instance, settings, missing, now)
    if runs.partitions_in_flight(context.instance, jobs.INGEST.name):
        return dg.SkipReason("bars are being fetched")
    if stage is Stage.BARS_ASKED:
        return _ask_for_search(context.instance, missing)
    return dg.SkipReason(
        f"no champion yet of {', '.join(missing)}; see the runs of the job {jobs.REOPTIMISE.name}"
    )


def _ask_for_bars(
    instance: dg.DagsterInstance, settings: Settings, missing: list[str], now: datetime
) -> dg.SensorResult:
    symbols = sorted({split_study_key(study)[1] for study in missing})
    instance.add_dynamic_partitions(partitions.SYMBOL, symbols)
    made = runs.partitions_made(instance, bars_key(settings.interval))
    busy = runs.partitions_in_flight(instance, jobs.INGEST.name)
    keys = wanted_months(now, settings.history_days, symbols, made)
    return dg.SensorResult(
        run_requests=[
            dg.RunRequest(job_name=jobs.INGEST.name, run_key=f"first-{key}", partition_key=key)
            for key in keys
            if key not in busy
        ],
        cursor=Stage.BARS_ASKED.value,
    )


def _ask_for_search(instance: dg.DagsterInstance, missing: list[str]) -> dg.SensorResult:
    instance.add_dynamic_partitions(partitions.STUDY, missing)
    busy = runs.partitions_in_flight(instance, jobs.REOPTIMISE.name)
    return dg.SensorResult(
        run_requests=[
            dg.RunRequest(
                job_name=jobs.REOPTIMISE.name, run_key=f"first-{study}", partition_key=study
            )
            for study in missing
            if study not in busy
        ],
        cursor=Stage.SEARCH_ASKED.value,
    )


def first_start_sensor(*, running: bool) -> dg.SensorDefinition:
    """Return the sensor; it runs where the schedules that can trade do."""
    on, off = dg.DefaultSensorStatus.RUNNING, dg.DefaultSensorStatus.STOPPED
    return dg.sensor(
        name="first_start",
        jobs=[jobs.INGEST, jobs.REOPTIMISE],
        minimum_interval_seconds=LOOK_SECONDS,
        default_status=on if running else off,
        description="Bars and a first search for every configured study without a champion.",
    )(first_start)
