"""Sensors: what has happened, and which job it asks for.

They read the exchange's clock and the ledger; cursors and run keys make one cause start one run.

Add here: a sensor. Keep out: order logic, formulas, what asks for a search (`research_sensors`).
"""

from __future__ import annotations

import logging
from contextlib import closing
from datetime import datetime
from typing import TYPE_CHECKING

import dagster as dg

from thunes_core.adapters.stream.board import read_board
from thunes_core.clock import SystemClock
from thunes_core.domain.bars import Interval
from thunes_core.errors import OutsideFailed, StoreFailed
from thunes_pipelines import jobs, partitions, runs
from thunes_pipelines.first_start import first_start_sensor
from thunes_pipelines.research_sensors import research_sensors
from thunes_pipelines.resources.house import House

if TYPE_CHECKING:
    from thunes_core.settings import Settings

NEW_BAR_SECONDS = 15
PARTITIONS_SECONDS = 300
FAILURE_SECONDS = 30

_log = logging.getLogger(__name__)


def new_bar(context: dg.SensorEvaluationContext, house: House) -> dg.SensorResult | dg.SkipReason:
    """Ask for a tick when a bar has closed that the ledger has not decided on.

    The stream's board is looked at first; where it shows nothing new, the exchange is asked for its
    clock. The cursor is the newest bar answered for: while it is current, the ledger is not even
    opened.
    """
    settings = house.settings()
    try:
        bar = shown_on_board(settings, context.cursor) or newest_closed(
            settings.interval, house.market().server_time()
        )
    except OutsideFailed as error:
        return dg.SkipReason(str(error))
    name = bar.isoformat()
    if context.cursor == name:
        return dg.SkipReason(f"no bar has closed since {name}")
    running = runs.tick_in_flight(context.instance)
    if running:
        return dg.SkipReason(f"tick {running} is not finished")
    if _is_decided(house, settings, bar):
        return dg.SensorResult(skip_reason=f"{name} is decided on already", cursor=name)
    return dg.SensorResult(run_requests=[dg.RunRequest(run_key=f"bar-{name}")], cursor=name)


def newest_closed(interval: Interval, now: datetime) -> datetime:
    """Return the open time of the newest bar that is closed at `now`."""
    return interval.floor(now) - interval.duration


def shown_on_board(settings: Settings, cursor: str | None) -> datetime | None:
    """Return the newest bar that the stream saw closing on every symbol, if newer than `cursor`."""
    try:
        board = {one.symbol: one for one in read_board(settings.board_path)}
    except StoreFailed:
        return None
    shown = [board.get(symbol) for symbol in settings.symbols]
    times = [one.bar_open_time for one in shown if one and one.interval == str(settings.interval)]
    closed = [at for at in times if at is not None]
    if len(closed) < len(settings.symbols):
        return None
    oldest = min(closed)
    return oldest if not cursor or oldest > datetime.fromisoformat(cursor) else None


def _is_decided(house: House, settings: Settings, bar: datetime) -> bool:
    with closing(house.ledger()) as ledger:
        return all(
            ledger.is_decided(strategy, symbol, bar)
            for strategy in settings.strategies
            for symbol in settings.symbols
        )


def configured_partitions(
    context: dg.SensorEvaluationContext, house: House
) -> dg.SensorResult | dg.SkipReason:
    """Keep the symbols and studies of the settings known as partitions; none is ever taken away."""
    settings = house.settings()
    studies = partitions.configured_studies(settings)
    missing = [
        definition.build_add_request(new)
        for name, definition, wanted in (
            (partitions.SYMBOL, partitions.SYMBOL_PARTITIONS, list(settings.symbols)),
            (partitions.STUDY, partitions.STUDY_PARTITIONS, studies),
        )
        if (new := [k for k in wanted if not context.instance.has_dynamic_partition(name, k)])
    ]
    if not missing:
        return dg.SkipReason("every configured symbol and study is a partition")
    return dg.SensorResult(dynamic_partitions_requests=missing)


def run_failed(context: dg.RunFailureSensorContext, house: House) -> None:
    """Tell the ledger's audit and the log which run failed and why."""
    run = context.dagster_run
    alert = {"job": run.job_name, "run_id": run.run_id, "why": context.failure_event.message}
    _log.error("run %(run_id)s of job %(job)s failed: %(why)s", alert)
    with closing(house.ledger()) as ledger:
        ledger.note(SystemClock().now(), "alert", {"kind": "run_failed", **alert})


def sensors(*, running: bool) -> list[dg.SensorDefinition]:
    """Return every sensor; those that can change what is traded run only when `running`."""
    on = dg.DefaultSensorStatus.RUNNING
    trading = on if running else dg.DefaultSensorStatus.STOPPED
    return [
        dg.sensor(
            name="trade_on_new_bar",
            job=jobs.TRADE,
            minimum_interval_seconds=NEW_BAR_SECONDS,
            default_status=trading,
            description="A tick as soon as a bar has closed on the exchange's clock.",
        )(new_bar),
        *research_sensors(trading),
        first_start_sensor(running=running),
        dg.sensor(
            name="configured_partitions",
            minimum_interval_seconds=PARTITIONS_SECONDS,
            default_status=on,
            description="Symbols and studies of the settings become partitions.",
        )(configured_partitions),
        dg.run_failure_sensor(
            name="run_failures",
            minimum_interval_seconds=FAILURE_SECONDS,
            default_status=on,
            description="An alert in the ledger's audit and in the log for every failed run.",
        )(run_failed),
    ]
