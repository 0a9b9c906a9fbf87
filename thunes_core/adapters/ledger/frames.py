"""Tables of the ledger as polars frames, for reports, sensors and notebooks.

Money comes twice: as Float64 under its name, and exact as text under `<name>_text`. Times are
Datetime(us, UTC).

Add here: a way to read rows in bulk. Keep out: writes.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

import polars as pl
from sqlalchemy import Column, Connection, Table, select

from thunes_core.adapters.ledger.types import Flag, Moment, Money, Real, Whole
from thunes_core.domain.bars import TIME


def read_frame(
    connection: Connection,
    table: Table,
    moment: str,
    since: datetime | None = None,
    until: datetime | None = None,
) -> pl.DataFrame:
    """Return the rows with since <= `moment` < until, oldest first."""
    column = table.c[moment]
    query = select(table).order_by(column, *table.primary_key.columns)
    if since is not None:
        query = query.where(column >= since)
    if until is not None:
        query = query.where(column < until)
    rows = [tuple(row) for row in connection.execute(query)]
    money = [c.name for c in table.columns if isinstance(c.type, Money)]
    raw = pl.DataFrame(
        [_plain(row, table) for row in rows],
        schema={c.name: _kind(c) for c in table.columns},
        orient="row",
    )
    return raw.with_columns(
        *(pl.col(name).alias(f"{name}_text") for name in money),
        *(pl.col(name).cast(pl.Float64) for name in money),
    )


def _plain(row: tuple[Any, ...], table: Table) -> tuple[Any, ...]:
    return tuple(
        format(value, "f") if value is not None and isinstance(column.type, Money) else value
        for value, column in zip(row, table.columns, strict=True)
    )


def _kind(column: Column[Any]) -> pl.DataType:
    if isinstance(column.type, Moment):
        return TIME
    if isinstance(column.type, Flag):
        return pl.Boolean()
    if column.type is Real:
        return pl.Float64()
    if column.type is Whole:
        return pl.Int64()
    return pl.String()
