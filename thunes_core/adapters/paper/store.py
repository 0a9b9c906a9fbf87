"""The paper account's memory: balances, orders and fills in a small SQLite file.

Add here: what the paper account must remember. Keep out: matching.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from decimal import Decimal
from pathlib import Path

from thunes_core.clock import from_millis, to_millis
from thunes_core.domain.orders import (
    ZERO,
    Fill,
    Order,
    OrderRequest,
    OrderStatus,
    OrderType,
    Side,
)
from thunes_core.domain.portfolio import Account, Balance
from thunes_core.errors import StoreFailed

BUSY_SECONDS = 30
_OPEN = "('NEW', 'PARTIALLY_FILLED', 'PENDING_NEW')"
_OPEN_ONES = "orders INDEXED BY orders_open"
"""The few that are open are found among the many that ended by an index of their own."""
_SCHEMA = f"""
CREATE TABLE IF NOT EXISTS balances (
    asset TEXT PRIMARY KEY, free TEXT NOT NULL, locked TEXT NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS orders (
    id INTEGER PRIMARY KEY, symbol TEXT NOT NULL, client_order_id TEXT NOT NULL,
    side TEXT NOT NULL, type TEXT NOT NULL, status TEXT NOT NULL, quantity TEXT NOT NULL,
    executed_quantity TEXT NOT NULL, executed_quote TEXT NOT NULL, updated INTEGER NOT NULL,
    price TEXT, stop_price TEXT, list_id TEXT NOT NULL DEFAULT '',
    sent INTEGER NOT NULL DEFAULT 0) STRICT;
CREATE INDEX IF NOT EXISTS orders_by_id ON orders (symbol, client_order_id);
CREATE TABLE IF NOT EXISTS fills (
    id INTEGER PRIMARY KEY, symbol TEXT NOT NULL, order_id INTEGER NOT NULL,
    client_order_id TEXT NOT NULL, side TEXT NOT NULL, price TEXT NOT NULL,
    quantity TEXT NOT NULL, fee TEXT NOT NULL, fee_asset TEXT NOT NULL,
    is_maker INTEGER NOT NULL, time INTEGER NOT NULL) STRICT;
CREATE INDEX IF NOT EXISTS orders_open ON orders (symbol) WHERE status IN {_OPEN};
CREATE INDEX IF NOT EXISTS orders_sent ON orders (symbol, sent);
"""


class PaperStore:
    """One SQLite file; every method that writes belongs inside `writing()`."""

    def __init__(self, path: Path, synchronous: str = "FULL") -> None:
        self._path = path
        self._synchronous = synchronous
        with self.writing() as connection:
            for statement in _SCHEMA.split(";"):
                connection.execute(statement)

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """Hold the file's one write transaction; all or nothing."""
        with self._open() as connection:
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
            except BaseException:
                connection.execute("ROLLBACK")
                raise
            connection.execute("COMMIT")

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        try:
            connection = sqlite3.connect(self._path, timeout=BUSY_SECONDS, isolation_level=None)
        except sqlite3.Error as error:
            raise StoreFailed(
                f"paper account: expected to open {self._path}; {error}; check path and rights"
            ) from error
        try:
            connection.row_factory = sqlite3.Row
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute(f"PRAGMA synchronous={self._synchronous}")
            yield connection
        except sqlite3.Error as error:
            raise StoreFailed(
                f"paper account: {self._path} cannot be used; {error}; check disk and rights"
            ) from error
        finally:
            connection.close()


def read_account(connection: sqlite3.Connection) -> Account:
    """Return the balances."""
    rows = connection.execute("SELECT * FROM balances")
    held = (Balance(r["asset"], Decimal(r["free"]), Decimal(r["locked"])) for r in rows)
    return Account({balance.asset: balance for balance in held})


def change_balance(
    connection: sqlite3.Connection, asset: str, free: Decimal, locked: Decimal = ZERO
) -> None:
    """Add `free` and `locked` (may be negative) to the balance of `asset`."""
    held = read_account(connection).balances.get(asset, Balance(asset, ZERO))
    connection.execute(
        "INSERT OR REPLACE INTO balances VALUES (?, ?, ?)",
        (asset, format(held.free + free, "f"), format(held.locked + locked, "f")),
    )


def asked_for(request: OrderRequest, now: datetime) -> Order:
    """Return the open order that `request` becomes."""
    return Order(
        symbol=request.symbol,
        client_order_id=request.client_order_id,
        exchange_order_id="",
        side=request.side,
        type=request.type,
        status=OrderStatus.NEW,
        quantity=request.quantity,
        executed_quantity=ZERO,
        executed_quote=ZERO,
        updated_at=now,
        price=request.price,
        stop_price=request.stop_price,
    )


def new_order(connection: sqlite3.Connection, order: Order, list_id: str = "") -> Order:
    """Insert an order, sent now, and return it with its id; a pair shares a `list_id`."""
    cursor = connection.execute(
        "INSERT INTO orders VALUES (NULL, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            order.symbol,
            order.client_order_id,
            str(order.side),
            str(order.type),
            str(order.status),
            format(order.quantity, "f"),
            format(order.executed_quantity, "f"),
            format(order.executed_quote, "f"),
            to_millis(order.updated_at),
            _text(order.price),
            _text(order.stop_price),
            list_id,
            to_millis(order.updated_at),
        ),
    )
    row = connection.execute("SELECT * FROM orders WHERE id = ?", (cursor.lastrowid,)).fetchone()
    return _order(row)


def change_order(connection: sqlite3.Connection, order: Order) -> Order:
    """Store what became of an order, and return it."""
    connection.execute(
        "UPDATE orders SET status = ?, type = ?, quantity = ?, executed_quantity = ?,"
        " executed_quote = ?, updated = ? WHERE id = ?",
        (
            str(order.status),
            str(order.type),
            format(order.quantity, "f"),
            format(order.executed_quantity, "f"),
            format(order.executed_quote, "f"),
            to_millis(order.updated_at),
            int(order.exchange_order_id),
        ),
    )
    return order


def siblings(connection: sqlite3.Connection, order: Order) -> list[Order]:
    """Return the other orders of the same list that are at work."""
    return [o for o in _beside(connection, order) if o.status is not OrderStatus.PENDING_NEW]


def pending(connection: sqlite3.Connection, order: Order) -> list[Order]:
    """Return the other orders of the same list that wait for their buy."""
    return [o for o in _beside(connection, order) if o.status is OrderStatus.PENDING_NEW]


def _beside(connection: sqlite3.Connection, order: Order) -> list[Order]:
    rows = connection.execute(
        f"SELECT * FROM {_OPEN_ONES} WHERE list_id <> '' AND id <> ?"
        " AND list_id = (SELECT list_id FROM orders WHERE id = ?)"
        f" AND status IN {_OPEN} ORDER BY id",
        (int(order.exchange_order_id),) * 2,
    )
    return [_order(row) for row in rows]


def begin(connection: sqlite3.Connection, order: Order) -> Order:
    """Store an order that waited and is at work from its `updated_at` on, and return it."""
    connection.execute(
        "UPDATE orders SET sent = ? WHERE id = ?",
        (to_millis(order.updated_at), int(order.exchange_order_id)),
    )
    return change_order(connection, order)


def sent_at(connection: sqlite3.Connection, order: Order) -> datetime:
    """Return when an order was sent."""
    (millis,) = connection.execute(
        "SELECT sent FROM orders WHERE id = ?", (int(order.exchange_order_id),)
    ).fetchone()
    return from_millis(millis)


def orders_since(connection: sqlite3.Connection, symbol: str, since: datetime) -> list[Order]:
    """Return every order of `symbol` sent at or after `since`."""
    rows = connection.execute(
        "SELECT * FROM orders WHERE symbol = ? AND sent >= ? ORDER BY id",
        (symbol, to_millis(since)),
    )
    return [_order(row) for row in rows]


def read_order(connection: sqlite3.Connection, symbol: str, client_order_id: str) -> Order | None:
    """Return the newest order with that id, or None."""
    row = connection.execute(
        "SELECT * FROM orders WHERE symbol = ? AND client_order_id = ? ORDER BY id DESC LIMIT 1",
        (symbol, client_order_id),
    ).fetchone()
    return _order(row) if row else None


def open_orders(connection: sqlite3.Connection, symbol: str | None = None) -> list[Order]:
    """Return open orders, oldest first."""
    of_symbol, given = ("symbol = ? AND ", (symbol,)) if symbol else ("", ())
    rows = connection.execute(
        f"SELECT * FROM {_OPEN_ONES} WHERE {of_symbol}status IN {_OPEN} ORDER BY id", given
    )
    return [_order(row) for row in rows]


def insert_fill(connection: sqlite3.Connection, fill: Fill) -> None:
    """Store a fill; the store gives it its trade id."""
    connection.execute(
        "INSERT INTO fills VALUES (NULL, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            fill.symbol,
            int(fill.exchange_order_id),
            fill.client_order_id,
            str(fill.side),
            format(fill.price, "f"),
            format(fill.quantity, "f"),
            format(fill.fee, "f"),
            fill.fee_asset,
            int(fill.is_maker),
            to_millis(fill.time),
        ),
    )


def read_fills(connection: sqlite3.Connection, symbol: str, after: int) -> list[Fill]:
    """Return the fills of `symbol` with a trade id above `after`, oldest first."""
    rows = connection.execute(
        "SELECT * FROM fills WHERE symbol = ? AND id > ? ORDER BY id", (symbol, after)
    )
    return [_fill(row) for row in rows]


def _order(row: sqlite3.Row) -> Order:
    return Order(
        symbol=row["symbol"],
        client_order_id=row["client_order_id"],
        exchange_order_id=str(row["id"]),
        side=Side(row["side"]),
        type=OrderType(row["type"]),
        status=OrderStatus(row["status"]),
        quantity=Decimal(row["quantity"]),
        executed_quantity=Decimal(row["executed_quantity"]),
        executed_quote=Decimal(row["executed_quote"]),
        updated_at=from_millis(row["updated"]),
        price=_decimal(row["price"]),
        stop_price=_decimal(row["stop_price"]),
    )


def _fill(row: sqlite3.Row) -> Fill:
    return Fill(
        symbol=row["symbol"],
        trade_id=str(row["id"]),
        exchange_order_id=str(row["order_id"]),
        client_order_id=row["client_order_id"],
        side=Side(row["side"]),
        price=Decimal(row["price"]),
        quantity=Decimal(row["quantity"]),
        fee=Decimal(row["fee"]),
        fee_asset=row["fee_asset"],
        is_maker=bool(row["is_maker"]),
        time=from_millis(row["time"]),
    )


def _text(value: Decimal | None) -> str | None:
    return None if value is None else format(value, "f")


def _decimal(text: str | None) -> Decimal | None:
    return None if text is None else Decimal(text)
