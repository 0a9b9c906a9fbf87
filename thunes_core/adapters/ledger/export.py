"""The audit trail as JSONL files, one event a line, and the proof of such files.

A file holds at most `LINES_PER_FILE` events and is named by its first: `audit-000000001.jsonl`.
Exporting again continues after the last whole line, so that no event is lost or repeated whenever
an export was cut short. Files of another trail are not continued: its numbers would hide events of
this one. The ledger keeps every event all the same.

Add here: another form of the trail. Keep out: reading the ledger.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Mapping
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

from thunes_core.adapters.ledger.chain import GENESIS, row_hash
from thunes_core.adapters.ledger.types import canonical_json
from thunes_core.clock import from_millis, to_millis
from thunes_core.domain.records import AuditVerdict
from thunes_core.errors import BadInput, StoreFailed

if TYPE_CHECKING:
    from thunes_core.adapters.ledger import Ledger

LINES_PER_FILE = 10_000
PATTERN = "audit-*.jsonl"
_KINDS = {"seq": int, "time_ms": int, "event": str, "previous": str, "hash": str, "body": object}
_MOST_MS = 10**14
"""Beyond any year that a calendar knows: such a time is none."""


def last_exported(folder: Path) -> int:
    """Return the number of the last whole event in `folder`, cutting off a broken last line."""
    last = _last_event(folder)
    return int(last["seq"]) if last is not None else 0


def _last_event(folder: Path) -> dict[str, Any] | None:
    """Return the last whole event in `folder`, cutting off a broken last line; None: no event."""
    for path in reversed(_files(folder)):
        raw = path.read_bytes()
        whole = raw[: raw.rfind(b"\n") + 1]
        if whole != raw:
            os.truncate(path, len(whole))
        lines = whole.splitlines()
        if lines:
            return _event(lines[-1], f"line {len(lines)} of {path}")
    return None


def export(events: Iterable[Mapping[str, Any]], folder: Path) -> int:
    """Append the `events` that `folder` does not hold yet, oldest first; return how many."""
    _make(folder)
    done = last_exported(folder)
    fresh = (event for event in events if event["seq"] > done)
    return sum(
        _append(folder / f"audit-{first:09d}.jsonl", list(group))
        for first, group in groupby(fresh, key=lambda event: _first_of_file(event["seq"]))
    )


def export_new(ledger: Ledger, folder: Path) -> int:
    """Append what `folder` does not hold of the ledger's trail; return how many events.

    `BadInput` where the files in it are of another trail, or cannot be read; `StoreFailed`.
    """
    _make(folder)
    last = _last_event(folder)
    if last is None:
        return export(ledger.audit(), folder)
    events = ledger.audit(after=last["seq"] - 1)
    if not events or events[0]["hash"] != last["hash"]:
        raise BadInput(
            f"audit: expected {folder} to hold the beginning of this ledger's trail; its event "
            f"{last['seq']} is of another; find out why, move those files away, then export again"
        )
    return export(events[1:], folder)


def holds_head(events: Iterable[Mapping[str, Any]], head: str) -> bool:
    """True when a head that was written down once (a daily report names it) is in the trail.

    A trail that was rewritten from the beginning is whole in itself, and does not hold it.
    """
    return any(event["hash"] == head for event in events)


def is_exported(folder: Path) -> bool:
    """True when `folder` holds files of a trail."""
    return bool(_files(folder))


def verify_files(folder: Path) -> AuditVerdict:
    """Check the chain in exported files, to the letter; `BadInput` when there are none."""
    if not is_exported(folder):
        raise BadInput(f"audit: expected files {PATTERN} in {folder}; there are none; export first")
    head, seq = GENESIS, 0
    for line in (line for path in _files(folder) for line in _lines(path)):
        seq += 1
        event = _read(line)
        if event is None or not _follows(event, head, seq, line):
            return AuditVerdict(seq, head, broken_at=seq if event is None else event["seq"])
        head = event["hash"]
    return AuditVerdict(seq, head)


def verify_export(ledger: Ledger, folder: Path) -> AuditVerdict:
    """Check exported files as `verify_files`, and that the trail of the ledger begins with them.

    They may end earlier; what they lack is written by the next export.
    """
    verdict = verify_files(folder)
    if not verdict.whole or not verdict.rows:
        return verdict
    same = ledger.audit(after=verdict.rows - 1)[:1]
    if same and same[0]["hash"] == verdict.head:
        return verdict
    return AuditVerdict(verdict.rows, verdict.head, broken_at=verdict.rows)


def _follows(event: Mapping[str, Any], head: str, seq: int, line: bytes) -> bool:
    """True when `line` is, to the letter, the event that was written after `head`."""
    expected = row_hash(
        head, seq, from_millis(event["time_ms"]), event["event"], canonical_json(event["body"])
    )
    told = (event["seq"], event["previous"], event["hash"]) == (seq, head, expected)
    return told and event.keys() == _KINDS.keys() and line == f"{canonical_json(event)}\n".encode()


def _first_of_file(seq: int) -> int:
    return (seq - 1) // LINES_PER_FILE * LINES_PER_FILE + 1


def _append(path: Path, events: list[Mapping[str, Any]]) -> int:
    try:
        with path.open("a", encoding="utf-8") as file:
            file.writelines(_line(event) for event in events)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise StoreFailed(
            f"audit: expected {path} to be writable; {error.strerror}; make room or give it the "
            "rights, then export again: it goes on where it ended"
        ) from error
    return len(events)


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BadInput(
            f"audit: expected a folder that can be made; {folder}: {error.strerror}; give another"
        ) from error


def _files(folder: Path) -> list[Path]:
    """Return the files of a trail in `folder`, oldest first."""
    found = folder.glob(PATTERN)
    return sorted(path for path in found if path.stem.removeprefix("audit-").isdecimal())


def _line(event: Mapping[str, Any]) -> str:
    told = {name: event[name] for name in ("seq", "event", "body", "previous", "hash")}
    return canonical_json({**told, "time_ms": to_millis(event["time"])}) + "\n"


def read_files(folder: Path) -> Iterator[dict[str, Any]]:
    """Read exported events, oldest first; raises `BadInput` for a line that is none."""
    for path in _files(folder):
        for number, line in enumerate(_lines(path), start=1):
            yield _event(line, f"line {number} of {path}")


def _lines(path: Path) -> list[bytes]:
    return path.read_bytes().splitlines(keepends=True)


def _event(line: bytes, where: str) -> dict[str, Any]:
    """Read one exported event; `BadInput` names `where` a line stands that is none."""
    found = _read(line)
    if found is None:
        raise BadInput(
            f"audit: expected one JSON event a line; {where} is none; "
            "move the files away and export again"
        )
    return found


def _read(line: bytes) -> dict[str, Any] | None:
    """Read one exported event, or return None where it is none."""
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) and _is_event(found) else None


def _is_event(found: Mapping[str, Any]) -> bool:
    shaped = all(name in found and isinstance(found[name], kind) for name, kind in _KINDS.items())
    return shaped and 0 <= found["time_ms"] < _MOST_MS
