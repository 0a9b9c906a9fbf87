"""The board: newest quote and newest closed bar of each symbol, readable in microseconds.

One memory-mapped file with a slot a symbol. The writer copies a slot with its checksum; a reader
that meets a half-copied slot sees the checksum fail and looks again. One writer, any number of
readers, in any process; nothing is locked.

Add here: another newest fact of a symbol. Keep out: history (the lake has it).
"""

from __future__ import annotations

import mmap
import struct
import zlib
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from thunes_core.clock import from_millis
from thunes_core.errors import StoreFailed, UnknownName

SLOT_BYTES = 128
LOOKS = 100
_HEADER = struct.Struct("<I20s12s")
_BODY = struct.Struct("<qddqddddd")


@dataclass(frozen=True, slots=True)
class Latest:
    """The newest of one symbol; times in ms since 1970 UTC (0: nothing yet), prices quote units.

    `heard_ms` is the exchange's clock when anything was last heard of the symbol.
    """

    symbol: str
    interval: str
    heard_ms: int = 0
    bid: float = 0.0
    ask: float = 0.0
    bar_open_ms: int = 0
    open: float = 0.0
    high: float = 0.0
    low: float = 0.0
    close: float = 0.0
    volume: float = 0.0

    @property
    def mid(self) -> float:
        """Middle of bid and ask; the bar's close while there is no quote."""
        return (self.bid + self.ask) / 2 if self.bid and self.ask else self.close

    @property
    def bar_open_time(self) -> datetime | None:
        """Open time of the newest closed bar, UTC; None before the first."""
        return from_millis(self.bar_open_ms) if self.bar_open_ms else None


class Board:
    """The writer's side: slots for fixed symbols. An older file is replaced, its facts kept."""

    def __init__(self, path: Path, symbols: list[str], interval: str) -> None:
        """Raise `StoreFailed` where the file cannot be written."""
        before = {one.symbol: one for one in read_board(path)} if path.exists() else {}
        self._latest = {s: _kept(before.get(s), s, interval) for s in symbols}
        self._slot = {symbol: i * SLOT_BYTES for i, symbol in enumerate(symbols)}
        self._map = _mapped(path, b"".join(_packed(self._latest[s]) for s in symbols))

    def update(self, symbol: str, **facts: float) -> None:
        """Show newer `facts` (fields of `Latest`) of `symbol`."""
        latest = replace(self._latest[symbol], **facts)  # type: ignore[arg-type]
        self._latest[symbol] = latest
        at = self._slot[symbol]
        self._map[at : at + SLOT_BYTES] = _packed(latest)

    def close(self) -> None:
        """Let go of the file; it stays readable."""
        self._map.close()


def read_board(path: Path) -> list[Latest]:
    """Return the newest of every symbol; `StoreFailed` when there is no whole board."""
    for _ in range(LOOKS):
        found = _unpacked(_content(path))
        if found is not None:
            return found
    raise StoreFailed(f"board: {path} is damaged; remove it and start `thunes stream` again")


def latest(path: Path, symbol: str) -> Latest:
    """Return the newest of `symbol`; `UnknownName` when the stream does not follow it."""
    for one in read_board(path):
        if one.symbol == symbol:
            return one
    raise UnknownName(f"board: {symbol} is not followed; add it to THUNES_SYMBOLS and start again")


def _mapped(path: Path, content: bytes) -> mmap.mmap:
    """Put `content` in place whole; every block of it is taken then, so that showing needs none."""
    beside = path.with_name(f".{path.name}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        beside.write_bytes(content)
        beside.replace(path)
        with path.open("r+b") as file:
            return mmap.mmap(file.fileno(), 0)
    except OSError as error:
        with suppress(OSError):
            beside.unlink(missing_ok=True)
        raise StoreFailed(
            f"board: {path} cannot be written ({error.strerror}); free space or correct its "
            "permissions"
        ) from error


def _kept(before: Latest | None, symbol: str, interval: str) -> Latest:
    return before if before and before.interval == interval else Latest(symbol, interval)


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise StoreFailed(
            f"board: {path} cannot be read ({error.strerror}); is `thunes stream` running?"
        ) from error


def _packed(latest: Latest) -> bytes:
    body = _BODY.pack(
        latest.heard_ms,
        latest.bid,
        latest.ask,
        latest.bar_open_ms,
        latest.open,
        latest.high,
        latest.low,
        latest.close,
        latest.volume,
    )
    names = latest.symbol.encode(), latest.interval.encode()
    check = zlib.crc32(body + names[0] + names[1])
    return (_HEADER.pack(check, *names) + body).ljust(SLOT_BYTES, b"\0")


def _unpacked(content: bytes) -> list[Latest] | None:
    """Return the slots, or None when one of them is half-copied."""
    found = []
    for at in range(0, len(content), SLOT_BYTES):
        slot = content[at : at + SLOT_BYTES]
        if len(slot) < SLOT_BYTES:
            return None
        check, *padded = _HEADER.unpack_from(slot)
        names = [name.rstrip(b"\0") for name in padded]
        body = slot[_HEADER.size : _HEADER.size + _BODY.size]
        if zlib.crc32(body + names[0] + names[1]) != check:
            return None
        found.append(Latest(names[0].decode(), names[1].decode(), *_BODY.unpack(body)))
    return found
