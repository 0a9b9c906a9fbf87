"""The audit trail: append-only rows, each with the hash of the one before, and the proof of it.

Add here: what keeps the chain honest. Keep out: which events are told (the ledger's writers).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, insert, select

from thunes_core.adapters.ledger.schema import audit
from thunes_core.adapters.ledger.types import canonical_json
from thunes_core.clock import to_millis
from thunes_core.domain.records import AuditVerdict

GENESIS = "0" * 64
_NEWEST = select(audit.c.seq, audit.c.hash).order_by(audit.c.seq.desc()).limit(1)


def row_hash(previous: str, seq: int, time: datetime, event: str, body: str) -> str:
    """Return the SHA-256 of a row's content and of the hash before it."""
    text = "\n".join((previous, str(seq), str(to_millis(time)), event, body))
    return hashlib.sha256(text.encode()).hexdigest()


def append(connection: Connection, time: datetime, event: str, body: Mapping[str, Any]) -> None:
    """Add one event to the end of the chain; the caller holds the write lock."""
    seq, previous = connection.execute(_NEWEST).one_or_none() or (0, GENESIS)
    text = canonical_json(body)
    values = {
        "seq": seq + 1,
        "time": time,
        "event": event,
        "body": text,
        "previous": previous,
        "hash": row_hash(previous, seq + 1, time, event, text),
    }
    connection.execute(insert(audit), values)


def rows(
    connection: Connection, since: datetime | None = None, after: int = 0
) -> list[dict[str, Any]]:
    """Return the events from `since` on and beyond number `after`, oldest first."""
    query = select(audit).where(audit.c.seq > after).order_by(audit.c.seq)
    if since is not None:
        query = query.where(audit.c.time >= since)
    return [
        {**row, "body": json.loads(row["body"])} for row in connection.execute(query).mappings()
    ]


def verify(connection: Connection) -> AuditVerdict:
    """Walk the whole chain; `broken_at` is the first row that does not follow from its past."""
    head, seq = GENESIS, 0
    for row in connection.execute(select(audit).order_by(audit.c.seq)):
        seq += 1
        expected = row_hash(head, seq, row.time, row.event, row.body)
        if row.seq != seq or row.previous != head or row.hash != expected:
            return AuditVerdict(seq, head, broken_at=row.seq)
        head = row.hash
    return AuditVerdict(seq, head)
