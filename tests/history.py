"""How much work SQLite has with a question, and files that look as after years of trading.

Add here: what a test of long histories needs. Keep out: which questions are asked.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from typing import Any

COPIES = 400
"""How often the rows of a table are repeated."""


def grow(
    file: sqlite3.Connection,
    table: str,
    names: Sequence[str],
    times: Sequence[str],
    ended: str = "TRUE",
) -> None:
    """Repeat the first 20 `ended` rows of `table` in the past, under other `names` (text columns).

    `times` are columns of whole numbers; a copy's are lower by ever more.
    """
    kept = [row[1] for row in file.execute(f"PRAGMA table_info({table})") if row[1] != "id"]
    for copy in range(1, COPIES + 1):
        told = [_earlier(name, names, times, copy) for name in kept]
        file.execute(
            f"INSERT INTO {table} ({', '.join(kept)}) SELECT {', '.join(told)} FROM {table} "
            f"WHERE {ended} ORDER BY rowid LIMIT 20"
        )


def _earlier(name: str, names: Sequence[str], times: Sequence[str], copy: int) -> str:
    if name in names:
        return f"{name} || '-{copy}'"
    return f"{name} - {copy} * {86_400_000_000}" if name in times else name


def work(file: sqlite3.Connection, asked: Mapping[str, Any]) -> dict[str, int]:
    """Return how many steps of SQLite's machine each question takes, with its values."""
    taken: dict[str, int] = {}
    for sql, given in asked.items():
        steps = list[None]()
        file.set_progress_handler(lambda steps=steps: steps.append(None), 1)
        file.execute(sql, given).fetchall()
        taken[sql] = len(steps)
    file.set_progress_handler(None, 1)
    return taken


def slower(before: Mapping[str, int], after: Mapping[str, int]) -> dict[str, tuple[int, int]]:
    """Return the questions that take more work than a constant, with their work before and after.

    An index of more rows is a little deeper, which is not counted.
    """
    return {sql: (before[sql], after[sql]) for sql in before if after[sql] > 2 * before[sql] + 100}
