"""Rows of parameter versions: those that ever traded, and candidates that decide on paper.

Add here: a query about versions. Keep out: who is champion now (see `control`).
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Connection, Row, bindparam, delete, insert, select

from thunes_core.adapters.ledger import chain
from thunes_core.adapters.ledger.schema import shadow_decisions, shadows, versions
from thunes_core.domain.parameters import Champion, parse_parameter_set
from thunes_core.domain.records import Shadow, ShadowDecision

_READ_VERSION = select(versions).where(
    versions.c.study == bindparam("of_study"), versions.c.fingerprint == bindparam("of_fingerprint")
)
_READ_SHADOW = select(shadows).where(shadows.c.study == bindparam("of_study"))


def keep_version(connection: Connection, champion: Champion, at: datetime) -> None:
    """Keep a parameter set for as long as a position may stand on it: for good."""
    values = _named(champion) | {"fingerprint": champion.parameters.fingerprint, "first_seen": at}
    same = [versions.c[name] == values[name] for name in ("study", "fingerprint")]
    connection.execute(delete(versions).where(*same))
    connection.execute(insert(versions).values(**values))


def read_version(connection: Connection, study: str, fingerprint: str) -> Champion | None:
    """Return the newest version of `study` with that fingerprint, or None."""
    asked = {"of_study": study, "of_fingerprint": fingerprint}
    row = connection.execute(_READ_VERSION, asked).one_or_none()
    return None if row is None else _champion(row)


def write_shadow(connection: Connection, shadow: Shadow) -> None:
    """Let a candidate decide on paper, in place of the one before; tell the audit."""
    values = _named(shadow.candidate) | {"since": shadow.since}
    connection.execute(delete(shadows).where(shadows.c.study == shadow.candidate.study))
    connection.execute(insert(shadows).values(**values))
    chain.append(connection, shadow.since, "shadow", values)


def drop_shadow(connection: Connection, study: str, at: datetime, why: str) -> None:
    """End the shadow of a study, if there is one; its decisions stay; tell the audit."""
    ended = read_shadow(connection, study)
    if ended is None:
        return
    connection.execute(delete(shadows).where(shadows.c.study == study))
    body = {"study": study, "version": ended.candidate.version, "why": why}
    chain.append(connection, at, "shadow_ended", body)


def read_shadow(connection: Connection, study: str) -> Shadow | None:
    """Return the candidate that decides on paper for `study`, or None."""
    row = connection.execute(_READ_SHADOW, {"of_study": study}).one_or_none()
    return None if row is None else Shadow(_champion(row), row.since)


def insert_shadow_decisions(connection: Connection, made: Sequence[ShadowDecision]) -> None:
    """Store what a candidate would have done; a bar that is known stays as it was."""
    for one in made:
        key = {"study": one.study, "version": one.version, "bar": one.bar}
        same = [shadow_decisions.c[name] == value for name, value in key.items()]
        if connection.execute(select(shadow_decisions.c.bar).where(*same)).first() is None:
            rest = {"target": one.target, "price": one.price, "recorded_at": one.recorded_at}
            connection.execute(insert(shadow_decisions).values(**key, **rest))


def _named(champion: Champion) -> dict[str, object]:
    return {
        "study": champion.study,
        "parameters": champion.parameters.canonical(),
        "version": champion.version,
        "run_id": champion.run_id,
    }


def _champion(row: Row[tuple[object, ...]]) -> Champion:
    parameters = parse_parameter_set(row.parameters)
    return Champion(row.study, parameters, row.version, row.run_id)
