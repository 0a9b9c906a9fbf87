"""Conditions that hold for a time: lag, skew, maintenance, bans, halts, silent streams.

Add here: carrying out another condition. Keep out: faults of single requests (`rest`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from thunes_core.errors import BadInput
from thunes_core.testnet.faults import MESSAGE_KINDS, REQUEST_KINDS, Fault, FaultKind
from thunes_core.testnet.listing import TRADING

if TYPE_CHECKING:
    from thunes_core.testnet.matching import Exchange

SYMBOL_STATUSES = ("TRADING", "HALT", "BREAK", "CANCEL_ONLY", "END_OF_DAY")
Act = Callable[[], None]


def give(exchange: Exchange, fault: Fault) -> None:
    """Let a fault wait for its requests, or begin and end by the exchange's clock."""
    if fault.kind in REQUEST_KINDS | MESSAGE_KINDS:
        _let_wait(exchange, fault)
        return
    begin, end = _acts(exchange, fault)
    begins_ms = exchange.present_ms + round(fault.at_seconds * 1000)

    def begin_and_note() -> None:
        exchange.faults.note(fault, exchange.present_ms, symbol=fault.symbol)
        begin()

    exchange.schedule(begins_ms, begin_and_note)
    if fault.for_seconds > 0:
        exchange.schedule(begins_ms + round(fault.for_seconds * 1000), end)


def _let_wait(exchange: Exchange, fault: Fault) -> None:
    """Let a fault wait for what it strikes: now, or from `at_seconds` on."""
    if fault.at_seconds > 0:
        at_ms = exchange.present_ms + round(fault.at_seconds * 1000)
        exchange.schedule(at_ms, lambda: exchange.faults.add(fault))
    else:
        exchange.faults.add(fault)


def _acts(exchange: Exchange, fault: Fault) -> tuple[Act, Act]:
    """Return how a condition begins and how it ends."""
    milliseconds = round(fault.seconds * 1000)
    if fault.kind is FaultKind.STATUS:
        return _status_acts(exchange, fault)
    if fault.kind is FaultKind.BAN:
        return (lambda: exchange.limits.ban_for(milliseconds)), (lambda: exchange.limits.ban_for(0))
    values: dict[FaultKind, tuple[str, int | bool]] = {
        FaultKind.LAG: ("lag_ms", milliseconds),
        FaultKind.SKEW: ("skew_ms", milliseconds),
        FaultKind.MAINTENANCE: ("in_maintenance", True),
        FaultKind.SILENT_STREAMS: ("streams_silent", True),
    }
    if fault.kind is FaultKind.DROP_STREAMS:
        return exchange.conditions.drop_streams, exchange.conditions.drop_streams
    name, value = values[fault.kind]
    return (
        lambda: setattr(exchange.conditions, name, value),
        lambda: setattr(exchange.conditions, name, type(value)()),
    )


def _status_acts(exchange: Exchange, fault: Fault) -> tuple[Act, Act]:
    if fault.symbol_status not in SYMBOL_STATUSES or fault.symbol not in exchange.market.symbols:
        raise BadInput(
            f"fault: expected a status of {', '.join(SYMBOL_STATUSES)} for a listed symbol; it was "
            f"{fault.symbol_status!r} for {fault.symbol!r}"
        )
    return (
        lambda: exchange.set_status(fault.symbol, fault.symbol_status),
        lambda: exchange.set_status(fault.symbol, TRADING),
    )
