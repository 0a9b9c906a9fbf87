"""Sign what the registry holds: MLflow lets anyone on this machine write, the key does not.

The key is a file of 32 random bytes, readable by its owner alone, made on first use. Hosts that
share a registry share the file.

Add here: how something is signed. Keep out: what is signed, and what an unsigned thing means.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import secrets
from collections.abc import Mapping
from pathlib import Path

from thunes_core.errors import StoreFailed

KEY_BYTES = 32


def load_key(path: Path) -> bytes:
    """Return the key in `path`, making it where there is none; `StoreFailed` when unreadable."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _make_once(path)
        key = path.read_bytes()
    except OSError as error:
        raise StoreFailed(
            f"registry key: {path} cannot be read or made ({error}); correct its permissions"
        ) from error
    if len(key) != KEY_BYTES:
        raise StoreFailed(
            f"registry key: expected {KEY_BYTES} bytes in {path}; it has {len(key)}; restore the "
            "file, or remove it and promote the champions again"
        )
    return key


def _make_once(path: Path) -> None:
    """Write a new key beside and link it into place, so that of several makers one wins."""
    if path.exists():
        return
    beside = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    handle = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "wb") as file:
        file.write(secrets.token_bytes(KEY_BYTES))
    try:
        os.link(beside, path)
    except FileExistsError:
        pass  # another maker was first: its key counts
    finally:
        beside.unlink()


def signature(key: bytes, facts: Mapping[str, str]) -> str:
    """Return the HMAC-SHA256 of facts, independent of their order."""
    text = json.dumps(dict(facts), sort_keys=True, separators=(",", ":"))
    return hmac.new(key, text.encode(), hashlib.sha256).hexdigest()


def is_signed(key: bytes, facts: Mapping[str, str], given: str) -> bool:
    """True when `given` is the signature of the facts; compares in constant time."""
    return hmac.compare_digest(signature(key, facts), given)
