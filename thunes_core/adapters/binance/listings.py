"""What the exchange lists, remembered for a while and shared by all processes.

A small file holds each symbol's entry of `exchangeInfo` with the moment it was fetched. A filter
error means that it is out of date: `forget` makes the next reader ask again.

Add here: another slow-changing public fact. Keep out: what the entries mean (see `exchange_info`).
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import orjson

from thunes_core.clock import Clock, SystemClock, to_millis

LIFETIME = timedelta(hours=1)
FILTER_ERRORS = frozenset({-1013, -1111})
"""Codes that say that an order breaks the filters, or that the market is closed."""


class Listings:
    """Entries of `exchangeInfo` in the file `path`, each believed for `lifetime`."""

    def __init__(
        self, path: Path, *, lifetime: timedelta = LIFETIME, clock: Clock | None = None
    ) -> None:
        self.path = path
        self._lifetime_ms = lifetime // timedelta(milliseconds=1)
        self._clock = clock or SystemClock()

    def get(self, symbols: Sequence[str]) -> list[dict[str, Any]] | None:
        """Return the entries of `symbols`, or None unless all are known and young enough."""
        found = self.known(symbols)
        return list(found.values()) if len(found) == len(set(symbols)) else None

    def known(self, symbols: Sequence[str]) -> dict[str, dict[str, Any]]:
        """Return, by symbol, the entries of those that are known and young enough."""
        entries, oldest = self._load(), to_millis(self._clock.now()) - self._lifetime_ms
        return {
            symbol: entries[symbol]["raw"]
            for symbol in symbols
            if symbol in entries and entries[symbol]["at"] > oldest
        }

    def put(self, document: Mapping[str, Any]) -> None:
        """Remember every entry of an `exchangeInfo` document as of now.

        The exchange's own filters, which bind on every symbol, go with each.
        """
        at, everywhere = to_millis(self._clock.now()), document.get("exchangeFilters", ())
        fresh = {
            raw["symbol"]: {"at": at, "raw": _bound(raw, everywhere)} for raw in document["symbols"]
        }
        beside = self.path.with_name(f".{self.path.name}.{os.getpid()}.tmp")
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            beside.write_bytes(orjson.dumps({**self._load(), **fresh}))
            beside.replace(self.path)
        except OSError:  # a full disk: what cannot be remembered is asked for again
            with suppress(OSError):
                beside.unlink(missing_ok=True)

    def beside(self, name: str) -> Listings:
        """Return what remembers something else in the same folder, for as long."""
        lifetime = timedelta(milliseconds=self._lifetime_ms)
        return Listings(self.path.with_name(name), lifetime=lifetime, clock=self._clock)

    def forget(self) -> None:
        """Make the next reader ask the exchange."""
        with suppress(OSError):  # a read-only disk: it is believed until its lifetime ends
            self.path.unlink(missing_ok=True)

    def _load(self) -> dict[str, dict[str, Any]]:
        try:
            found = orjson.loads(self.path.read_bytes())
        except (OSError, orjson.JSONDecodeError):
            return {}
        return found if isinstance(found, dict) else {}


def _bound(raw: dict[str, Any], everywhere: Sequence[Any]) -> dict[str, Any]:
    """Return an entry with the filters of the whole exchange, where there are any."""
    return raw | {"filters": [*raw["filters"], *everywhere]} if everywhere else raw
