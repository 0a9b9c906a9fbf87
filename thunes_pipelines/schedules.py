"""Schedules: which job is due at which minute, and for which partitions.

Cron runs on the machine's clock, UTC; windows come from the exchange's, which may run faster (local
testnet). A missed ingest or report is caught up from what is missing, a missed tick is not: the
next one acts on the newest bar.

Add here: a schedule. Keep out: what a job does, decisions on money.
"""

from __future__ import annotations

from datetime import datetime, timedelta

import dagster as dg

from thunes_core.clock import SystemClock
from thunes_core.errors import OutsideFailed
from thunes_pipelines import jobs, partitions, policies, runs
from thunes_pipelines.assets.market import bars_key
from thunes_pipelines.resources.house import House

MAX_REQUESTS = 24
"""Ingest runs asked for at one tick; a longer history follows at the next ones."""

MAX_REPORT_DAYS = 7
"""Days of reports caught up at once."""


def ingest_due(
    context: dg.ScheduleEvaluationContext, house: House
) -> list[dg.RunRequest] | dg.SkipReason:
    """Ask for the running month of every symbol, and for months of the history not yet stored."""
    settings = house.settings()
    try:
        now = house.market().server_time()
    except OutsideFailed as error:
        return dg.SkipReason(str(error))
    symbols = list(settings.symbols)
    context.instance.add_dynamic_partitions(partitions.SYMBOL, symbols)
    made = runs.partitions_made(context.instance, bars_key(settings.interval))
    busy = runs.partitions_in_flight(context.instance, jobs.INGEST.name)
    wanted = wanted_months(now, settings.history_days, symbols, made)
    keys = [key for key in wanted if key not in busy][:MAX_REQUESTS]
    if not keys:
        return dg.SkipReason(
            f"nothing to ask for at {now:%Y-%m-%d %H:%M} on the exchange's clock: every month is "
            "being fetched, or lies after this machine's"
        )
    return [dg.RunRequest(partition_key=key) for key in keys]


def wanted_months(
    now: datetime, history_days: int, symbols: list[str], made: set[str]
) -> list[dg.MultiPartitionKey]:
    """Return the bars partitions to fetch, newest month first, months still to come left out."""
    due = partitions.months_due(now)
    months = partitions.months_between(now - timedelta(days=history_days), now)
    known = set(partitions.MONTHS.get_partition_keys())
    keys = [
        (month, partitions.bars_key(month, symbol))
        for month in reversed(months)
        for symbol in symbols
    ]
    return [key for month, key in keys if month in known and (month in due or key not in made)]


def trade_due(context: dg.ScheduleEvaluationContext) -> dg.RunRequest | dg.SkipReason:
    """Ask for a tick, unless one is queued or running: the first of three layers."""
    running = runs.tick_in_flight(context.instance)
    if running:
        return dg.SkipReason(
            f"tick {running} is not finished; the next tick acts on the newest bar"
        )
    return dg.RunRequest()


def reports_due(
    context: dg.ScheduleEvaluationContext, house: House
) -> list[dg.RunRequest] | dg.SkipReason:
    """Ask for the report of the exchange's day, and of days missed since the last report."""
    try:
        today = house.market().server_time()
    except OutsideFailed as error:
        context.log.warning(f"the report's day is this machine's: {error}")
        today = SystemClock().now()
    made = runs.partitions_made(context.instance, policies.DAILY_REPORT)
    days = [day for day in days_to_report(today, made) if partitions.DAYS.has_partition_key(day)]
    if not days:
        return dg.SkipReason(f"{today:%Y-%m-%d} lies after this machine's day")
    return [dg.RunRequest(partition_key=day) for day in days]


def parity_due(
    _context: dg.ScheduleEvaluationContext, house: House
) -> dg.RunRequest | dg.SkipReason:
    """Ask for the comparison of the exchange's yesterday."""
    try:
        day = partitions.day_key(house.market().server_time() - timedelta(days=1))
    except OutsideFailed as error:
        return dg.SkipReason(str(error))
    if not partitions.DAYS.has_partition_key(day):
        return dg.SkipReason(f"{day} lies after this machine's day")
    return dg.RunRequest(partition_key=day)


def days_to_report(today: datetime, made: set[str]) -> list[str]:
    """Return today, and the days between the newest report and today, oldest first, bounded."""
    back = [partitions.day_key(today - timedelta(days=n)) for n in range(MAX_REPORT_DAYS)]
    newest = max((day for day in made if day < back[0]), default=back[0])
    return sorted(day for day in back if day > newest or day == back[0])


def studies_due(
    context: dg.ScheduleEvaluationContext, house: House
) -> list[dg.RunRequest] | dg.SkipReason:
    """Ask for a new search of every configured study that is not being searched."""
    studies = partitions.configured_studies(house.settings())
    context.instance.add_dynamic_partitions(partitions.STUDY, studies)
    busy = runs.partitions_in_flight(context.instance, jobs.REOPTIMISE.name)
    if set(studies) <= busy:
        return dg.SkipReason("every study is being searched")
    return [dg.RunRequest(partition_key=study) for study in studies if study not in busy]


def publish_due(_context: dg.ScheduleEvaluationContext) -> dg.RunRequest:
    """Ask for a new warehouse."""
    return dg.RunRequest()


def tidy_due(_context: dg.ScheduleEvaluationContext) -> dg.RunRequest:
    """Ask for the deletion of old ticks."""
    return dg.RunRequest()


def schedules(*, running: bool) -> list[dg.ScheduleDefinition]:
    """Return every schedule; those that can change what is traded run only when `running`."""
    on = dg.DefaultScheduleStatus.RUNNING
    return [*_trading(on if running else dg.DefaultScheduleStatus.STOPPED), *_always(on)]


def _trading(status: dg.DefaultScheduleStatus) -> list[dg.ScheduleDefinition]:
    """Return what can change what is traded."""
    return [
        dg.schedule(
            "*/10 * * * *",
            name="trade_every_10_minutes",
            job=jobs.TRADE,
            default_status=status,
            description="One tick every ten minutes, skipped while one runs.",
        )(trade_due),
        dg.schedule(
            "0 3 * * 0",
            name="reoptimise_weekly",
            job=jobs.REOPTIMISE,
            default_status=status,
            description="A new walk-forward of every study, Sundays 03:00 UTC.",
        )(studies_due),
    ]


def _always(on: dg.DefaultScheduleStatus) -> list[dg.ScheduleDefinition]:
    """Return what reads, tells and tidies."""
    return [
        dg.schedule(
            "2 * * * *",
            name="ingest_hourly",
            job=jobs.INGEST,
            default_status=on,
            description="Bars of the running month and of missing history, for every symbol.",
        )(ingest_due),
        dg.schedule(
            "0 23 * * *",
            name="daily_report_2300",
            job=jobs.REPORT,
            default_status=on,
            description="The report of the exchange's day at 23:00 UTC, missed days included.",
        )(reports_due),
        dg.schedule(
            "20 0 * * *",
            name="compare_live_with_backtest_0020",
            job=jobs.PARITY,
            default_status=on,
            description="Yesterday's real orders against the backtest's, one by one, 00:20 UTC.",
        )(parity_due),
        dg.schedule(
            "15 23 * * *",
            name="publish_warehouse_2315",
            job=jobs.PUBLISH,
            default_status=on,
            description="The warehouse for people and notebooks, after the daily report.",
        )(publish_due),
        dg.ScheduleDefinition(
            name="show_lineage_2330",
            cron_schedule="30 23 * * *",
            job=jobs.SHOW_LINEAGE,
            default_status=on,
            description="From fills back to bars and from revised bars forward, every night.",
        ),
        dg.schedule(
            "30 4 * * *",
            name="tidy_daily",
            job=jobs.tidy,
            default_status=on,
            description="Delete the runs of old ticks.",
        )(tidy_due),
    ]
