"""Studies in PostgreSQL, by Optuna's own tables: for workers on several hosts.

A claim is a session's advisory lock: the server frees it when its holder's connection ends, by
itself, with its process, or because its host is silent for `postgres.SILENT_SECONDS`.

Add here: what concerns the database. Keep out: studies in files (journal).
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from thunes_core.errors import BadInput, StoreFailed
from thunes_core.postgres import line_args
from thunes_core.research.search.kept import Counted, count_of
from thunes_core.research.search.records import FIGURES, in_order, place_of

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial

SCHEME = "postgresql+psycopg2://"
PATIENCE = "30min"
"""How long a worker waits for the block of another, at most."""


@dataclass(frozen=True)
class Relational:
    """A PostgreSQL database, by its SQLAlchemy URL; the URL is never shown, it may hold a password.

    Raises `BadInput` for any other kind of database: SQLite is slower than the journal and cannot
    be shared by hosts.
    """

    url: str

    def __post_init__(self) -> None:
        if not self.url.startswith(SCHEME):
            raise BadInput(
                f"THUNES_OPTUNA_URL: expected {SCHEME}user@host/base; it begins otherwise; correct "
                "it, or leave it out: journal files in THUNES_HOME are then used"
            )

    def __repr__(self) -> str:
        """Leave the URL out."""
        return "Relational(…)"

    def open(self, study: str, search: str, objectives: int) -> RelationalKept:
        """Open a search; `StoreFailed` when the database does not answer."""
        return RelationalKept(self.url, f"{study}/{search}", objectives)

    def counted(self, study: str) -> list[Counted]:
        """Count every search whose name begins with the study's."""
        import optuna

        with _store_errors():
            storage = _storage(self.url)
            names = [s.study_name for s in storage.get_all_studies()]
            found = []
            for name in sorted(n for n in names if n.startswith(f"{study}/")):
                loaded = optuna.load_study(study_name=name, storage=storage)
                trials = in_order(loaded.get_trials(deepcopy=False))
                search = name.removeprefix(f"{study}/")
                found.append(count_of(search, [t.user_attrs.get(FIGURES) for t in trials]))
        return found


class RelationalKept:
    """One study in the database."""

    def __init__(self, url: str, name: str, objectives: int) -> None:
        import optuna

        self._url, self._name = url, name
        with _store_errors():
            self._study = optuna.create_study(
                directions=["maximize"] * objectives,
                storage=_storage(url),
                study_name=name,
                load_if_exists=True,
            )

    def trials(self) -> list[FrozenTrial]:
        """Return all finished trials of the study, by place."""
        with _store_errors():
            return in_order(self._study.get_trials(deepcopy=False))

    def persist(self, trials: Sequence[FrozenTrial]) -> None:
        """Append those whose place is not taken: a killed worker may have left half a block."""
        with _store_errors():
            taken = {place_of(trial) for trial in self.trials()}
            self._study.add_trials(t for t in trials if place_of(t) not in taken)

    @contextlib.contextmanager
    def claim(self, block: int, *, wait: bool) -> Iterator[bool]:
        """Hold the block by an advisory lock of a connection of its own."""
        with contextlib.ExitStack() as stack:
            with _store_errors():
                connection = stack.enter_context(_engine(self._url).connect())
                ours = _lock(connection, f"{self._name}/{block}", wait=wait)
            yield ours


def _lock(connection: Any, name: str, *, wait: bool) -> bool:
    from sqlalchemy import text

    key = int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], signed=True)
    if wait:
        connection.execute(text(f"SET lock_timeout = '{PATIENCE}'"))
        connection.execute(text("SELECT pg_advisory_lock(:key)"), {"key": key})
        return True
    return bool(
        connection.execute(text("SELECT pg_try_advisory_lock(:key)"), {"key": key}).scalar()
    )


@lru_cache(maxsize=8)
def _engine(url: str) -> Any:
    """Make an engine whose connections close, and drop their locks, when they are given back."""
    from sqlalchemy import create_engine
    from sqlalchemy.pool import NullPool

    return create_engine(
        url, poolclass=NullPool, isolation_level="AUTOCOMMIT", connect_args=line_args(url)
    )


@lru_cache(maxsize=8)
def _storage(url: str) -> Any:
    """Open Optuna's storage; its tables are made by one worker at a time."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    with _engine(url).connect() as connection:
        _lock(connection, "tables", wait=True)
        kwargs = {"pool_pre_ping": True, "connect_args": line_args(url)}
        return optuna.storages.RDBStorage(url, engine_kwargs=kwargs)


@contextlib.contextmanager
def _store_errors() -> Iterator[None]:
    """Turn errors of the database into `StoreFailed`, without its URL."""
    from optuna.exceptions import StorageInternalError
    from sqlalchemy.exc import SQLAlchemyError

    try:
        yield
    except (SQLAlchemyError, StorageInternalError) as error:
        reason = str(error.__cause__ or error).strip().splitlines()[0]
        raise StoreFailed(
            f"studies: expected the PostgreSQL of THUNES_OPTUNA_URL to answer; {reason}; "
            "start it, or correct the URL"
        ) from error
    except ImportError as error:
        raise BadInput(
            f"studies: expected the extra `scale` for PostgreSQL; {error}; install thunes[scale]"
        ) from error
