"""The few endpoints outside of /api that trading asks: system status, what the key may do.

Add here: another endpoint under /sapi. Keep out: orders.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from thunes_core.testnet.parameters import Parameters
from thunes_core.testnet.rest import Access, Endpoint

if TYPE_CHECKING:
    from thunes_core.testnet.matching import Exchange


def system_status(exchange: Exchange, parameters: Parameters) -> dict[str, Any]:
    """Return 0 normal, 1 maintenance."""
    parameters.require_all_read()
    down = exchange.conditions.in_maintenance
    return {"status": int(down), "msg": "system_maintenance" if down else "normal"}


def key_permissions(exchange: Exchange, parameters: Parameters) -> dict[str, Any]:
    """Return what the key may do: read and trade spot, never withdraw."""
    parameters.require_all_read()
    return {
        "ipRestrict": False,
        "createTime": exchange.clock.now_ms(),
        "enableReading": True,
        "enableWithdrawals": exchange.options.key_may_withdraw,
        "enableInternalTransfer": False,
        "enableMargin": False,
        "enableFutures": False,
        "permitsUniversalTransfer": False,
        "enableVanillaOptions": False,
        "enableFixApiTrade": False,
        "enableFixReadOnly": False,
        "enableSpotAndMarginTrading": True,
        "enablePortfolioMarginTrading": False,
    }


WALLET_ENDPOINTS = (
    Endpoint("GET", "/sapi/v1/system/status", system_status),
    Endpoint("GET", "/sapi/v1/account/apiRestrictions", key_permissions, 1, Access.SIGNED),
)
