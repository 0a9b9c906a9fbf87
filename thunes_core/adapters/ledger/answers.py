"""Small questions to the ledger, asked over one standing connection and remembered while they hold.

SQLite tells in microseconds whether anybody committed since (`PRAGMA data_version`), so an answer
is given a second time only where a fresh read would find the same. On PostgreSQL every question is
a read transaction of its own.

Add here: how questions are asked. Keep out: SQL, which questions there are (`reads`).
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from threading import Lock
from typing import Any, TypeVar, TypeVarTuple, cast

from sqlalchemy import Connection, Engine, QueuePool

from thunes_core.adapters.ledger.connect import reading, standing, store_errors

T = TypeVar("T")
Given = TypeVarTuple("Given")
_NOT_ASKED = object()


class Answers:
    """What the database answers; any thread may ask. Raises `StoreFailed`."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._lock = Lock()
        self._standing: Connection | None = None
        self._version = 0
        self._known: dict[tuple[Any, ...], Any] = {}

    def ask(self, question: Callable[[Connection, *Given], T], *given: *Given) -> T:
        """Return `question(connection, *given)` of the database as it is now.

        A list, set or mapping is the caller's own; what is in it is shared and frozen.
        """
        with store_errors():
            if not self._tells_changes:
                with reading(self._engine).connect() as connection:
                    return question(connection, *given)
            with self._lock, ExitStack() as failing:
                failing.callback(self._drop)
                found = self._answer(question, given)
                failing.pop_all()
        return cast(T, found.copy()) if isinstance(found, list | set | dict) else found

    def close(self) -> None:
        """Close the standing connection; the next question opens another."""
        with self._lock:
            self._drop()

    @property
    def _tells_changes(self) -> bool:
        """True for SQLite in a file: there our own writes come over other connections too."""
        return self._engine.dialect.name == "sqlite" and isinstance(self._engine.pool, QueuePool)

    def _answer(self, question: Callable[[Connection, *Given], T], given: tuple[*Given]) -> T:
        connection = self._standing = self._standing or standing(self._engine)
        self._forget_if_changed(connection)
        found = self._known.get((question, given), _NOT_ASKED)
        if found is _NOT_ASKED:
            found = self._known[question, given] = question(connection, *given)
        return cast(T, found)

    def _forget_if_changed(self, connection: Connection) -> None:
        """Forget every answer when another connection committed since the last question."""
        driver = connection.connection.dbapi_connection
        (version,) = driver.execute("PRAGMA data_version").fetchone()  # type: ignore[union-attr] # SQLite's own shortcut
        if version != self._version:
            self._known.clear()
        self._version = version

    def _drop(self) -> None:
        if self._standing is not None:
            self._standing.close()
        self._standing = None
        self._known.clear()
