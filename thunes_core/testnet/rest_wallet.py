"""The few endpoints outside of /api that clients ask: status, what the key may do, coins, fees.

Add here: another endpoint under /sapi. Keep out: orders.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from thunes_core.testnet.order_documents import money
from thunes_core.testnet.parameters import Parameters
from thunes_core.testnet.rest import Access, Endpoint
from thunes_core.testnet.symbols import asked_symbols

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


def coins(exchange: Exchange, parameters: Parameters) -> list[dict[str, Any]]:
    """Return every asset that is traded; none can be deposited or withdrawn through a network."""
    parameters.require_all_read()
    listed = [exchange.market.listing(symbol) for symbol in exchange.market.symbols]
    assets = {asset for one in listed for asset in (one.base, one.quote)}
    return [_coin(exchange, asset) for asset in sorted(assets | set(exchange.wallet.assets))]


def _coin(exchange: Exchange, asset: str) -> dict[str, Any]:
    nothing = dict.fromkeys(("freeze", "withdrawing", "ipoing", "ipoable", "storage"), "0")
    return {
        "coin": asset,
        "depositAllEnable": False,
        "withdrawAllEnable": False,
        "name": asset,
        "free": money(exchange.seen_wallet.free(asset)),
        "locked": money(exchange.seen_wallet.held(asset)),
        **nothing,
        "isLegalMoney": False,
        "trading": True,
        "networkList": [],
    }


def trade_fees(exchange: Exchange, parameters: Parameters) -> list[dict[str, Any]]:
    """Return the rates of one symbol or of all."""
    wanted = asked_symbols(exchange, parameters) or exchange.market.symbols
    parameters.require_all_read()
    terms = exchange.settlement.terms
    rates = {"makerCommission": str(terms.maker_fee), "takerCommission": str(terms.taker_fee)}
    return [{"symbol": symbol, **rates} for symbol in wanted]


def no_margin(_: Exchange, parameters: Parameters) -> list[dict[str, Any]]:
    """Return no margin pairs: there is spot alone."""
    parameters.require_all_read()
    return []


def _signed(path: str, call: Any, weight: int = 1) -> Endpoint:
    return Endpoint("GET", f"/sapi/v1/{path}", call, weight, Access.SIGNED)


WALLET_ENDPOINTS = (
    Endpoint("GET", "/sapi/v1/system/status", system_status),
    _signed("account/apiRestrictions", key_permissions),
    _signed("capital/config/getall", coins, 10),
    _signed("asset/tradeFee", trade_fees),
    _signed("margin/allPairs", no_margin),
    _signed("margin/isolated/allPairs", no_margin, 10),
)
