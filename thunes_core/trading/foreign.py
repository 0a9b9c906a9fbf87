"""Trades of the account that are not ours: what they explain, and how they are told. Pure.

A person traded by hand, or another program did. Their symbol waits until a person accepts that; the
balances they moved are explained by them, so that the rest of the account goes on.

Add here: what follows from such a trade. Keep out: finding and keeping them (`reconcile`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal

from thunes_core.domain.instrument import Instrument
from thunes_core.domain.orders import ZERO, Fill, is_made_by_thunes
from thunes_core.trading.book import moved


def moved_by(trades: Iterable[Fill], instruments: Mapping[str, Instrument]) -> dict[str, Decimal]:
    """Return by how much `trades` by hand changed the account's total of each asset.

    Those of another THUNES explain nothing: one account has one ledger.
    """
    found: dict[str, Decimal] = {}
    for trade in trades:
        if trade.symbol in instruments and not is_made_by_thunes(trade.client_order_id):
            for asset, change in moved(trade, instruments[trade.symbol]).items():
                found[asset] = found.get(asset, ZERO) + change
    return found


def by_symbol(trades: Iterable[Fill]) -> dict[str, list[Fill]]:
    """Return the trades of each symbol, in the order given."""
    found: dict[str, list[Fill]] = {}
    for trade in trades:
        found.setdefault(trade.symbol, []).append(trade)
    return found


def told(trades: Sequence[Fill]) -> str:
    """Say in one sentence what the trades of one symbol are, and what to do."""
    last = trades[-1]
    one = f"{last.trade_id} ({last.side} {last.quantity:f} at {last.price:f})"
    if any(is_made_by_thunes(trade.client_order_id) for trade in trades):
        return (
            f"{last.symbol}: trade {one} is of an order that THUNES made and that this ledger does "
            "not know; look for another THUNES that trades this account, or a ledger that was put "
            "back; then `thunes reconcile --accept`"
        )
    which = f"trade {one} is" if len(trades) == 1 else f"{len(trades)} trades, the last {one}, are"
    return f"{last.symbol}: {which} not ours; entries wait until `thunes reconcile --accept`"
