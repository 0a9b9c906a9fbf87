"""Turn CCXT's unified orders, trades and balances into the domain, and requests back.

Numbers travel as decimal text, never as floats.

Add here: a field of CCXT's structures the core needs. Keep out: sending, errors.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from thunes_core.adapters.binance.messages import plain
from thunes_core.clock import from_millis
from thunes_core.domain.orders import (
    ZERO,
    Fill,
    Order,
    OrderRequest,
    OrderStatus,
    OrderType,
    Side,
    TimeInForce,
)
from thunes_core.domain.portfolio import Account, Balance

Raw = Mapping[str, Any]

_STATUS = {
    "open": OrderStatus.NEW,
    "canceling": OrderStatus.NEW,
    "closed": OrderStatus.FILLED,
    "canceled": OrderStatus.CANCELED,
    "expired": OrderStatus.EXPIRED,
    "rejected": OrderStatus.REJECTED,
}
_STOPPED = {"market": OrderType.STOP_LOSS, "limit": OrderType.STOP_LOSS_LIMIT}
_AT_MARKET = {OrderType.MARKET, OrderType.STOP_LOSS, OrderType.TAKE_PROFIT}
_TRIGGER = {
    OrderType.STOP_LOSS: "stopLossPrice",
    OrderType.STOP_LOSS_LIMIT: "stopLossPrice",
    OrderType.TAKE_PROFIT: "takeProfitPrice",
    OrderType.TAKE_PROFIT_LIMIT: "takeProfitPrice",
}


@dataclass(frozen=True, slots=True)
class Unified:
    """The arguments of CCXT's `create_order`, apart from the symbol."""

    type: str
    side: str
    amount: str
    price: str | None
    params: dict[str, Any] = field(default_factory=dict)


def unify(request: OrderRequest) -> Unified:
    """Return `request` in CCXT's words."""
    params: dict[str, Any] = {"clientOrderId": request.client_order_id}
    if request.type is OrderType.LIMIT_MAKER:
        params["postOnly"] = True
    elif request.type not in _AT_MARKET:
        params["timeInForce"] = str(request.time_in_force or TimeInForce.GTC)
    if request.type in _TRIGGER and request.stop_price is not None:
        params[_TRIGGER[request.type]] = plain(request.stop_price)
    return Unified(
        type="market" if request.type in _AT_MARKET else "limit",
        side=request.side.lower(),
        amount=plain(request.quantity),
        price=plain(request.price) if request.price is not None else None,
        params=params,
    )


def parse_order(raw: Raw, symbol: str) -> Order:
    """Read an order; raises `KeyError`, `TypeError` or `ArithmeticError` when it is none."""
    kind, executed = _type(raw), Decimal(raw["filled"])
    moment = raw.get("lastUpdateTimestamp") or raw.get("lastTradeTimestamp") or raw["timestamp"]
    return Order(
        symbol=symbol,
        client_order_id=_text(raw["clientOrderId"]),
        exchange_order_id=_text(raw["id"]),
        side=Side(raw["side"].upper()),
        type=kind,
        status=_status(raw["status"], executed),
        quantity=Decimal(raw["amount"]),
        executed_quantity=executed,
        executed_quote=Decimal(raw["cost"]),
        updated_at=from_millis(int(moment)),
        price=None if kind in _AT_MARKET else _optional(raw.get("price")),
        stop_price=_optional(raw.get("triggerPrice")),
    )


def parse_fill(raw: Raw, symbol: str, client_order_id: str) -> Fill:
    """Read a trade of the account."""
    return Fill(
        symbol=symbol,
        trade_id=_text(raw["id"]),
        exchange_order_id=_text(raw["order"]),
        client_order_id=client_order_id,
        side=Side(raw["side"].upper()),
        price=Decimal(raw["price"]),
        quantity=Decimal(raw["amount"]),
        fee=Decimal(raw["fee"]["cost"]),
        fee_asset=raw["fee"]["currency"],
        is_maker=raw["takerOrMaker"] == "maker",
        time=from_millis(int(raw["timestamp"])),
    )


def parse_account(raw: Raw) -> Account:
    """Read the balances that are not zero."""
    balances = (
        Balance(asset, Decimal(raw["free"][asset]), Decimal(raw["used"][asset]))
        for asset in raw["total"]
    )
    held = {balance.asset: balance for balance in balances if balance.total}
    return Account(held, identity=str((raw.get("info") or {}).get("uid", "")))


def _type(raw: Raw) -> OrderType:
    """Return the type; CCXT tells a stop by its trigger alone, and a maker by `postOnly`."""
    if raw.get("triggerPrice") is not None:
        return _STOPPED[raw["type"]]
    return OrderType.LIMIT_MAKER if raw.get("postOnly") else OrderType(raw["type"].upper())


def _status(name: str, executed: Decimal) -> OrderStatus:
    found = _STATUS[name]
    return OrderStatus.PARTIALLY_FILLED if found is OrderStatus.NEW and executed else found


def _text(value: Any) -> str:
    if value is None:
        raise TypeError("expected an id; there is none")
    return str(value)


def _optional(text: Any) -> Decimal | None:
    return (Decimal(text) if text is not None else ZERO) or None
