"""Rows of trades that are not ours: kept from their first sight until a person accepts them.

Add here: a query about them. Keep out: what they explain (see `trading.foreign`).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import fields
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, bindparam, delete, insert, select

from thunes_core.adapters.ledger import chain
from thunes_core.adapters.ledger.schema import foreign_trades
from thunes_core.domain.orders import Fill, Side

_READ = select(foreign_trades).order_by(foreign_trades.c.time, foreign_trades.c.symbol)
_NAMED = (
    foreign_trades.c.symbol == bindparam("of_symbol"),
    foreign_trades.c.trade_id == bindparam("of_trade"),
)
_KNOWN, _DROP = (
    select(foreign_trades.c.trade_id).where(*_NAMED),
    delete(foreign_trades).where(*_NAMED),
)


def insert_new(connection: Connection, trades: Iterable[Fill]) -> None:
    """Keep trades that are not known yet; tell the audit."""
    for trade in trades:
        if connection.execute(_KNOWN, _name(trade)).first() is not None:
            continue
        values = {f.name: getattr(trade, f.name) for f in fields(trade)}
        values["side"] = str(trade.side)
        connection.execute(insert(foreign_trades), values)
        chain.append(connection, trade.time, "foreign_trade", values)


def read(connection: Connection) -> list[Fill]:
    """Return those that nobody accepted yet, oldest first."""
    rows = connection.execute(_READ).mappings()
    return [Fill(**{**row, "side": Side(row["side"])}) for row in rows]


def drop(connection: Connection, trades: Iterable[Fill], at: datetime) -> None:
    """Forget trades that a person accepted; tell the audit."""
    for trade in trades:
        connection.execute(_DROP, _name(trade))
        body = {"symbol": trade.symbol, "trade_id": trade.trade_id}
        chain.append(connection, at, "foreign_trade_accepted", body)


def _name(trade: Fill) -> dict[str, Any]:
    return {"of_symbol": trade.symbol, "of_trade": trade.trade_id}
