"""Leave to trade with real money: when it is needed, what it caps, what a key must not be able to.

Add here: a condition of arming. Keep out: the terminal (`cli/arm.py`), storing (ledger).
"""

from __future__ import annotations

import ipaddress
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from thunes_core.domain.limits import RiskLimits
from thunes_core.domain.records import Arming
from thunes_core.errors import AnswerIsNo
from thunes_core.settings import Settings

if TYPE_CHECKING:
    from thunes_core.adapters.binance.broker import BinanceBroker
    from thunes_core.adapters.ccxt.broker import CcxtBroker


def is_needed(settings: Settings) -> bool:
    """True when orders leave this machine: an exchange's own account that is not on loopback."""
    return settings.broker == "exchange" and not is_loopback(settings.rest_url)


def is_loopback(url: str) -> bool:
    """True for an address of this machine.

    >>> is_loopback("http://127.0.0.1:8799"), is_loopback("https://api.binance.com")
    (True, False)
    """
    host = urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def capped(limits: RiskLimits, arming: Arming | None) -> RiskLimits:
    """Return the limits, no exposure above what the account was armed for."""
    if arming is None:
        return limits
    most = arming.max_notional
    return replace(
        limits,
        max_order_notional=min(limits.max_order_notional, most),
        max_symbol_exposure=min(limits.max_symbol_exposure, most),
        max_total_exposure=min(limits.max_total_exposure, most),
    )


def require_safe_key(broker: BinanceBroker | CcxtBroker) -> list[str]:
    """Raise `AnswerIsNo` for a key that may do more than trade; return what is in doubt."""
    permissions = broker.key_permissions()
    if permissions is None:
        return ["the exchange tells nothing of the key's rights (a test network has no /sapi)"]
    forbidden = [name for name in _FORBIDDEN if permissions.get(name)]
    if forbidden:
        raise AnswerIsNo(
            f"arm: expected a key that can only trade; this one has {', '.join(forbidden)}; "
            "make one without, at the exchange"
        )
    return [] if permissions.get("ipRestrict") else ["the key is not bound to an address"]


def describe(arming: Arming | None) -> dict[str, Any] | None:
    """Return the arming as plain values."""
    if arming is None:
        return None
    return {
        "identity": arming.identity,
        "until": arming.until,
        "max_notional": format(arming.max_notional, "f"),
        "author": arming.author,
    }


_FORBIDDEN = ("enableWithdrawals", "enableInternalTransfer", "permitsUniversalTransfer")
