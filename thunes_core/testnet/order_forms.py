"""From a request's parameters to a new order, with the exchange's checks of form.

Add here: a parameter of an order. Keep out: checks that need the market or the account.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

from thunes_core.domain.orders import OrderType, Side, TimeInForce
from thunes_core.testnet.orders import NewOrder, Prevention
from thunes_core.testnet.parameters import Parameters
from thunes_core.testnet.refusals import (
    Refused,
    bad_combination,
    bad_data,
    missing,
    not_required,
    one_of,
)

_NEEDS: Mapping[OrderType, tuple[str, ...]] = {
    OrderType.LIMIT: ("timeInForce", "quantity", "price"),
    OrderType.MARKET: (),
    OrderType.STOP_LOSS: ("quantity",),
    OrderType.STOP_LOSS_LIMIT: ("timeInForce", "quantity", "price"),
    OrderType.TAKE_PROFIT: ("quantity",),
    OrderType.TAKE_PROFIT_LIMIT: ("timeInForce", "quantity", "price"),
    OrderType.LIMIT_MAKER: ("quantity", "price"),
}
_STOP_KEYS = ("stopPrice", "trailingDelta")
_LIMIT_KEYS = ("price", "timeInForce", "icebergQty")


def new_order(parameters: Parameters) -> NewOrder:
    """Read one order from `parameters`; refuse what is missing, malformed or too much."""
    symbol = parameters.need("symbol")
    side = parameters.choice("side", Side, Refused(-1117, "Invalid side."))
    kind = parameters.choice("type", OrderType, Refused(-1116, "Invalid orderType."))
    if side is None or kind is None:
        raise missing(parameters.shown("side" if side is None else "type"))
    _require_form(parameters, kind)
    return NewOrder(
        symbol,
        side,
        kind,
        client_id=parameters.client_id("newClientOrderId"),
        quantity=positive(parameters, "quantity"),
        quote_quantity=positive(parameters, "quoteOrderQty"),
        price=positive(parameters, "price"),
        stop_price=positive(parameters, "stopPrice"),
        trailing_delta=parameters.integer("trailingDelta"),
        iceberg_quantity=parameters.number("icebergQty") or None,
        time_in_force=time_in_force(parameters, "timeInForce"),
        strategy_id=parameters.integer("strategyId"),
        strategy_type=_strategy_type(parameters, "strategyType"),
        prevention=parameters.choice(
            "selfTradePreventionMode", Prevention, bad_data("selfTradePreventionMode")
        ),
    )


def time_in_force(parameters: Parameters, name: str) -> TimeInForce:
    """Return the time in force, GTC when none was sent."""
    return (
        parameters.choice(name, TimeInForce, Refused(-1115, "Invalid timeInForce."))
        or TimeInForce.GTC
    )


def positive(parameters: Parameters, name: str) -> Decimal | None:
    """Return a number above zero, or None; refuse zero with -1013."""
    value = parameters.number(name)
    if value is not None and value <= 0:
        raise Refused(-1013, f"Invalid {parameters.shown(name)}.")
    return value


def _strategy_type(parameters: Parameters, name: str) -> int | None:
    value = parameters.integer(name)
    if value is not None and value < 1_000_000:
        raise Refused(-1134, "`strategyType` was less than 1000000.")
    return value


def _require_form(parameters: Parameters, kind: OrderType) -> None:
    for name in _NEEDS[kind]:
        parameters.need(name)
    if kind is OrderType.MARKET:
        _require_market_form(parameters)
    elif parameters.text("quoteOrderQty"):
        raise not_required("quoteOrderQty")
    if kind in (OrderType.STOP_LOSS, OrderType.TAKE_PROFIT):
        _refuse_any(parameters, _LIMIT_KEYS)
    if kind is OrderType.LIMIT_MAKER and parameters.text("timeInForce"):
        raise not_required(parameters.shown("timeInForce"))
    if kind in (OrderType.LIMIT, OrderType.LIMIT_MAKER, OrderType.MARKET):
        _refuse_any(parameters, _STOP_KEYS)
    elif not any(parameters.text(name) for name in _STOP_KEYS):
        raise one_of(*(parameters.shown(name) for name in _STOP_KEYS))


def _require_market_form(parameters: Parameters) -> None:
    given = [n for n in ("quantity", "quoteOrderQty") if parameters.text(n)]
    if not given:
        raise one_of("quantity", "quoteOrderQty")
    if len(given) == 2:
        raise bad_combination()
    _refuse_any(parameters, _LIMIT_KEYS)


def _refuse_any(parameters: Parameters, names: tuple[str, ...]) -> None:
    for name in names:
        if parameters.text(name):
            raise not_required(parameters.shown(name))
