"""Rows of positions, fills, trades, balances and marks.

Add here: a query about what is held or earned. Keep out: the arithmetic (see `trading.book`).
"""

from __future__ import annotations

from dataclasses import fields
from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import Connection, bindparam, delete, insert, select

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

# Statements are made once: making one costs more than running it.
_BOOK = (
    positions.c.strategy == bindparam("of_strategy"),
    positions.c.symbol == bindparam("of_symbol"),
)
_READ_BOOK, _DROP_BOOK = select(positions).where(*_BOOK), delete(positions).where(*_BOOK)
_READ_BOOKS = select(positions).order_by(positions.c.strategy, positions.c.symbol)
_HAS_FILL = select(fills.c.trade_id).where(
    fills.c.symbol == bindparam("of_symbol"), fills.c.trade_id == bindparam("of_trade")
)
_OF_CURSOR = cursors.c.symbol == bindparam("of_symbol")
_READ_CURSOR, _DROP_CURSOR = (
    select(cursors.c.trade_id).where(_OF_CURSOR),
    delete(cursors).where(_OF_CURSOR),
)
_READ_BALANCES = select(balances).order_by(balances.c.asset)
_DROP_BALANCE = delete(balances).where(balances.c.asset == bindparam("of_asset"))
_DROP_MARK = delete(equity).where(equity.c.time == bindparam("at"))
_OF_DAY = day_starts.c.day == bindparam("of_day")
_READ_DAY, _DROP_DAY = select(day_starts.c.equity).where(_OF_DAY), delete(day_starts).where(_OF_DAY)
_READ_PEAK = select(peaks.c.equity)
_READ_DEALINGS = select(fills).where(fills.c.time >= bindparam("since")).order_by(fills.c.time)
_READ_STOP_OUTS = select(trades.c.pnl).where(
    trades.c.exit_time >= bindparam("since"), trades.c.reason.in_(_STOPS)
)


def _shallow(record: Any) -> dict[str, Any]:
    return {f.name: getattr(record, f.name) for f in fields(record)}


def read_positions(connection: Connection) -> list[Position]:
    """Return every book ever opened, by strategy and symbol."""
    return [Position(**row) for row in connection.execute(_READ_BOOKS).mappings()]


def read_position(connection: Connection, strategy: str, symbol: str) -> Position | None:
    """Return one book, or None."""
    asked = {"of_strategy": strategy, "of_symbol": symbol}
    row = connection.execute(_READ_BOOK, asked).mappings().one_or_none()
    return Position(**row) if row else None


def write_position(connection: Connection, position: Position) -> None:
    """Replace one book."""
    same = {"of_strategy": position.strategy, "of_symbol": position.symbol}
    connection.execute(_DROP_BOOK, same)
    connection.execute(insert(positions), _shallow(position))


def has_fill(connection: Connection, symbol: str, trade_id: str) -> bool:
    """True when that fill is stored: fills are unique by (symbol, trade id)."""
    asked = {"of_symbol": symbol, "of_trade": trade_id}
    return connection.execute(_HAS_FILL, asked).first() is not None


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
    connection.execute(insert(fills), values)
    chain.append(connection, fill.time, "fill", values)


def insert_trade(connection: Connection, trade: Trade) -> None:
    """Store one closed trade; tell the audit."""
    values = _shallow(trade)
    connection.execute(insert(trades), values)
    chain.append(connection, trade.exit_time, "trade", values)


def read_cursor(connection: Connection, symbol: str) -> str | None:
    """Return the newest trade id seen of `symbol`; None before the first look."""
    return connection.execute(_READ_CURSOR, {"of_symbol": symbol}).scalar()


def write_cursor(connection: Connection, symbol: str, trade_id: str) -> None:
    """Remember the newest trade id seen of `symbol`."""
    connection.execute(_DROP_CURSOR, {"of_symbol": symbol})
    connection.execute(insert(cursors), {"symbol": symbol, "trade_id": trade_id})


def read_balances(connection: Connection) -> dict[str, Decimal]:
    """Return the expected total of each asset that was ever looked at."""
    return {row.asset: row.expected for row in connection.execute(_READ_BALANCES)}


def write_balance(connection: Connection, asset: str, expected: Decimal) -> None:
    """Replace the expected total of one asset."""
    connection.execute(_DROP_BALANCE, {"of_asset": asset})
    connection.execute(insert(balances), {"asset": asset, "expected": expected})


def write_mark(connection: Connection, mark: EquityMark) -> None:
    """Store the equity of one tick; a second tick of the same moment replaces it."""
    connection.execute(_DROP_MARK, {"at": mark.time})
    connection.execute(insert(equity), _shallow(mark))


def read_day_start(connection: Connection, day: datetime) -> Decimal | None:
    """Return the equity at 00:00 UTC of `day`, or None before its first tick."""
    return connection.execute(_READ_DAY, {"of_day": day}).scalar()


def write_day_start(connection: Connection, day: datetime, value: Decimal) -> None:
    """Remember the equity at 00:00 UTC of `day`, in place of what was remembered."""
    connection.execute(_DROP_DAY, {"of_day": day})
    connection.execute(insert(day_starts), {"day": day, "equity": value})


def read_peak(connection: Connection) -> Decimal | None:
    """Return the highest equity remembered, or None."""
    return connection.execute(_READ_PEAK).scalar()


def write_peak(connection: Connection, value: Decimal | None) -> None:
    """Replace the highest equity; None forgets it."""
    connection.execute(delete(peaks))
    if value is not None:
        connection.execute(insert(peaks), {"account": "main", "equity": value})


def read_dealings(connection: Connection, since: datetime) -> list[Dealing]:
    """Return what every fill at or after `since` did, oldest first."""
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
        for row in connection.execute(_READ_DEALINGS, {"since": since})
    ]


def stop_outs_since(connection: Connection, moment: datetime) -> int:
    """Return how many trades protection ended at a loss at or after `moment`."""
    found = connection.execute(_READ_STOP_OUTS, {"since": moment})
    return sum(1 for row in found if row.pnl < 0)
