"""Is this the account whose trades the ledger knows? A newest trade that is gone says no.

A test network that was wiped counts its trades anew, and another account has others: their ids
would be taken for trades that are booked already, and fills would be lost.

Add here: another sign of a strange account. Keep out: what follows (`step`, `accept`).
"""

from __future__ import annotations

from thunes_core.trading.reconcile import Desk


def strange_account(desk: Desk) -> str:
    """Return the sentence that says why this is not the ledger's account, or nothing.

    One request for each symbol: to be asked only where balances do not fit.
    """
    return next((_sentence(symbol) for symbol in desk.instruments if _is_gone(desk, symbol)), "")


def _is_gone(desk: Desk, symbol: str) -> bool:
    """True when the exchange does not show the newest trade that was seen of `symbol`."""
    newest = desk.journal.cursor(symbol)
    if newest is None or not newest.isdecimal():
        return False
    shown = desk.broker.fills(symbol, str(int(newest) - 1))
    return not shown or shown[0].trade_id != newest


def _sentence(symbol: str) -> str:
    return (
        f"{symbol}: the exchange does not show the newest trade that this ledger knows: another "
        "account, or a test network that was wiped; a ledger serves one account: keep this one "
        "aside, and begin anew with another THUNES_HOME or THUNES_LEDGER_URL"
    )
