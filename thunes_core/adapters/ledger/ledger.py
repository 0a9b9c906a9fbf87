"""The ledger: every read and write as one durable transaction.

A ledger taken `under` a lease checks in each write that the lease is still the newest (the fence).

Add here: a transaction of the tick or a read that others need. Keep out: SQL (beside), decisions.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import polars as pl
from sqlalchemy import Connection, Engine, Table, insert, select

from thunes_core.adapters.ledger import books, chain, control, orderbook, schema
from thunes_core.adapters.ledger.connect import reading, store_errors
from thunes_core.adapters.ledger.frames import read_frame
from thunes_core.clock import Clock, SystemClock
from thunes_core.domain.orders import Fill, Order, OrderStatus
from thunes_core.domain.parameters import Champion
from thunes_core.domain.portfolio import Position, TradingState
from thunes_core.domain.records import (
    Arming,
    AuditVerdict,
    DecisionContext,
    EquityMark,
    Lease,
    OrderRecord,
    StateRecord,
    Trade,
)
from thunes_core.domain.signal import Decision


class Ledger:
    """Facts that cannot be had again, in SQLite or PostgreSQL. Raises `StoreFailed`."""

    def __init__(
        self, engine: Engine, *, clock: Clock | None = None, lease: Lease | None = None
    ) -> None:
        self._engine = engine
        self._reader = reading(engine)
        self._clock = clock or SystemClock()
        self._lease = lease

    def close(self) -> None:
        """Close every connection."""
        self._engine.dispose()

    @contextmanager
    def _write(self) -> Iterator[Connection]:
        with store_errors(), self._engine.begin() as connection:
            if self._lease is not None:
                control.require_lease(connection, self._lease)
            yield connection

    @contextmanager
    def _read(self) -> Iterator[Connection]:
        with store_errors(), self._reader.connect() as connection:
            yield connection

    # --- who may trade, and what -------------------------------------------------------------

    def acquire_lease(self, holder: str, ttl: timedelta) -> Lease:
        """Take the account's lease until now + `ttl` (machine clock); `LeaseHeld` if it runs."""
        with self._write() as connection:
            return control.take_lease(connection, holder, self._clock.now(), ttl)

    def under(self, lease: Lease) -> Ledger:
        """Return this ledger with every write fenced by `lease`."""
        return Ledger(self._engine, clock=self._clock, lease=lease)

    def release_lease(self, lease: Lease) -> None:
        """Give the lease back; nothing happens when another took over."""
        with store_errors(), self._engine.begin() as connection:
            control.drop_lease(connection, lease)

    def trading_state(self) -> StateRecord:
        """Return the trading state in force."""
        with self._read() as connection:
            return control.read_state(connection)

    def set_trading_state(
        self, state: TradingState, *, reason: str, author: str, since: datetime | None = None
    ) -> StateRecord:
        """Store the trading state; `since` is the exchange's clock where it is known."""
        record = StateRecord(state, reason, author, since or self._clock.now())
        with self._write() as connection:
            control.write_state(connection, record)
        return record

    def arming(self) -> Arming | None:
        """Return the arming in force (machine clock), or None."""
        with self._read() as connection:
            given = control.read_arming(connection)
        return given if given is not None and self._clock.now() < given.until else None

    def arm(self, given: Arming | None) -> None:
        """Arm the account, or disarm it with None."""
        with self._write() as connection:
            control.write_arming(connection, given, self._clock.now())

    def breaker_open(self) -> bool:
        """True while the breaker, shared by all processes, is open (machine clock)."""
        with self._read() as connection:
            return control.read_breaker(connection).is_open(self._clock.now())

    def heard_exchange(self, *, answered: bool) -> None:
        """Tell the breaker how an attempt went; a success of a closed one costs no write."""
        with self._read() as connection:
            state = control.read_breaker(connection)
        if answered and not state.failures:
            return
        now = self._clock.now()
        with self._write() as connection:
            state = control.read_breaker(connection)
            following = state.succeeded() if answered else state.failed(now)
            control.write_breaker(connection, following, now)

    def remember_champion(self, champion: Champion, at: datetime | None = None) -> None:
        """Keep the last known good copy of a champion; one that is kept already costs no write."""
        if self.remembered_champion(champion.study) == champion:
            return
        with self._write() as connection:
            control.write_champion(connection, champion, at or self._clock.now())

    def remembered_champion(self, study: str) -> Champion | None:
        """Return the copy of the champion of `study`, or None."""
        with self._read() as connection:
            return control.read_champion(connection, study)

    # --- decisions and orders ----------------------------------------------------------------

    def is_decided(self, strategy: str, symbol: str, bar: datetime) -> bool:
        """True when that bar was decided on."""
        with self._read() as connection:
            return orderbook.is_decided(connection, strategy, symbol, bar)

    def record_decision(
        self, decision: Decision, context: DecisionContext, orders: Sequence[OrderRecord]
    ) -> bool:
        """Make decision, book and intents durable at once; False if the bar was decided before."""
        with self._write() as connection:
            if orderbook.is_decided(connection, decision.strategy, decision.symbol, decision.bar):
                return False
            orderbook.insert_decision(connection, decision, context)
            books.write_position(connection, decision.position)
            for record in orders:
                orderbook.insert_order(connection, record)
        return True

    def record_intents(self, position: Position, orders: Sequence[OrderRecord]) -> None:
        """Make a book and new intents durable at once, outside of a bar's decision."""
        with self._write() as connection:
            books.write_position(connection, position)
            for record in orders:
                orderbook.insert_order(connection, record)

    def claim(self, client_order_ids: Sequence[str], at: datetime) -> None:
        """Mark intents as leaving: durable before the one request that may follow."""
        leaving = {"status": OrderStatus.SUBMITTED, "submitted_at": at, "updated_at": at}
        with self._write() as connection:
            for client_order_id in client_order_ids:
                orderbook.change_order(connection, client_order_id, at, **leaving)

    def record_outcome(self, order: Order, at: datetime, why: str = "") -> None:
        """Store what the exchange says of an order."""
        self.change_order(
            order.client_order_id,
            at,
            status=order.status,
            exchange_order_id=order.exchange_order_id,
            executed_quantity=order.executed_quantity,
            executed_quote=order.executed_quote,
            updated_at=order.updated_at,
            **({"why": why} if why else {}),
        )

    def change_order(self, client_order_id: str, at: datetime, **changes: Any) -> None:
        """Store changed fields of an order."""
        with self._write() as connection:
            orderbook.change_order(connection, client_order_id, at, **changes)

    def order(self, client_order_id: str) -> OrderRecord | None:
        """Return one order, or None."""
        with self._read() as connection:
            return orderbook.find_order(connection, client_order_id)

    def order_by_exchange_id(self, symbol: str, exchange_order_id: str) -> OrderRecord | None:
        """Return the order that the exchange calls by that id, or None."""
        with self._read() as connection:
            return orderbook.find_by_exchange_id(connection, symbol, exchange_order_id)

    def open_orders(self) -> list[OrderRecord]:
        """Return every order that is not settled, oldest first."""
        with self._read() as connection:
            return orderbook.unsettled(connection)

    def orders_of(self, strategy: str, symbol: str, bar: datetime) -> list[OrderRecord]:
        """Return the orders of one decision."""
        with self._read() as connection:
            return orderbook.of_decision(connection, strategy, symbol, bar)

    def last_exit(self, strategy: str, symbol: str) -> OrderRecord | None:
        """Return the newest order that sold something and was to leave nothing, or None."""
        with self._read() as connection:
            return orderbook.last_exit(connection, strategy, symbol)

    # --- what is held ------------------------------------------------------------------------

    def positions(self) -> list[Position]:
        """Return every book."""
        with self._read() as connection:
            return books.read_positions(connection)

    def position(self, strategy: str, symbol: str) -> Position | None:
        """Return one book, or None before it was opened."""
        with self._read() as connection:
            return books.read_position(connection, strategy, symbol)

    def save_position(self, position: Position, trade: Trade | None = None) -> None:
        """Replace one book, with the trade that was closed by it."""
        with self._write() as connection:
            books.write_position(connection, position)
            if trade is not None:
                books.insert_trade(connection, trade)

    def has_fill(self, symbol: str, trade_id: str) -> bool:
        """True when that fill is stored."""
        with self._read() as connection:
            return books.has_fill(connection, symbol, trade_id)

    def record_fill(
        self,
        fill: Fill,
        *,
        record: OrderRecord,
        position: Position,
        trade: Trade | None,
        fee_quote: Decimal,
        moved: Mapping[str, Decimal],
    ) -> bool:
        """Apply one fill exactly once: fill, book, trade, balances, cursor; False if known."""
        with self._write() as connection:
            if books.has_fill(connection, fill.symbol, fill.trade_id):
                return False
            books.insert_fill(connection, fill, record.client_order_id, record.strategy, fee_quote)
            orderbook.book_quantity(connection, record, fill.quantity)
            books.write_position(connection, position)
            if trade is not None:
                books.insert_trade(connection, trade)
            known = books.read_balances(connection)
            for asset, change in moved.items():
                if asset in known:
                    books.write_balance(connection, asset, known[asset] + change)
            books.write_cursor(connection, fill.symbol, fill.trade_id)
        return True

    def cursor(self, symbol: str) -> str | None:
        """Return the newest trade id seen of `symbol`."""
        with self._read() as connection:
            return books.read_cursor(connection, symbol)

    def set_cursor(self, symbol: str, trade_id: str) -> None:
        """Remember the newest trade id seen of `symbol`."""
        with self._write() as connection:
            books.write_cursor(connection, symbol, trade_id)

    def expected_balances(self) -> dict[str, Decimal]:
        """Return what each asset's total must be, as far as our own fills explain it."""
        with self._read() as connection:
            return books.read_balances(connection)

    def accept_balance(self, asset: str, total: Decimal, at: datetime, why: str) -> None:
        """Take `total` as the expected balance of `asset`, and tell the audit."""
        with self._write() as connection:
            books.write_balance(connection, asset, total)
            chain.append(connection, at, "balance", {"asset": asset, "total": total, "why": why})

    def day_start(self, day: datetime) -> Decimal | None:
        """Return the equity at 00:00 UTC of `day`, or None."""
        with self._read() as connection:
            return books.read_day_start(connection, day)

    def set_day_start(self, day: datetime, value: Decimal) -> None:
        """Remember the equity at 00:00 UTC of `day`."""
        with self._write() as connection:
            books.write_day_start(connection, day, value)

    # --- marks, audit, frames ----------------------------------------------------------------

    def record_tick(self, mark: EquityMark, report: Mapping[str, Any]) -> None:
        """Store the end of a tick: its equity mark and its report."""
        with self._write() as connection:
            books.write_mark(connection, mark)
            connection.execute(
                insert(schema.ticks).values(server_time=mark.time, report=dict(report))
            )
            chain.append(connection, mark.time, "tick", {"equity": mark.equity})

    def note(self, at: datetime, event: str, body: Mapping[str, Any]) -> None:
        """Add one event to the audit."""
        with self._write() as connection:
            chain.append(connection, at, event, body)

    def last_tick(self) -> dict[str, Any] | None:
        """Return the report of the newest tick, or None."""
        query = select(schema.ticks.c.report).order_by(schema.ticks.c.id.desc()).limit(1)
        with self._read() as connection:
            report: dict[str, Any] | None = connection.execute(query).scalar()
        return report

    def audit(self, since: datetime | None = None, after: int = 0) -> list[dict[str, Any]]:
        """Return the audit events from `since` on and beyond number `after`, oldest first."""
        with self._read() as connection:
            return chain.rows(connection, since, after)

    def verify_audit(self) -> AuditVerdict:
        """Check the whole audit chain."""
        with self._read() as connection:
            return chain.verify(connection)

    def _frame(
        self, table: Table, moment: str, since: datetime | None, until: datetime | None
    ) -> pl.DataFrame:
        with self._read() as connection:
            return read_frame(connection, table, moment, since, until)

    def decisions(
        self, since: datetime | None = None, until: datetime | None = None
    ) -> pl.DataFrame:
        """Return decisions by `decided_at`."""
        return self._frame(schema.decisions, "decided_at", since, until)

    def orders(self, since: datetime | None = None, until: datetime | None = None) -> pl.DataFrame:
        """Return orders by `intended_at`, refused ones included."""
        return self._frame(schema.orders, "intended_at", since, until)

    def fills(self, since: datetime | None = None, until: datetime | None = None) -> pl.DataFrame:
        """Return fills by `time`."""
        return self._frame(schema.fills, "time", since, until)

    def trades(self, since: datetime | None = None, until: datetime | None = None) -> pl.DataFrame:
        """Return closed trades by `exit_time`."""
        return self._frame(schema.trades, "exit_time", since, until)

    def equity(self, since: datetime | None = None, until: datetime | None = None) -> pl.DataFrame:
        """Return equity marks by `time`."""
        return self._frame(schema.equity, "time", since, until)
