"""Partitions: symbols, months, studies and days, each named once, and keys made and read.

Bars are partitioned by month x symbol, research by study (`sma_crossover.BTCUSDT.1h`), reports by
day. Time is the *exchange's*, UTC; the running month and the running day exist.

Add here: a partitioning that two assets share. Keep out: what is done in a partition.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING

import dagster as dg

from thunes_core.domain.parameters import study_key

if TYPE_CHECKING:
    from thunes_core.settings import Settings

MONTH = "month"
SYMBOL = "symbol"
STUDY = "study"
MONTH_FORMAT = "%Y-%m"
DAY_FORMAT = "%Y-%m-%d"

SYMBOL_PARTITIONS = dg.DynamicPartitionsDefinition(name=SYMBOL)
STUDY_PARTITIONS = dg.DynamicPartitionsDefinition(name=STUDY)
MONTHS = dg.MonthlyPartitionsDefinition(start_date="2017-07", fmt=MONTH_FORMAT, end_offset=1)
DAYS = dg.DailyPartitionsDefinition(start_date="2017-07-01", fmt=DAY_FORMAT, end_offset=1)
BARS_PARTITIONS = dg.MultiPartitionsDefinition({MONTH: MONTHS, SYMBOL: SYMBOL_PARTITIONS})


def month_key(moment: datetime) -> str:
    """Return the key of the month that holds `moment` (aware).

    >>> month_key(datetime(2025, 3, 9, tzinfo=UTC))
    '2025-03'
    """
    return moment.astimezone(UTC).strftime(MONTH_FORMAT)


def day_key(moment: datetime) -> str:
    """Return the key of the day that holds `moment` (aware), UTC.

    >>> day_key(datetime(2025, 3, 9, 23, tzinfo=UTC))
    '2025-03-09'
    """
    return moment.astimezone(UTC).strftime(DAY_FORMAT)


def bars_key(month: str, symbol: str) -> dg.MultiPartitionKey:
    """Return the key of one month of one symbol's bars."""
    return dg.MultiPartitionKey({MONTH: month, SYMBOL: symbol})


def month_window(month: str) -> tuple[datetime, datetime]:
    """Return start and end (excluded) of a month, UTC.

    >>> [edge.isoformat() for edge in month_window("2024-12")]
    ['2024-12-01T00:00:00+00:00', '2025-01-01T00:00:00+00:00']
    """
    start = datetime.strptime(month, MONTH_FORMAT).replace(tzinfo=UTC)
    return start, (start + timedelta(days=32)).replace(day=1)


def day_edges(day: date) -> tuple[datetime, datetime]:
    """Return start and end (excluded) of a UTC day."""
    start = datetime.combine(day, time(), UTC)
    return start, start + timedelta(days=1)


def months_due(now: datetime) -> list[str]:
    """Return the months an hourly ingest must visit: this one, and on its first day the last too.

    The day before is asked for again because its last bars close, and are revised, after midnight.
    """
    return sorted({month_key(now - timedelta(days=1)), month_key(now)})


def months_between(start: datetime, end: datetime) -> list[str]:
    """Return every month that holds a moment of [start, end], oldest first.

    >>> months_between(datetime(2024, 11, 30, tzinfo=UTC), datetime(2025, 1, 1, tzinfo=UTC))
    ['2024-11', '2024-12', '2025-01']
    """
    months, edge = [], month_window(month_key(start))[0]
    while edge <= end:
        months.append(month_key(edge))
        edge = month_window(months[-1])[1]
    return months


def configured_studies(settings: Settings) -> list[str]:
    """Return the study of every configured strategy and symbol, in the settings' order."""
    return [
        study_key(strategy, symbol, settings.interval)
        for strategy in settings.strategies
        for symbol in settings.symbols
    ]
