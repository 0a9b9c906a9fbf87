"""Rows of decisions and orders: from record to row and back.

Add here: a query about orders. Keep out: positions and fills (see `books`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import Connection, Row, Select, bindparam, func, insert, select, update

from thunes_core.adapters.ledger import chain
from thunes_core.adapters.ledger.schema import accepted_orders, decisions, orders
from thunes_core.domain.orders import (
    ZERO,
    Leg,
    OrderRequest,
    OrderStatus,
    OrderType,
    Side,
    TimeInForce,
)
from thunes_core.domain.records import DecisionContext, OrderRecord
from thunes_core.domain.signal import Decision
from thunes_core.errors import StoreFailed

_NO = False

# Statements are made once: making one costs more than running it.
_DECIDED = (
    decisions.c.strategy == bindparam("of_strategy"),
    decisions.c.symbol == bindparam("of_symbol"),
)
_IS_DECIDED = select(decisions.c.id).where(*_DECIDED, decisions.c.bar == bindparam("of_bar"))
_INTERVAL = select(decisions.c.interval).where(*_DECIDED).order_by(decisions.c.bar.desc()).limit(1)
_ENTRIES = select(func.count()).where(
    orders.c.intended_at >= bindparam("since"),
    orders.c.submitted_at.is_not(None),
    orders.c.reduces == _NO,
)
_NAMED = orders.c.client_order_id == bindparam("of_id")
_READ_ORDER, _CHANGE_ORDER = select(orders).where(_NAMED), update(orders).where(_NAMED)
_NOTE_REST = _CHANGE_ORDER.where(orders.c.rested_at.is_(None))
_OF_BOOK = (
    orders.c.strategy == bindparam("of_strategy"),
    orders.c.symbol == bindparam("of_symbol"),
)
_BY_EXCHANGE_ID = select(orders).where(
    orders.c.symbol == bindparam("of_symbol"), orders.c.exchange_order_id == bindparam("of_id")
)
_OLDEST_FIRST = (
    orders.c.intended_at,
    func.length(orders.c.client_order_id),  # the tenth attempt comes after the ninth
    orders.c.client_order_id,
)
_UNSETTLED = select(orders).where(orders.c.settled == _NO).order_by(*_OLDEST_FIRST)
_OF_DECISION = (
    select(orders).where(*_OF_BOOK, orders.c.bar == bindparam("of_bar")).order_by(*_OLDEST_FIRST)
)
_STOPS_SINCE = (
    select(orders)
    .where(orders.c.leg == str(Leg.STOP), orders.c.intended_at >= bindparam("since"))
    .order_by(orders.c.intended_at)
)
_LAST_EXIT = (
    select(orders)
    .where(*_OF_BOOK, orders.c.level == 0.0, orders.c.booked_quantity != ZERO)
    .order_by(orders.c.updated_at.desc(), orders.c.intended_at.desc())
    .limit(1)
)
_ACCEPTED = select(accepted_orders)


def is_decided(connection: Connection, strategy: str, symbol: str, bar: datetime) -> bool:
    """True when a decision for that bar is stored."""
    asked = {"of_strategy": strategy, "of_symbol": symbol, "of_bar": bar}
    return connection.execute(_IS_DECIDED, asked).first() is not None


def interval_of(connection: Connection, strategy: str, symbol: str) -> str | None:
    """Return the interval of the newest decision of a book, or None."""
    return connection.execute(_INTERVAL, {"of_strategy": strategy, "of_symbol": symbol}).scalar()


def entries_since(connection: Connection, moment: datetime) -> int:
    """Return how many orders that increase were sent at or after `moment`."""
    return int(connection.execute(_ENTRIES, {"since": moment}).scalar_one())


def insert_decision(connection: Connection, decision: Decision, context: DecisionContext) -> None:
    """Store one decision; there is at most one for (strategy, symbol, bar)."""
    values = {
        "strategy": decision.strategy,
        "symbol": decision.symbol,
        "bar": decision.bar,
        "target": decision.target,
        "previous_target": decision.previous_target,
        "why": decision.why,
        **asdict(context),
    }
    connection.execute(insert(decisions), values)
    chain.append(connection, context.decided_at, "decision", values)


def insert_order(connection: Connection, record: OrderRecord) -> None:
    """Store a new order and tell the audit."""
    values = _values(record)
    connection.execute(insert(orders), values)
    chain.append(connection, record.intended_at, "order", _told(values))


def change_order(
    connection: Connection, client_order_id: str, time: datetime, **changes: Any
) -> None:
    """Store what became of an order and tell the audit."""
    values = {key: _plain(value) for key, value in changes.items()}
    done = connection.execute(_CHANGE_ORDER, {"of_id": client_order_id, **values})
    if done.rowcount != 1:
        raise StoreFailed(
            f"ledger: expected one order {client_order_id}; found {done.rowcount}; "
            "restore the ledger or reconcile by hand"
        )
    if changes.get("status") is OrderStatus.NEW:
        _note_rest(connection, client_order_id, changes.get("updated_at", time))
    _settle(connection, client_order_id)
    body = {"client_order_id": client_order_id, **_told(values)}
    chain.append(connection, time, "order_changed", body)


def require_intended(connection: Connection, client_order_id: str) -> None:
    """Raise `StoreFailed` when an intent was claimed before: one claim means one request."""
    record = find_order(connection, client_order_id)
    if record is not None and record.status is not OrderStatus.INTENDED:
        raise StoreFailed(
            f"ledger: expected {client_order_id} to be {OrderStatus.INTENDED}; it is "
            f"{record.status}; nothing is sent, the next tick asks what became of it"
        )


def accept(connection: Connection, symbol: str, client_order_id: str) -> None:
    """Remember that an order that is not ours was accepted by a person."""
    if (symbol, client_order_id) not in accepted(connection):
        values = {"symbol": symbol, "client_order_id": client_order_id}
        connection.execute(insert(accepted_orders), values)


def accepted(connection: Connection) -> set[tuple[str, str]]:
    """Return the orders, by symbol and id, that are not ours and were accepted."""
    return {(row.symbol, row.client_order_id) for row in connection.execute(_ACCEPTED)}


def _note_rest(connection: Connection, client_order_id: str, at: datetime) -> None:
    """Remember when an order was first told to be open."""
    connection.execute(_NOTE_REST, {"of_id": client_order_id, "rested_at": at})


def book_quantity(connection: Connection, record: OrderRecord, quantity: Decimal) -> None:
    """Count a fill of `quantity` towards its order."""
    booked = {"booked_quantity": record.booked_quantity + quantity}
    connection.execute(_CHANGE_ORDER, {"of_id": record.client_order_id, **booked})
    _settle(connection, record.client_order_id)


def _settle(connection: Connection, client_order_id: str) -> None:
    record = find_order(connection, client_order_id)
    if record is None:
        return
    complete = record.booked_quantity == record.executed_quantity
    settled = {"settled": record.status.is_final and complete}
    connection.execute(_CHANGE_ORDER, {"of_id": client_order_id, **settled})


def find_order(connection: Connection, client_order_id: str) -> OrderRecord | None:
    """Return the order with that id, or None."""
    found = _fetch(connection, _READ_ORDER, of_id=client_order_id)
    return found[0] if found else None


def find_by_exchange_id(
    connection: Connection, symbol: str, exchange_order_id: str
) -> OrderRecord | None:
    """Return the order that the exchange calls `exchange_order_id`, or None."""
    found = _fetch(connection, _BY_EXCHANGE_ID, of_symbol=symbol, of_id=exchange_order_id)
    return found[0] if found else None


def unsettled(connection: Connection) -> list[OrderRecord]:
    """Return the orders that are not final, or executed more than is booked; oldest first."""
    return _fetch(connection, _UNSETTLED)


def of_decision(
    connection: Connection, strategy: str, symbol: str, bar: datetime
) -> list[OrderRecord]:
    """Return the orders that one decision led to, oldest first."""
    return _fetch(connection, _OF_DECISION, of_strategy=strategy, of_symbol=symbol, of_bar=bar)


def stops_since(connection: Connection, moment: datetime) -> list[OrderRecord]:
    """Return the protective stops intended at or after `moment`, oldest first."""
    return _fetch(connection, _STOPS_SINCE, since=moment)


def last_exit(connection: Connection, strategy: str, symbol: str) -> OrderRecord | None:
    """Return the newest order that sold something and was to leave nothing, or None."""
    found = _fetch(connection, _LAST_EXIT, of_strategy=strategy, of_symbol=symbol)
    return found[0] if found else None


def _fetch(connection: Connection, query: Select[Any], **asked: Any) -> list[OrderRecord]:
    """Return the records that `query` over the table of orders selects."""
    return [_record(row) for row in connection.execute(query, asked)]


def _values(record: OrderRecord) -> dict[str, Any]:
    own = {name: getattr(record, name) for name in OrderRecord.__slots__ if name not in {"request"}}
    request = {name: getattr(record.request, name) for name in OrderRequest.__slots__}
    return {key: _plain(value) for key, value in {**request, **own}.items()}


def _record(row: Row[Any]) -> OrderRecord:
    known = row._mapping
    request = {name: known[name] for name in OrderRequest.__slots__}
    request |= {
        "side": Side(row.side),
        "type": OrderType(row.type),
        "leg": Leg(row.leg),
        "time_in_force": TimeInForce(row.time_in_force) if row.time_in_force else None,
    }
    own = {name: known[name] for name in OrderRecord.__slots__ if name != "request"}
    return OrderRecord(
        **{**own, "status": OrderStatus(row.status), "request": OrderRequest(**request)}
    )


def _plain(value: Any) -> Any:
    return str(value) if isinstance(value, Side | OrderType | Leg | OrderStatus) else value


def _told(values: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in values.items() if value is not None}
