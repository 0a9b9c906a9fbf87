"""Parquet files that are never seen half-written, and locks between processes.

Add here: a guarantee about one file. Keep out: what is in it.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

import polars as pl

from thunes_core.clock import monotonic_seconds
from thunes_core.errors import StoreFailed

LOCK_SECONDS = 60.0
_POLL_SECONDS = 0.02


def write_parquet(frame: pl.DataFrame, path: Path) -> None:
    """Write `frame` beside `path` and move it into place: readers see the old or the new file.

    The content is on disk before it is moved. The caller holds the lock of `path`, so what a killed
    writer left beside it is overwritten. Raises `StoreFailed`; then `path` is as before.
    """
    beside = path.with_name(f".{path.name}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with beside.open("wb") as file:
            frame.write_parquet(file, compression="zstd", statistics=True)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
        _sync_folder(path.parent)
    except (OSError, pl.exceptions.PolarsError) as error:  # polars tells a full disk as its own
        with suppress(OSError):
            beside.unlink(missing_ok=True)
        raise StoreFailed(
            f"bars lake: {path} cannot be written ({error}); free space or correct its permissions"
        ) from error


def read_parquet(
    path: Path, schema: Mapping[str, pl.DataType], columns: Sequence[str] | None = None
) -> pl.DataFrame:
    """Read one file, or some of its columns; `StoreFailed` names one broken or not of `schema`.

    Its bytes are taken at once, so that a file replaced meanwhile is seen old or new, never mixed.
    """
    try:
        return _parsed([path.read_bytes()], schema, columns)
    except (OSError, pl.exceptions.PolarsError) as error:
        raise broken_file(path, str(error)) from error


def read_all(
    paths: Sequence[Path], schema: Mapping[str, pl.DataType], columns: Sequence[str] | None = None
) -> pl.DataFrame:
    """Read several files one below the other, as `read_parquet` does each."""
    try:
        return _parsed([path.read_bytes() for path in paths], schema, columns)
    except (OSError, pl.exceptions.PolarsError):
        return pl.concat(read_parquet(path, schema, columns) for path in paths)


def _parsed(
    contents: list[bytes], schema: Mapping[str, pl.DataType], columns: Sequence[str] | None
) -> pl.DataFrame:
    frame = pl.read_parquet(contents, columns=list(columns) if columns else None)
    if frame.schema != {name: schema[name] for name in columns or schema}:
        raise pl.exceptions.SchemaError(f"its columns are {', '.join(frame.columns)}")
    return frame


def broken_file(path: Path, why: str) -> StoreFailed:
    """Return the error for a file of the lake that cannot be read."""
    said = " ".join(why.split())[:120]
    return StoreFailed(
        f"bars lake: {path} cannot be read ({said}); move that file away and ingest its window "
        "again with `thunes ingest`"
    )


@contextmanager
def locked(path: Path, seconds: float = LOCK_SECONDS) -> Iterator[None]:
    """Hold the lock file `path` alone, across threads and processes; wait at most `seconds`.

    The system releases it when the process dies, so no stale lock remains.
    """
    with _opened(path) as file:
        _wait_for(file.fileno(), path, seconds)
        try:
            yield
        finally:
            fcntl.flock(file.fileno(), fcntl.LOCK_UN)


def _opened(path: Path) -> BinaryIO:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        return path.open("wb")
    except OSError as error:
        raise StoreFailed(
            f"bars lake: {path} cannot be written ({error}); free space or correct its permissions"
        ) from error


def _wait_for(descriptor: int, path: Path, seconds: float) -> None:
    deadline = monotonic_seconds() + seconds
    while True:
        with suppress(BlockingIOError):
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        if monotonic_seconds() > deadline:
            raise StoreFailed(
                f"bars lake: another writer held {path} for more than {seconds:.0f} s; "
                "wait for it to end, then repeat"
            )
        time.sleep(_POLL_SECONDS)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
