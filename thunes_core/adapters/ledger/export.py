"""The audit trail as JSONL files, one event a line, and the proof of such files.

A file holds at most `LINES_PER_FILE` events and is named by its first: `audit-000000001.jsonl`.
Exporting again continues after the last whole line, so that no event is lost or repeated whenever
an export was cut short. The ledger keeps every event all the same.

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
from thunes_core.errors import BadInput

if TYPE_CHECKING:
    from thunes_core.adapters.ledger import Ledger

LINES_PER_FILE = 10_000
PATTERN = "audit-*.jsonl"


def last_exported(folder: Path) -> int:
    """Return the number of the last whole event in `folder`, cutting off a broken last line."""
    files = sorted(folder.glob(PATTERN))
    if not files:
        return 0
    newest = files[-1]
    raw = newest.read_bytes()
    whole = raw[: raw.rfind(b"\n") + 1]
    if whole != raw:
        os.truncate(newest, len(whole))
    if not whole:
        return int(newest.stem.removeprefix("audit-")) - 1
    return int(json.loads(whole.splitlines()[-1])["seq"])


def export(events: Iterable[Mapping[str, Any]], folder: Path) -> int:
    """Append the `events` that `folder` does not hold yet, oldest first; return how many."""
    folder.mkdir(parents=True, exist_ok=True)
    done = last_exported(folder)
    fresh = (event for event in events if event["seq"] > done)
    return sum(
        _append(folder / f"audit-{first:09d}.jsonl", list(group))
        for first, group in groupby(fresh, key=lambda event: _first_of_file(event["seq"]))
    )


def export_new(ledger: Ledger, folder: Path) -> int:
    """Append what `folder` does not hold of the ledger's trail; return how many events."""
    folder.mkdir(parents=True, exist_ok=True)
    return export(ledger.audit(after=last_exported(folder)), folder)


def holds_head(events: Iterable[Mapping[str, Any]], head: str) -> bool:
    """True when a head that was written down once (a daily report names it) is in the trail.

    A trail that was rewritten from the beginning is whole in itself, and does not hold it.
    """
    return any(event["hash"] == head for event in events)


def verify_files(folder: Path) -> AuditVerdict:
    """Check the chain in exported files; `BadInput` when there are none or a line is no event."""
    if not sorted(folder.glob(PATTERN)):
        raise BadInput(f"audit: expected files {PATTERN} in {folder}; there are none; export first")
    head, seq = GENESIS, 0
    for event in read_files(folder):
        seq += 1
        expected = row_hash(
            head, seq, from_millis(event["time_ms"]), event["event"], canonical_json(event["body"])
        )
        if (event["seq"], event["previous"], event["hash"]) != (seq, head, expected):
            return AuditVerdict(seq, head, broken_at=event["seq"])
        head = event["hash"]
    return AuditVerdict(seq, head)


def _first_of_file(seq: int) -> int:
    return (seq - 1) // LINES_PER_FILE * LINES_PER_FILE + 1


def _append(path: Path, events: list[Mapping[str, Any]]) -> int:
    with path.open("a", encoding="utf-8") as file:
        file.writelines(_line(event) for event in events)
        file.flush()
        os.fsync(file.fileno())
    return len(events)


def _line(event: Mapping[str, Any]) -> str:
    told = {name: event[name] for name in ("seq", "event", "body", "previous", "hash")}
    return canonical_json({**told, "time_ms": to_millis(event["time"])}) + "\n"


def read_files(folder: Path) -> Iterator[dict[str, Any]]:
    """Read exported events, oldest first; raises `BadInput` for a line that is none."""
    for path in sorted(folder.glob(PATTERN)):
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
            try:
                yield json.loads(line)
            except ValueError as error:
                raise BadInput(
                    f"audit: expected one JSON event a line; line {number} of {path} is none; "
                    "export again"
                ) from error
