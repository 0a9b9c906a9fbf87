"""Rows of positions, fills, trades, balances and marks.

Add here: a query about what is held or earned. Keep out: the arithmetic (see `trading.book`).
"""

from __future__ import annotations

from dataclasses import fields
from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import Connection, delete, insert, select

from thunes_core.adapters.ledger import chain
from thunes_core.adapters.ledger.schema import (
    balances,
    cursors,
    day_starts,
    equity,
    fills,
    peaks,
    positions,
    trades,
)
from thunes_core.domain.orders import Fill, Side
from thunes_core.domain.portfolio import Position
from thunes_core.domain.records import Dealing, EquityMark, Trade
from thunes_core.trading.rules import REASONS, STOP_LOSS, TRAILING_STOP

_STOPS = [REASONS[STOP_LOSS], REASONS[TRAILING_STOP]]


def _shallow(record: Any) -> dict[str, Any]:
    return {f.name: getattr(record, f.name) for f in fields(record)}


def read_positions(connection: Connection) -> list[Position]:
    """Return every book ever opened, by strategy and symbol."""
    query = select(positions).order_by(positions.c.strategy, positions.c.symbol)
    return [Position(**row) for row in connection.execute(query).mappings()]


def read_position(connection: Connection, strategy: str, symbol: str) -> Position | None:
    """Return one book, or None."""
    query = select(positions).where(positions.c.strategy == strategy, positions.c.symbol == symbol)
    row = connection.execute(query).mappings().one_or_none()
    return Position(**row) if row else None


def write_position(connection: Connection, position: Position) -> None:
    """Replace one book."""
    same = (positions.c.strategy == position.strategy, positions.c.symbol == position.symbol)
    connection.execute(delete(positions).where(*same))
    connection.execute(insert(positions).values(**_shallow(position)))


def has_fill(connection: Connection, symbol: str, trade_id: str) -> bool:
    """True when that fill is stored: fills are unique by (symbol, trade id)."""
    query = select(fills.c.trade_id).where(fills.c.symbol == symbol, fills.c.trade_id == trade_id)
    return connection.execute(query).first() is not None


def insert_fill(
    connection: Connection, fill: Fill, client_order_id: str, strategy: str, fee_quote: Decimal
) -> None:
    """Store one fill under the order and strategy it belongs to; tell the audit."""
    values = _shallow(fill) | {
        "side": str(fill.side),
        "client_order_id": client_order_id,
        "strategy": strategy,
        "fee_quote": fee_quote,
    }
    connection.execute(insert(fills).values(**values))
    chain.append(connection, fill.time, "fill", values)


def insert_trade(connection: Connection, trade: Trade) -> None:
    """Store one closed trade; tell the audit."""
    values = _shallow(trade)
    connection.execute(insert(trades).values(**values))
    chain.append(connection, trade.exit_time, "trade", values)


def read_cursor(connection: Connection, symbol: str) -> str | None:
    """Return the newest trade id seen of `symbol`; None before the first look."""
    return connection.execute(select(cursors.c.trade_id).where(cursors.c.symbol == symbol)).scalar()


def write_cursor(connection: Connection, symbol: str, trade_id: str) -> None:
    """Remember the newest trade id seen of `symbol`."""
    connection.execute(delete(cursors).where(cursors.c.symbol == symbol))
    connection.execute(insert(cursors).values(symbol=symbol, trade_id=trade_id))


def read_balances(connection: Connection) -> dict[str, Decimal]:
    """Return the expected total of each asset that was ever looked at."""
    rows = connection.execute(select(balances).order_by(balances.c.asset))
    return {row.asset: row.expected for row in rows}


def write_balance(connection: Connection, asset: str, expected: Decimal) -> None:
    """Replace the expected total of one asset."""
    connection.execute(delete(balances).where(balances.c.asset == asset))
    connection.execute(insert(balances).values(asset=asset, expected=expected))


def write_mark(connection: Connection, mark: EquityMark) -> None:
    """Store the equity of one tick; a second tick of the same moment replaces it."""
    connection.execute(delete(equity).where(equity.c.time == mark.time))
    connection.execute(insert(equity).values(**_shallow(mark)))


def read_day_start(connection: Connection, day: datetime) -> Decimal | None:
    """Return the equity at 00:00 UTC of `day`, or None before its first tick."""
    return connection.execute(select(day_starts.c.equity).where(day_starts.c.day == day)).scalar()


def write_day_start(connection: Connection, day: datetime, value: Decimal) -> None:
    """Remember the equity at 00:00 UTC of `day`, in place of what was remembered."""
    connection.execute(delete(day_starts).where(day_starts.c.day == day))
    connection.execute(insert(day_starts).values(day=day, equity=value))


def read_peak(connection: Connection) -> Decimal | None:
    """Return the highest equity remembered, or None."""
    return connection.execute(select(peaks.c.equity)).scalar()


def write_peak(connection: Connection, value: Decimal | None) -> None:
    """Replace the highest equity; None forgets it."""
    connection.execute(delete(peaks))
    if value is not None:
        connection.execute(insert(peaks).values(account="main", equity=value))


def read_dealings(connection: Connection, since: datetime) -> list[Dealing]:
    """Return what every fill at or after `since` did, oldest first."""
    query = select(fills).where(fills.c.time >= since).order_by(fills.c.time)
    return [
        Dealing(
            row.strategy,
            row.symbol,
            Side(row.side),
            row.quantity,
            row.price * row.quantity,
            row.fee,
            row.fee_asset,
            row.fee_quote,
        )
        for row in connection.execute(query)
    ]


def stop_outs_since(connection: Connection, moment: datetime) -> int:
    """Return how many trades protection ended at a loss at or after `moment`."""
    query = select(trades.c.pnl).where(trades.c.exit_time >= moment, trades.c.reason.in_(_STOPS))
    return sum(1 for row in connection.execute(query) if row.pnl < 0)
