"""Studies as journal files in Optuna's own format: for all processes of one machine.

Files are appended under a lock, a block of trials at a time, with one synced write; claims are
locked files beside them, which the kernel frees when their holder dies.

Add here: what concerns the files. Keep out: studies in a database (relational).
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from thunes_core.errors import StoreFailed
from thunes_core.research.search.kept import Counted, count_of
from thunes_core.research.search.records import FIGURES, in_order

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial


@dataclass(frozen=True, slots=True)
class JournalFolder:
    """A folder with a folder a study and a file a search."""

    path: Path

    def open(self, study: str, search: str, objectives: int) -> JournalKept:
        """Open the file of a search; `StoreFailed` where it cannot be read."""
        with _store_errors(self.path):
            return JournalKept(self.path / study / f"{search}.log", objectives)

    def counted(self, study: str) -> list[Counted]:
        """Count every file of the study."""
        found = []
        for path in sorted((self.path / study).glob("*.log")):
            with _store_errors(path):
                trials = JournalKept(path, 1).trials()
            found.append(count_of(path.stem, [t.user_attrs.get(FIGURES) for t in trials]))
        return found


class JournalKept:
    """One study in one file, read as it grows."""

    def __init__(self, path: Path, objectives: int) -> None:
        import optuna
        from optuna.storages.journal import JournalStorage

        optuna.logging.set_verbosity(optuna.logging.ERROR)
        path.parent.mkdir(parents=True, exist_ok=True)
        self._path, self._lines = path, _lines(path)
        with self._lines.appending(sync=False):
            self._study = optuna.create_study(
                directions=["maximize"] * objectives,
                storage=JournalStorage(self._lines),
                study_name=path.stem,
                load_if_exists=True,
            )

    def trials(self) -> list[FrozenTrial]:
        """Return all finished trials of the file, by place."""
        with _store_errors(self._path):
            self._lines.refresh()
            return in_order(self._study.get_trials(deepcopy=False))

    @contextlib.contextmanager
    def claim(self, block: int, *, wait: bool) -> Iterator[bool]:
        """Lock the block's file; the lock is gone when the block is done or its holder is dead."""
        path = self._path.with_name(f".{self._path.stem}.{block}.claim")
        with path.open("ab") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
            except BlockingIOError:
                yield False
                return
            try:
                yield True
            finally:
                path.unlink(missing_ok=True)

    def persist(self, trials: Sequence[FrozenTrial]) -> None:
        """Append `trials` with one synced write."""
        with _store_errors(self._path), self._lines.appending():
            self._study.add_trials(trials)


def _lines(path: Path) -> Any:
    """Make Optuna's view of the file: appends are held back and written together."""
    from optuna.storages.journal import BaseJournalBackend

    class Lines(BaseJournalBackend):  # type: ignore[misc]  # optuna is untyped here
        def __init__(self) -> None:
            self._logs: list[dict[str, Any]] = []
            self._read_bytes = 0

        def read_logs(self, log_number_from: int) -> list[dict[str, Any]]:
            return self._logs[log_number_from:]

        def append_logs(self, logs: list[dict[str, Any]]) -> None:
            self._logs += json.loads(json.dumps(logs))

        def refresh(self) -> None:
            with path.open("rb") as file:
                self._take(file)

        @contextlib.contextmanager
        def appending(self, *, sync: bool = True) -> Iterator[None]:
            with _locked(path) as file:
                self._take(file)
                known = len(self._logs)
                yield
                self._read_bytes += _append(file, self._read_bytes, self._logs[known:], sync=sync)

        def _take(self, file: IO[bytes]) -> None:
            file.seek(self._read_bytes)
            text = file.read()
            whole = text[: text.rfind(b"\n") + 1]
            self._logs += _parsed(whole, path)
            self._read_bytes += len(whole)

    return Lines()


def _parsed(text: bytes, path: Path) -> list[dict[str, Any]]:
    try:
        return [json.loads(line) for line in text.splitlines()]
    except ValueError as error:
        raise StoreFailed(
            f"journal: expected lines of JSON in {path}; {error}; move the file away, "
            "its trials are then run again"
        ) from error


def _append(file: IO[bytes], end: int, logs: Sequence[dict[str, Any]], *, sync: bool) -> int:
    """Write whole lines at `end`, where a torn line of a killed writer is cut off; count bytes."""
    if not logs:
        return 0
    text = "".join(json.dumps(log, separators=(",", ":")) + "\n" for log in logs).encode()
    file.truncate(end)
    file.seek(end)
    file.write(text)
    file.flush()
    if sync:
        os.fsync(file.fileno())
    return len(text)


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[IO[bytes]]:
    with path.open("a+b") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield file


@contextlib.contextmanager
def _store_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise StoreFailed(
            f"journal: expected a file that can be read and written at {path}; {error.strerror}; "
            "correct its permissions or free space"
        ) from error
