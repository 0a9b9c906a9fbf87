"""Holds on entries: what a check or a person says against the bars of a symbol, until lifted.

A tick reads them in well under a millisecond: one small file a symbol. Exits never ask.

Add here: a way to place or lift a hold. Keep out: what raises one (checks), what it does (gate).
"""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import orjson

from thunes_core.adapters.bars.files import locked
from thunes_core.adapters.bars.paths import checked_symbol
from thunes_core.domain.bars import Arrays, Interval
from thunes_core.domain.doubts import why_wait
from thunes_core.errors import StoreFailed

_CLEARED = "cleared_until"
Entries = dict[str, str]


class Holds:
    """Holds by symbol below `root`; each has a source (a check's name) and a sentence."""

    def __init__(self, root: Path | str) -> None:
        self._root = Path(root) / "holds"

    def __call__(self, symbol: str, interval: Interval) -> Callable[[Arrays], str | None]:
        """Return what tells why entries on `symbol` wait, from the holds now and bars; or None.

        Never raises, since a tick must go on to its exits: unreadable holds are a reason to wait.
        """
        try:
            entries = self._load(symbol)
        except StoreFailed as error:
            said = str(error)
            return lambda _: said
        cleared = entries.pop(_CLEARED, None)
        if entries:
            source, sentence = next(iter(entries.items()))
            return lambda _: f"{source}: {sentence}"
        until = datetime.fromisoformat(cleared) if cleared else None
        return lambda bars: why_wait(bars, interval, until)

    def place(self, symbol: str, source: str, sentence: str) -> None:
        """Hold entries on `symbol` because of `source`; a second time replaces the sentence."""
        self._change(symbol, lambda entries: entries | {source: sentence})

    def lift(self, symbol: str, source: str) -> None:
        """Take back what `source` placed; nothing happens when it placed nothing."""
        self._change(symbol, lambda held: {k: v for k, v in held.items() if k != source})

    def clear_spikes(self, symbol: str, until: datetime) -> None:
        """Let entries pass spikes up to and including the bar that opened at `until`."""
        self._change(symbol, lambda entries: entries | {_CLEARED: until.isoformat()})

    def on(self, symbol: str) -> Entries:
        """Return the holds on `symbol`: source → sentence."""
        return {k: v for k, v in self._load(symbol).items() if k != _CLEARED}

    def _path(self, symbol: str) -> Path:
        return self._root / f"{checked_symbol(symbol)}.json"

    def _load(self, symbol: str) -> Entries:
        path = self._path(symbol)
        try:
            found: Entries = orjson.loads(path.read_bytes())
        except FileNotFoundError:
            return {}
        except (OSError, orjson.JSONDecodeError) as error:
            raise StoreFailed(
                f"holds: {path} cannot be read ({error}); remove it and run the checks again"
            ) from error
        return found

    def _change(self, symbol: str, change: Callable[[Entries], Entries]) -> None:
        path = self._path(symbol)
        with locked(self._root / f".{symbol}.lock"):
            before = self._load(symbol)
            after = change(before)
            if after != before:
                beside = path.with_name(f".{path.name}.{os.getpid()}.tmp")
                beside.write_bytes(orjson.dumps(after))
                beside.replace(path)
