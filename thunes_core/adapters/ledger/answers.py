"""Small questions to the ledger, asked over one standing connection and remembered while they hold.

SQLite tells in microseconds whether anybody committed since (`PRAGMA data_version`), so an answer
is given a second time only where a fresh read would find the same. On PostgreSQL every question is
a read transaction of its own.

Add here: how questions are asked. Keep out: SQL, which questions there are (`reads`).
"""

from __future__ import annotations

from collections.abc import Callable
from threading import Lock
from typing import Any, TypeVar, TypeVarTuple, cast

from sqlalchemy import Connection, Engine, QueuePool

from thunes_core.adapters.ledger.connect import (
    DATABASE_ERRORS,
    failure,
    reading,
    standing,
    store_errors,
)

T = TypeVar("T")
Given = TypeVarTuple("Given")
_NOT_ASKED = object()


class Answers:
    """What the database answers; any thread may ask. Raises `StoreFailed`.

    A tick asks some twenty times between a bar and its order: an answer that still holds costs
    little more than the question whether it does.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        # SQLite in a file, where our own writes too come over other connections
        self._tells_changes = engine.dialect.name == "sqlite" and isinstance(engine.pool, QueuePool)
        self._lock = Lock()
        self._standing: tuple[Connection, Any] | None = None
        self._version = 0
        self._known: dict[tuple[Any, ...], Any] = {}

    def ask(self, question: Callable[[Connection, *Given], T], *given: *Given) -> T:
        """Return `question(connection, *given)` of the database as it is now.

        A list, set or mapping is the caller's own; what is in it is shared and frozen.
        """
        if not self._tells_changes:
            with store_errors(), reading(self._engine).connect() as connection:
                return question(connection, *given)
        with self._lock:
            try:
                found = self._answer(question, given)
            except BaseException as error:
                self._drop()
                if isinstance(error, DATABASE_ERRORS):
                    raise failure(error) from error
                raise
        return cast(T, found.copy()) if isinstance(found, list | set | dict) else found

    def close(self) -> None:
        """Close the standing connection; the next question opens another."""
        with self._lock:
            self._drop()

    def _answer(self, question: Callable[[Connection, *Given], T], given: tuple[*Given]) -> T:
        if self._standing is None:
            opened = standing(self._engine)
            self._standing = opened, opened.connection.dbapi_connection
        connection, driver = self._standing
        self._forget_if_changed(driver)
        found = self._known.get((question, given), _NOT_ASKED)
        if found is _NOT_ASKED:
            found = self._known[question, given] = question(connection, *given)
        return cast(T, found)

    def _forget_if_changed(self, driver: Any) -> None:
        """Forget every answer when another connection committed since the last question."""
        (version,) = driver.execute("PRAGMA data_version").fetchone()
        if version != self._version:
            self._known.clear()
        self._version = version

    def _drop(self) -> None:
        if self._standing is not None:
            self._standing[0].close()
        self._standing = None
        self._known.clear()
