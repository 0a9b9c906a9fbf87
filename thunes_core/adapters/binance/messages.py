"""Turn Binance's answers about orders, trades and balances into the domain, and requests back.

Numbers travel as decimal text, never as floats.

Add here: a field of these answers the core needs. Keep out: sending, errors.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

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
    "PENDING_CANCEL": OrderStatus.NEW,
    "EXPIRED_IN_MATCH": OrderStatus.EXPIRED,
}
_ABOVE = {OrderType.LIMIT_MAKER, OrderType.TAKE_PROFIT}
"""What of a pair of sells stands above the market."""
_RESTS = {OrderType.LIMIT, OrderType.STOP_LOSS_LIMIT, OrderType.TAKE_PROFIT_LIMIT}


def order_parameters(request: OrderRequest) -> dict[str, str]:
    """Return the parameters of `POST /api/v3/order` for `request`."""
    parameters = {
        "symbol": request.symbol,
        "side": str(request.side),
        "type": str(request.type),
        "quantity": plain(request.quantity),
        "newClientOrderId": request.client_order_id,
        "newOrderRespType": "RESULT",
    }
    if request.price is not None:
        parameters["price"] = plain(request.price)
    if request.stop_price is not None:
        parameters["stopPrice"] = plain(request.stop_price)
    if request.trailing_delta is not None:
        parameters["trailingDelta"] = str(request.trailing_delta)
    if request.type in _RESTS:
        parameters["timeInForce"] = str(request.time_in_force or TimeInForce.GTC)
    return parameters


def pair_parameters(stop: OrderRequest, target: OrderRequest) -> dict[str, str]:
    """Return the parameters of `POST /api/v3/orderList/oco`: target above, stop below."""
    parameters = {
        "symbol": stop.symbol,
        "side": str(stop.side),
        "quantity": plain(stop.quantity),
        "listClientOrderId": stop.list_id,
        "newOrderRespType": "RESULT",
    }
    return parameters | _leg_parameters(target, "above") | _leg_parameters(stop, "below")


def entry_parameters(
    entry: OrderRequest, legs: Sequence[OrderRequest], *, sized_by_fill: bool
) -> dict[str, str]:
    """Return the parameters of a buy that is protected by `legs` once it is filled.

    They are those of `orderList/opo` and `opoco` where the legs are `sized_by_fill`, else of `oto`
    and `otoco`. Two legs are the stop and the target, in any order.
    """
    parameters = {
        "symbol": entry.symbol,
        "listClientOrderId": entry.list_id,
        "newOrderRespType": "RESULT",
        "workingType": str(entry.type),
        "workingSide": str(entry.side),
        "workingClientOrderId": entry.client_order_id,
        "workingPrice": plain(entry.price or ZERO),
        "workingQuantity": plain(entry.quantity),
        "workingTimeInForce": str(entry.time_in_force or TimeInForce.GTC),
        "pendingSide": str(legs[0].side),
    }
    if not sized_by_fill:
        parameters["pendingQuantity"] = plain(legs[0].quantity)
    for leg in legs:
        place = "" if len(legs) == 1 else "Above" if leg.type in _ABOVE else "Below"
        parameters |= _leg_parameters(leg, f"pending{place}")
    return parameters


def _leg_parameters(leg: OrderRequest, prefix: str) -> dict[str, str]:
    parameters = {f"{prefix}Type": str(leg.type), f"{prefix}ClientOrderId": leg.client_order_id}
    if leg.stop_price is not None:
        parameters[f"{prefix}StopPrice"] = plain(leg.stop_price)
    if leg.trailing_delta is not None:
        parameters[f"{prefix}TrailingDelta"] = str(leg.trailing_delta)
    if leg.price is not None:
        parameters[f"{prefix}Price"] = plain(leg.price)
    if leg.type in _RESTS:
        parameters[f"{prefix}TimeInForce"] = str(leg.time_in_force or TimeInForce.GTC)
    return parameters


def replace_parameters(
    client_order_id: str, request: OrderRequest, *, only_new: bool
) -> dict[str, str]:
    """Return the parameters of `POST /api/v3/order/cancelReplace`.

    Nothing is placed if the cancel fails; with `only_new` it fails where some was executed.
    """
    restricted = {"cancelRestrictions": "ONLY_NEW"} if only_new else {}
    return {
        **order_parameters(request),
        "cancelReplaceMode": "STOP_ON_FAILURE",
        "cancelOrigClientOrderId": client_order_id,
        **restricted,
    }


def plain(value: Decimal) -> str:
    """Write a Decimal without exponent and without trailing zeros.

    >>> plain(Decimal("0.00100")), plain(Decimal("1E+2"))
    ('0.001', '100')
    """
    text = format(value, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def parse_order(raw: Raw) -> Order:
    """Read an order; raises `KeyError`, `TypeError` or `ArithmeticError` when it is none."""
    moment = raw.get("updateTime") or raw.get("transactTime") or raw.get("time") or 0
    return Order(
        symbol=raw["symbol"],
        client_order_id=raw.get("origClientOrderId") or raw["clientOrderId"],
        exchange_order_id=str(raw["orderId"]),
        side=Side(raw["side"]),
        type=OrderType(raw["type"]),
        status=_status(raw["status"]),
        quantity=Decimal(raw.get("origQty", 0) if _is_pending(raw) else raw["origQty"]),
        executed_quantity=Decimal(raw["executedQty"]),
        executed_quote=Decimal(raw["cummulativeQuoteQty"]),
        updated_at=from_millis(int(moment)),
        price=_optional(raw.get("price")),
        stop_price=_optional(raw.get("stopPrice")),
    )


def _is_pending(raw: Raw) -> bool:
    """True for a sell that gets its size from a buy of its list: until then it is told without."""
    return int(raw.get("orderListId", -1)) >= 0 and Decimal(raw["executedQty"]) == 0


def parse_fill(raw: Raw, client_order_id: str) -> Fill:
    """Read a row of `myTrades`."""
    return Fill(
        symbol=raw["symbol"],
        trade_id=str(raw["id"]),
        exchange_order_id=str(raw["orderId"]),
        client_order_id=client_order_id,
        side=Side.BUY if raw["isBuyer"] else Side.SELL,
        price=Decimal(raw["price"]),
        quantity=Decimal(raw["qty"]),
        fee=Decimal(raw["commission"]),
        fee_asset=raw["commissionAsset"],
        is_maker=bool(raw["isMaker"]),
        time=from_millis(int(raw["time"])),
    )


def parse_account(raw: Raw) -> Account:
    """Read the balances that are not zero."""
    balances = (
        Balance(b["asset"], Decimal(b["free"]), Decimal(b["locked"])) for b in raw["balances"]
    )
    held = {balance.asset: balance for balance in balances if balance.total}
    return Account(held, identity=str(raw.get("uid", "")))


def _status(name: str) -> OrderStatus:
    return _STATUS.get(name) or OrderStatus(name)


def _optional(text: str | None) -> Decimal | None:
    value = Decimal(text) if text else ZERO
    return value or None
