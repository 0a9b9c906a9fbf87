"""Every read of the ledger: each sees one moment and waits for no writer.

Add here: a read that others need. Keep out: SQL (beside), writes (see `ledger`).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from typing import Any

import polars as pl
from sqlalchemy import Connection, Engine, Table, select

from thunes_core.adapters.ledger import books, chain, control, foreign, orderbook, schema, versions
from thunes_core.adapters.ledger.answers import Answers
from thunes_core.adapters.ledger.complete import tells_all
from thunes_core.adapters.ledger.connect import reading, store_errors
from thunes_core.adapters.ledger.frames import read_frame
from thunes_core.clock import Clock, SystemClock
from thunes_core.domain.orders import Fill
from thunes_core.domain.parameters import Champion
from thunes_core.domain.portfolio import Position
from thunes_core.domain.records import (
    Arming,
    AuditVerdict,
    Dealing,
    OrderRecord,
    Shadow,
    StateRecord,
)


class LedgerReads:
    """What the ledger knows. Raises `StoreFailed`."""

    def __init__(
        self, engine: Engine, clock: Clock | None = None, answers: Answers | None = None
    ) -> None:
        self._engine = engine
        self._reader = reading(engine)
        self._answers = answers or Answers(engine)
        self._clock = clock or SystemClock()

    def close(self) -> None:
        """Close every connection."""
        self._answers.close()
        self._engine.dispose()

    @contextmanager
    def _read(self) -> Iterator[Connection]:
        with store_errors(), self._reader.connect() as connection:
            yield connection

    def trading_state(self) -> StateRecord:
        """Return the trading state in force."""
        return self._answers.ask(control.read_state)

    def known_venue(self) -> str | None:
        """Return the venue that this ledger was begun with, or None before the first."""
        return self._answers.ask(control.read_venue)

    def arming(self) -> Arming | None:
        """Return the arming in force (machine clock), or None."""
        given = self._answers.ask(control.read_arming)
        return given if given is not None and self._clock.now() < given.until else None

    def breaker_open(self) -> bool:
        """True while the breaker, shared by all processes, is open (machine clock)."""
        return self._answers.ask(control.read_breaker).is_open(self._clock.now())

    def remembered_champion(self, study: str) -> Champion | None:
        """Return the copy of the champion of `study`, or None."""
        return self._answers.ask(control.read_champion, study)

    def champion_since(self, study: str) -> datetime | None:
        """Return when the remembered champion of `study` was first seen, or None."""
        return self._answers.ask(control.read_champion_since, study)

    def version_of(self, study: str, fingerprint: str) -> Champion | None:
        """Return the version of `study` that traded with those parameters, or None."""
        return self._answers.ask(versions.read_version, study, fingerprint)

    def shadow(self, study: str) -> Shadow | None:
        """Return the candidate that decides on paper for `study`, or None."""
        return self._answers.ask(versions.read_shadow, study)

    def is_decided(self, strategy: str, symbol: str, bar: datetime) -> bool:
        """True when that bar was decided on."""
        return self._answers.ask(orderbook.is_decided, strategy, symbol, bar)

    def order(self, client_order_id: str) -> OrderRecord | None:
        """Return one order, or None."""
        return self._answers.ask(orderbook.find_order, client_order_id)

    def order_by_exchange_id(self, symbol: str, exchange_order_id: str) -> OrderRecord | None:
        """Return the order that the exchange calls by that id, or None."""
        return self._answers.ask(orderbook.find_by_exchange_id, symbol, exchange_order_id)

    def open_orders(self) -> list[OrderRecord]:
        """Return every order that is not settled, oldest first."""
        return self._answers.ask(orderbook.unsettled)

    def orders_of(self, strategy: str, symbol: str, bar: datetime) -> list[OrderRecord]:
        """Return the orders of one decision."""
        return self._answers.ask(orderbook.of_decision, strategy, symbol, bar)

    def stops_since(self, moment: datetime) -> list[OrderRecord]:
        """Return the protective stops intended at or after `moment`, oldest first."""
        return self._answers.ask(orderbook.stops_since, moment)

    def last_exit(self, strategy: str, symbol: str) -> OrderRecord | None:
        """Return the newest order that sold something and was to leave nothing, or None."""
        return self._answers.ask(orderbook.last_exit, strategy, symbol)

    def positions(self) -> list[Position]:
        """Return every book."""
        return self._answers.ask(books.read_positions)

    def position(self, strategy: str, symbol: str) -> Position | None:
        """Return one book, or None before it was opened."""
        return self._answers.ask(books.read_position, strategy, symbol)

    def has_fill(self, symbol: str, trade_id: str) -> bool:
        """True when that fill is stored."""
        return self._answers.ask(books.has_fill, symbol, trade_id)

    def cursor(self, symbol: str) -> str | None:
        """Return the newest trade id seen of `symbol`."""
        return self._answers.ask(books.read_cursor, symbol)

    def expected_balances(self) -> dict[str, Decimal]:
        """Return what each asset's total must be, as far as our own fills explain it."""
        return self._answers.ask(books.read_balances)

    def day_start(self, day: datetime) -> Decimal | None:
        """Return the equity at 00:00 UTC of `day`, or None."""
        return self._answers.ask(books.read_day_start, day)

    def peak(self) -> Decimal | None:
        """Return the highest equity remembered, or None."""
        return self._answers.ask(books.read_peak)

    def dealings_since(self, moment: datetime) -> list[Dealing]:
        """Return what every fill at or after `moment` did to its book, oldest first."""
        return self._answers.ask(books.read_dealings, moment)

    def accepted_orders(self) -> set[tuple[str, str]]:
        """Return foreign orders that a person accepted, by symbol and id."""
        return self._answers.ask(orderbook.accepted)

    def foreign_trades(self) -> list[Fill]:
        """Return the trades that are not ours and that nobody accepted yet, oldest first."""
        return self._answers.ask(foreign.read)

    def entries_since(self, moment: datetime) -> int:
        """Return how many orders that increase were sent at or after `moment`."""
        return self._answers.ask(orderbook.entries_since, moment)

    def stop_outs_since(self, moment: datetime) -> int:
        """Return how many trades protection ended at a loss at or after `moment`."""
        return self._answers.ask(books.stop_outs_since, moment)

    def interval_of(self, strategy: str, symbol: str) -> str | None:
        """Return the interval of the newest decision of a book, or None."""
        return self._answers.ask(orderbook.interval_of, strategy, symbol)

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
        """Check the whole audit chain, and that it tells of everything that the ledger holds."""
        with self._read() as connection:
            verdict = chain.verify(connection)
            if verdict.whole and not tells_all(connection):
                return replace(verdict, broken_at=verdict.rows + 1)
            return verdict

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

    def shadow_decisions(
        self, since: datetime | None = None, until: datetime | None = None
    ) -> pl.DataFrame:
        """Return what candidates would have done, by `bar`."""
        return self._frame(schema.shadow_decisions, "bar", since, until)
