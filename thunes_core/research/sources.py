"""The code that turns bars into exposures, by content: trials of other code are not taken over.

Add here: code that decides what a trial gives. Keep out: the engine (it is pinned by tests, and a
change of its rules raises `folds.RULES`).
"""

from __future__ import annotations

import ast
import hashlib
import sys
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

from thunes_core import indicators, strategies
from thunes_core.strategies.base import strategy_class


@lru_cache(maxsize=32)
def code_fingerprint(strategy: str) -> str:
    """Return the SHA-256 of all strategies and indicators, and of the file of this strategy.

    All of them, for strategies wrap one another. Comments, docstrings and layout do not count.
    """
    digest = hashlib.sha256()
    for path in sorted(_files(strategy)):
        digest.update(path.name.encode())
        digest.update(meaning_of(path.read_text(encoding="utf-8")).encode())
    return digest.hexdigest()


def meaning_of(source: str) -> str:
    """Return what Python reads of `source`: equal for texts that differ in words for people only.

    >>> meaning_of("x = 1  # one") == meaning_of("x   = 1")
    True
    """
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and _is_text(node.body):
            node.body = node.body[1:]
    return ast.dump(tree)


def _is_text(body: list[ast.stmt]) -> bool:
    first = body[0] if body else None
    value = first.value if isinstance(first, ast.Expr) else None
    return isinstance(value, ast.Constant) and isinstance(value.value, str)


def _files(strategy: str) -> Iterator[Path]:
    folders = {Path(folder) for package in (strategies, indicators) for folder in package.__path__}
    known = {path for folder in folders for path in folder.glob("*.py")}
    yield from known
    own = getattr(sys.modules.get(strategy_class(strategy).__module__), "__file__", None)
    if own is not None and Path(own) not in known:
        yield Path(own)
