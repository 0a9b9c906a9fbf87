"""Who may trade and what: the fenced lease, the trading state, remembered champions.

Add here: a fact that steers the tick. Keep out: orders and money.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from sqlalchemy import Connection, bindparam, delete, insert, select, update

from thunes_core.adapters.ledger import chain
from thunes_core.adapters.ledger.holders import is_gone
from thunes_core.adapters.ledger.schema import (
    arming,
    breaker,
    champions,
    lease,
    trading_state,
    venues,
)
from thunes_core.adapters.ledger.versions import keep_version
from thunes_core.domain.parameters import Champion, parse_parameter_set
from thunes_core.domain.portfolio import TradingState
from thunes_core.domain.records import Arming, Lease, StateRecord
from thunes_core.errors import LeaseHeld
from thunes_core.risk.breaker import Breaker
from thunes_core.risk.losses import AUTHOR, DRAWDOWN

ACCOUNT = "main"
_NEVER = datetime(1970, 1, 1, tzinfo=UTC)

# Statements are made once: making one costs more than running it.
_LEASED = lease.c.account == ACCOUNT
_READ_LEASE, _READ_TOKEN = select(lease).where(_LEASED), select(lease.c.token).where(_LEASED)
_DROP_LEASE = update(lease).where(_LEASED, lease.c.token == bindparam("of_token"))
_READ_STATE, _READ_ARMING, _READ_BREAKER = select(trading_state), select(arming), select(breaker)
_OF_STUDY = champions.c.study == bindparam("of_study")
_READ_CHAMPION = select(champions).where(_OF_STUDY)
_READ_SINCE = select(champions.c.remembered_at).where(_OF_STUDY)


def take_lease(connection: Connection, holder: str, now: datetime, ttl: timedelta) -> Lease:
    """Take the lease with the next token, or raise `LeaseHeld` while another's is running.

    A process of this machine that has ended holds nothing: a crash need not be waited out.
    """
    row = connection.execute(_READ_LEASE).one_or_none()
    if row is not None and row.expires > now and row.holder != holder and not is_gone(row.holder):
        raise LeaseHeld(
            f"lease: expected the account to be free; {row.holder} trades it until "
            f"{row.expires.isoformat()}; wait for that tick to end"
        )
    taken = Lease(holder, (row.token if row else 0) + 1, now + ttl)
    values = {"holder": holder, "token": taken.token, "expires": taken.expires}
    connection.execute(delete(lease).where(_LEASED))
    connection.execute(insert(lease), {"account": ACCOUNT, **values})
    return taken


def require_lease(connection: Connection, held: Lease) -> None:
    """Raise `LeaseHeld` unless `held` is still the newest lease: the fence of every write."""
    token = connection.execute(_READ_TOKEN).scalar()
    if token != held.token:
        raise LeaseHeld(
            f"lease: expected token {held.token} to be the newest; it is {token}; "
            "another tick took over, this one stops"
        )


def drop_lease(connection: Connection, held: Lease) -> None:
    """Let the lease expire at once if it is still ours; the token stays, so that it only grows."""
    connection.execute(_DROP_LEASE, {"of_token": held.token, "expires": _NEVER})


def read_state(connection: Connection) -> StateRecord:
    """Return the trading state in force; ACTIVE while nobody ever set one."""
    row = connection.execute(_READ_STATE).one_or_none()
    if row is None:
        return StateRecord(TradingState.ACTIVE, "never changed", "thunes", _NEVER)
    return StateRecord(TradingState(row.state), row.reason, row.author, row.since)


def write_state(connection: Connection, record: StateRecord) -> None:
    """Store the trading state with reason and author, and tell the audit."""
    before = read_state(connection)
    values = {
        "state": str(record.state),
        "reason": record.reason,
        "author": record.author,
        "since": record.since,
    }
    connection.execute(delete(trading_state))
    connection.execute(insert(trading_state).values(account=ACCOUNT, **values))
    chain.append(connection, record.since, "state", {**values, "before": str(before.state)})


def forgives_drawdown(before: StateRecord, after: StateRecord) -> bool:
    """True when a person lifts what the drawdown limit imposed: its peak begins anew."""
    was_ours = before.author == AUTHOR and before.reason.startswith(DRAWDOWN)
    return was_ours and after.state is TradingState.ACTIVE and after.author != AUTHOR


def read_venue(connection: Connection) -> str | None:
    """Return the venue that the ledger was begun with; None before the first tick."""
    venue: str | None = connection.execute(select(venues.c.venue)).scalar()
    return venue


def write_venue(connection: Connection, venue: str, now: datetime) -> None:
    """Name the venue of a ledger that has none, and tell the audit."""
    connection.execute(insert(venues).values(account=ACCOUNT, venue=venue))
    chain.append(connection, now, "venue", {"venue": venue})


def read_arming(connection: Connection) -> Arming | None:
    """Return the arming that was last given, run out or not; None when there was none."""
    row = connection.execute(_READ_ARMING).one_or_none()
    return None if row is None else Arming(row.identity, row.until, row.max_notional, row.author)


def write_arming(connection: Connection, given: Arming | None, now: datetime) -> None:
    """Replace the arming (None disarms), and tell the audit."""
    connection.execute(delete(arming))
    if given is None:
        chain.append(connection, now, "disarmed", {})
        return
    values = {
        "identity": given.identity,
        "until": given.until,
        "max_notional": given.max_notional,
        "author": given.author,
    }
    connection.execute(insert(arming).values(account=ACCOUNT, **values))
    chain.append(connection, now, "armed", values)


def read_breaker(connection: Connection) -> Breaker:
    """Return the breaker; closed while it never failed."""
    row = connection.execute(_READ_BREAKER).one_or_none()
    return Breaker() if row is None else Breaker(row.failures, row.opened_at)


def write_breaker(connection: Connection, state: Breaker, now: datetime) -> None:
    """Replace the breaker; opening and closing are told to the audit."""
    before = read_breaker(connection)
    connection.execute(delete(breaker))
    connection.execute(
        insert(breaker).values(account=ACCOUNT, failures=state.failures, opened_at=state.opened_at)
    )
    if (before.opened_at is None) != (state.opened_at is None):
        body = {"open": state.opened_at is not None, "failures": state.failures}
        chain.append(connection, now, "breaker", body)


def write_champion(connection: Connection, champion: Champion, now: datetime) -> None:
    """Keep a copy of the champion; a changed one is told to the audit."""
    if read_champion(connection, champion.study) == champion:
        return
    values = {
        "parameters": champion.parameters.canonical(),
        "version": champion.version,
        "run_id": champion.run_id,
    }
    connection.execute(delete(champions).where(champions.c.study == champion.study))
    connection.execute(insert(champions).values(study=champion.study, remembered_at=now, **values))
    keep_version(connection, champion, now)
    chain.append(connection, now, "champion", {"study": champion.study, **values})


def read_champion(connection: Connection, study: str) -> Champion | None:
    """Return the remembered champion of `study`, or None."""
    row = connection.execute(_READ_CHAMPION, {"of_study": study}).one_or_none()
    if row is None:
        return None
    return Champion(study, parse_parameter_set(row.parameters), row.version, row.run_id)


def read_champion_since(connection: Connection, study: str) -> datetime | None:
    """Return when the remembered champion of `study` was first seen, or None."""
    since: datetime | None = connection.execute(_READ_SINCE, {"of_study": study}).scalar()
    return since
