"""How commands print: Rich for people on stdout, or one JSON document with `--json`.

A file that a command is asked for appears whole or not at all.

Add here: a way of showing that two commands share. Keep out: what is shown.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import orjson
from rich.console import Console

from thunes_core.errors import BadInput

console = Console()
TABLES = (".parquet", ".csv")


def emit_json(document: Any) -> None:
    """Write one JSON document to stdout; NaN is null, times are ISO 8601 UTC, Decimals text."""
    options = orjson.OPT_INDENT_2 | orjson.OPT_UTC_Z | orjson.OPT_SERIALIZE_NUMPY
    sys.stdout.buffer.write(orjson.dumps(document, default=str, option=options) + b"\n")
    sys.stdout.flush()


def require_table(path: Path) -> None:
    """Raise `BadInput` unless a table can be written under that name: .parquet or .csv.

    Pipes and devices get Parquet whatever they are called.
    """
    plain = path.is_file() or not path.exists()
    if plain and path.suffix.lower() not in TABLES:
        raise BadInput(
            f"--out: expected a file that ends in {' or '.join(TABLES)}; it was {path}; give one"
        )


@contextmanager
def written(path: Path) -> Iterator[Path]:
    """Yield the path to write to: a file beside `path` that takes its place when all went well.

    Else it is gone, and `path` as before. Pipes and devices are written to as they are. Raises
    `BadInput` when the place cannot be written.
    """
    whole = path.resolve()
    plain = whole.is_file() or not whole.exists()
    beside = whole.with_name(f".{whole.name}.{os.getpid()}.tmp") if plain else whole
    try:
        yield beside
        if plain:
            beside.replace(whole)
    except OSError as error:
        said = error.strerror or error
        raise BadInput(f"{path}: cannot be written ({said}); give another file") from error
    finally:
        if plain:
            beside.unlink(missing_ok=True)


def write_bytes(path: Path, content: bytes) -> None:
    """Write a result whole; `BadInput` when the place cannot be written."""
    with written(path) as beside:
        beside.write_bytes(content)
