"""Whether the audit tells of everything that the ledger holds: what a chain alone cannot know.

A trail whose newest events were removed is whole in itself. But each fact was written together with
its event, so facts without events show the cut.

Add here: a fact that is written together with an event. Keep out: the chain (`chain`).
"""

from __future__ import annotations

import json

from sqlalchemy import Connection, Table, func, select

from thunes_core.adapters.ledger.schema import (
    audit,
    decisions,
    fills,
    orders,
    ticks,
    trades,
    trading_state,
)

_TOLD = {"decision": decisions, "order": orders, "fill": fills, "trade": trades, "tick": ticks}
_COUNTS = select(audit.c.event, func.count().label("number")).group_by(audit.c.event)
_NEWEST_STATE = (
    select(audit.c.body).where(audit.c.event == "state").order_by(audit.c.seq.desc()).limit(1)
)
_STATE = select(trading_state, _NEWEST_STATE.scalar_subquery().label("told"))


def tells_all(connection: Connection) -> bool:
    """True when no decision, order, fill, trade, tick or trading state lacks its event."""
    kept = {event: _rows(connection, table) for event, table in _TOLD.items()}
    told: dict[str, int] = {row.event: row.number for row in connection.execute(_COUNTS)}
    return _tells_state(connection) and all(
        told.get(event, 0) >= number for event, number in kept.items()
    )


def _rows(connection: Connection, table: Table) -> int:
    return int(connection.execute(select(func.count()).select_from(table)).scalar_one())


def _tells_state(connection: Connection) -> bool:
    row = connection.execute(_STATE).one_or_none()  # in one statement: both of one moment
    if row is None:
        return True
    told = json.loads(row.told) if row.told else {}
    return (row.state, row.reason, row.author) == tuple(
        told.get(name) for name in ("state", "reason", "author")
    )
