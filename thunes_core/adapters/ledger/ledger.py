"""The ledger: every write as one durable transaction; its reads are those of `LedgerReads`.

A ledger taken `under` a lease checks in each write that the lease is still the newest (the fence).

Add here: a transaction of the tick. Keep out: SQL (beside), reads, decisions.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from sqlalchemy import Connection, Engine, insert

from thunes_core.adapters.ledger import books, chain, control, foreign, orderbook, schema, versions
from thunes_core.adapters.ledger.answers import Answers
from thunes_core.adapters.ledger.connect import store_errors
from thunes_core.adapters.ledger.reads import LedgerReads
from thunes_core.clock import Clock
from thunes_core.domain.orders import Fill, Order, OrderStatus
from thunes_core.domain.parameters import Champion
from thunes_core.domain.portfolio import Position, TradingState
from thunes_core.domain.records import (
    Arming,
    DecisionContext,
    EquityMark,
    Lease,
    OrderRecord,
    Shadow,
    ShadowDecision,
    StateRecord,
    Trade,
)
from thunes_core.domain.signal import Decision


class Ledger(LedgerReads):
    """Facts that cannot be had again, in SQLite or PostgreSQL. Raises `StoreFailed`."""

    def __init__(
        self,
        engine: Engine,
        *,
        clock: Clock | None = None,
        lease: Lease | None = None,
        answers: Answers | None = None,
    ) -> None:
        super().__init__(engine, clock, answers)
        self._lease = lease

    @contextmanager
    def _write(self) -> Iterator[Connection]:
        with store_errors(), self._engine.begin() as connection:
            if self._lease is not None:
                control.require_lease(connection, self._lease)
            yield connection

    def acquire_lease(self, holder: str, ttl: timedelta) -> Lease:
        """Take the account's lease until now + `ttl` (machine clock); `LeaseHeld` if it runs."""
        with self._write() as connection:
            return control.take_lease(connection, holder, self._clock.now(), ttl)

    def under(self, lease: Lease) -> Ledger:
        """Return this ledger with every write fenced by `lease`."""
        return Ledger(self._engine, clock=self._clock, lease=lease, answers=self._answers)

    def release_lease(self, lease: Lease) -> None:
        """Give the lease back; nothing happens when another took over."""
        with store_errors(), self._engine.begin() as connection:
            control.drop_lease(connection, lease)

    def set_trading_state(
        self,
        state: TradingState,
        *,
        reason: str,
        author: str,
        since: datetime | None = None,
        instead_of: StateRecord | None = None,
    ) -> StateRecord:
        """Store the trading state; `since` is the exchange's clock where it is known.

        With `instead_of` nothing is stored unless that is in force. Returns what is in force then.
        """
        record = StateRecord(state, reason, author, since or self._clock.now())
        with self._write() as connection:
            before = control.read_state(connection)
            if instead_of is not None and before != instead_of:
                return before
            control.write_state(connection, record)
            if control.forgives_drawdown(before, record):
                books.write_peak(connection, None)
        return record

    def venue(self, asked: str) -> str:
        """Return the venue that this ledger was begun with: `asked`, where it had none yet."""
        known = self.known_venue()
        if known is not None:
            return known
        with self._write() as connection:
            known = control.read_venue(connection)
            if known is None:
                control.write_venue(connection, asked, self._clock.now())
        return known or asked

    def arm(self, given: Arming | None) -> None:
        """Arm the account, or disarm it with None."""
        with self._write() as connection:
            control.write_arming(connection, given, self._clock.now())

    def heard_exchange(self, *, answered: bool, asked_to_wait: bool = False) -> None:
        """Tell the breaker how an attempt went; a success of a closed one costs no write."""
        if answered and not self._answers.ask(control.read_breaker).failures:
            return
        now = self._clock.now()
        with self._write() as connection:
            state = control.read_breaker(connection)
            failed = state.asked_to_wait if asked_to_wait else state.failed
            following = state.succeeded() if answered else failed(now)
            control.write_breaker(connection, following, now)

    def remember_champion(self, champion: Champion, at: datetime | None = None) -> None:
        """Keep the last known good copy of a champion; one that is kept already costs no write."""
        if self.remembered_champion(champion.study) == champion:
            return
        with self._write() as connection:
            control.write_champion(connection, champion, at or self._clock.now())

    def begin_shadow(self, shadow: Shadow) -> None:
        """Let a candidate decide on paper beside the champion."""
        with self._write() as connection:
            versions.write_shadow(connection, shadow)

    def end_shadow(self, study: str, at: datetime, why: str) -> None:
        """End the shadow of a study; nothing happens where there is none."""
        with self._write() as connection:
            versions.drop_shadow(connection, study, at, why)

    def record_shadow_decisions(self, made: Sequence[ShadowDecision]) -> None:
        """Store what candidates would have done; a bar that is known stays as it was."""
        with self._write() as connection:
            versions.insert_shadow_decisions(connection, made)

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
        """Mark intents as leaving: durable before the one request that may follow.

        All or none; an intent is claimed once, `StoreFailed` otherwise.
        """
        leaving = {"status": OrderStatus.SUBMITTED, "submitted_at": at, "updated_at": at}
        with self._write() as connection:
            for client_order_id in client_order_ids:
                orderbook.require_intended(connection, client_order_id)
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
            **({"quantity": order.quantity} if order.quantity else {}),
            **({"why": why} if why else {}),
        )

    def accept_order(self, symbol: str, client_order_id: str, at: datetime) -> None:
        """Take an open order that is not ours as a person's, and tell the audit."""
        with self._write() as connection:
            orderbook.accept(connection, symbol, client_order_id)
            body = {"symbol": symbol, "client_order_id": client_order_id}
            chain.append(connection, at, "foreign_order_accepted", body)

    def keep_foreign(self, trades: Sequence[Fill]) -> None:
        """Keep trades that are not ours until they are accepted; known ones stay as they are."""
        with self._write() as connection:
            foreign.insert_new(connection, trades)

    def accept_foreign(self, trades: Sequence[Fill], at: datetime) -> None:
        """Take trades that are not ours as a person's, and tell the audit."""
        with self._write() as connection:
            foreign.drop(connection, trades, at)

    def change_order(self, client_order_id: str, at: datetime, **changes: Any) -> None:
        """Store changed fields of an order."""
        with self._write() as connection:
            orderbook.change_order(connection, client_order_id, at, **changes)

    def save_position(self, position: Position, trade: Trade | None = None) -> None:
        """Replace one book, with the trade that was closed by it."""
        with self._write() as connection:
            books.write_position(connection, position)
            if trade is not None:
                books.insert_trade(connection, trade)

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

    def set_cursor(self, symbol: str, trade_id: str) -> None:
        """Remember the newest trade id seen of `symbol`."""
        with self._write() as connection:
            books.write_cursor(connection, symbol, trade_id)

    def accept_balance(self, asset: str, total: Decimal, at: datetime, why: str) -> None:
        """Take `total` as the expected balance of `asset`, and tell the audit."""
        with self._write() as connection:
            books.write_balance(connection, asset, total)
            chain.append(connection, at, "balance", {"asset": asset, "total": total, "why": why})

    def set_day_start(self, day: datetime, value: Decimal) -> None:
        """Remember the equity at 00:00 UTC of `day`."""
        with self._write() as connection:
            books.write_day_start(connection, day, value)

    def set_peak(self, value: Decimal) -> None:
        """Remember the highest equity."""
        with self._write() as connection:
            books.write_peak(connection, value)

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
