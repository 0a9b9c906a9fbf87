"""Why something stood without protection, and whether anybody could have placed it meanwhile.

The exchange does not answer: in maintenance, to a ban, while the symbol is halted, and from a
request that changes orders of the symbol and has no answer until its fate can be known (the
broker's settle time; a second order before that may be one too many). The rest is ours.

Add here: a reason why nobody could. Keep out: measuring (`thunes_core.testnet.bare`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from thunes_core.clock import from_millis
from thunes_core.testnet.faults import Fault, FaultKind

if TYPE_CHECKING:
    from thunes_core.testnet.bare import Bare

A_MOMENT_MS = 1_000
"""From the end of the settle time to the look after it."""
LOOK_BACK_MS = 1_000
ANSWERED = (FaultKind.REFUSE, FaultKind.THROTTLE)
SHUT = (FaultKind.MAINTENANCE, FaultKind.BAN, FaultKind.STATUS)


@dataclass(frozen=True, slots=True)
class Silence:
    """A time in which the exchange did not answer about `symbol` (empty: about any), and why."""

    symbol: str
    since_ms: int
    until_ms: int
    why: str

    def within(self, bare: Bare) -> tuple[int, int] | None:
        """Return the part of it that lies in `bare`, or None."""
        start, end = max(self.since_ms, bare.since_ms), min(self.until_ms, bare.until_ms)
        concerns = self.symbol in ("", bare.symbol)
        return (start, end) if concerns and start < end else None


@dataclass(frozen=True, slots=True)
class Unprotected:
    """One interval for people: when (ISO 8601, UTC), how long, whose doing and why."""

    symbol: str
    since: str
    seconds: float
    answered_seconds: float
    why: str

    def as_dict(self) -> dict[str, Any]:
        """Return it as plain values."""
        return asdict(self)


def silences(
    script: Sequence[Fault],
    happened: Sequence[Mapping[str, Any]],
    began_ms: int,
    settle_time: timedelta,
) -> list[Silence]:
    """Return when the exchange did not answer: by the conditions of the `script`, by what happened.

    `began_ms` is when the script was given.
    """
    shut = [_shut(fault, began_ms) for fault in script if fault.kind in SHUT]
    settle_ms = settle_time // timedelta(milliseconds=1) + A_MOMENT_MS
    unanswered = [
        Silence(one["symbol"], one["time_ms"], one["time_ms"] + settle_ms, _named(one))
        for one in happened
        if _changes_orders(one) and one["kind"] not in ANSWERED
    ]
    return [*shut, *unanswered]


def explained(
    bare: Bare,
    quiet: Sequence[Silence],
    happened: Sequence[Mapping[str, Any]],
    kills: Sequence[int],
) -> Unprotected:
    """Return one interval with what lay in it; `kills` are moments (ms) at which a tick died."""
    since, until = bare.since_ms - LOOK_BACK_MS, bare.until_ms
    mine = [(one, part) for one in quiet if (part := one.within(bare)) is not None]
    answered_ms = bare.until_ms - bare.since_ms - _length([part for _, part in mine])
    struck = [_named(h) for h in happened if since <= h["time_ms"] <= until and _touches(h, bare)]
    died = [f"killed at {_time(at)}" for at in kills if since <= at <= until]
    causes = dict.fromkeys([*(one.why for one, _ in mine), *struck, *died])
    return Unprotected(
        bare.symbol,
        _time(bare.since_ms),
        bare.seconds,
        answered_ms / 1000,
        "; ".join([bare.began_with, *causes]),
    )


def _shut(fault: Fault, began_ms: int) -> Silence:
    begins = began_ms + round(fault.at_seconds * 1000)
    symbol = fault.symbol if fault.kind is FaultKind.STATUS else ""
    why = fault.symbol_status.lower() if symbol else str(fault.kind)
    return Silence(symbol, begins, begins + round(fault.for_seconds * 1000), why)


def _changes_orders(happened: Mapping[str, Any]) -> bool:
    method = str(happened.get("request", "GET")).split(" ", 1)[0]
    return method != "GET" and "symbol" in happened


def _touches(happened: Mapping[str, Any], bare: Bare) -> bool:
    return happened.get("symbol", bare.symbol) in ("", bare.symbol) and "stream" not in happened


def _named(happened: Mapping[str, Any]) -> str:
    return f"{happened['kind']} {happened.get('request', '')}".strip()


def _time(at_ms: int) -> str:
    return from_millis(at_ms).isoformat(timespec="seconds")


def _length(parts: Sequence[tuple[int, int]]) -> int:
    """Return how long the union of `parts` is."""
    total, at = 0, 0
    for start, end in sorted(parts):
        total += max(end - max(start, at), 0)
        at = max(at, end)
    return total
