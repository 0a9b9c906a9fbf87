"""How commands print: Rich for people on stdout, or one JSON document with `--json`.

Add here: a way of showing that two commands share. Keep out: what is shown.
"""

from __future__ import annotations

import sys
from typing import Any

import orjson
from rich.console import Console

console = Console()


def emit_json(document: Any) -> None:
    """Write one JSON document to stdout; NaN is null, times are ISO 8601 UTC, Decimals text."""
    options = orjson.OPT_INDENT_2 | orjson.OPT_UTC_Z | orjson.OPT_SERIALIZE_NUMPY
    sys.stdout.buffer.write(orjson.dumps(document, default=str, option=options) + b"\n")
    sys.stdout.flush()
