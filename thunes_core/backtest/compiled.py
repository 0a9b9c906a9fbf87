"""Compile to machine code with numba, cached on disk so that a second process starts warm.

numba renews a cached function when its own file changes, but not when a function that it calls
from another file does. So the cache lives in a folder named after the content of every file that
is compiled: whatever changes, what runs is what is written.

Add here: nothing but how functions are compiled. Keep out: the functions.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar, cast

import numba

_HOW = {"cache": True, "nogil": True, "forceinline": True, "_nrt": False}
F = TypeVar("F", bound=Callable[..., Any])
_HERE = Path(__file__).resolve().parent
_KEPT = 4
_MARK = "from thunes_core.backtest.compiled import compiled"


def compiled(function: F) -> F:
    """Compile `function` on first call with its argument types; without the GIL, IEEE arithmetic.

    No fast-math: the results must be the same to the bit as those of the uncompiled function.
    Callees are inlined, and arrays are not reference-counted: small rules would otherwise cost
    more to call than to compute. So a compiled function cannot make arrays: the caller gives them.
    """
    before = numba.config.CACHE_DIR
    numba.config.CACHE_DIR = str(_cache_folder(before))
    try:
        return cast(F, numba.njit(**_HOW)(function))
    finally:
        numba.config.CACHE_DIR = before


def _compiled_sources() -> list[str]:
    texts = [path.read_text() for path in sorted(_HERE.glob("*.py"))]
    rules = (_HERE.parent / "trading" / "rules.py").read_text()
    return [rules, *(text for text in texts if _MARK in text)]


@lru_cache(maxsize=1)
def _cache_folder(wanted: str) -> Path:
    """Return where these sources' code lives: under `wanted` (NUMBA_CACHE_DIR) if given.

    Else in the first writable place: beside this package, in the user's cache, in temp.
    """
    digest = hashlib.sha256("".join(_compiled_sources()).encode()).hexdigest()[:12]
    places = (Path(wanted),) if wanted else (_HERE / "__pycache__", *_of_the_user())
    root = next((p for p in places if _is_writable(p)), Path(tempfile.gettempdir()))
    folder = root / f"compiled-{digest}"
    if not folder.exists():
        _forget_old(root)
    return folder


def _of_the_user() -> list[Path]:
    """Return the user's cache; none where the user has no home, as in many containers."""
    with suppress(RuntimeError):
        return [Path.home() / ".cache" / "thunes"]
    return []


def _forget_old(root: Path) -> None:
    """Keep the newest folders only: sources change often while they are worked on."""
    with suppress(OSError):  # another process may be forgetting them too
        found = sorted(root.glob("compiled-*"), key=lambda f: f.stat().st_mtime, reverse=True)
        for old in found[_KEPT:]:
            shutil.rmtree(old, ignore_errors=True)


def _is_writable(folder: Path) -> bool:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return False
    return os.access(folder, os.W_OK)
