"""From a request's parameters to a new order list.

Add here: a parameter of a list. Keep out: what a list does (`order_lists`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from thunes_core.domain.orders import OrderType, Side
from thunes_core.testnet.order_forms import new_order
from thunes_core.testnet.order_lists import NewList
from thunes_core.testnet.orders import NewOrder
from thunes_core.testnet.parameters import Parameters
from thunes_core.testnet.refusals import Refused

WORKING_KINDS = frozenset({OrderType.LIMIT, OrderType.LIMIT_MAKER})
_LEG_KINDS = frozenset(OrderType) - {OrderType.MARKET, OrderType.LIMIT}


def new_oco(parameters: Parameters) -> NewList:
    """Read an OCO: one side and quantity, a leg above and a leg below the market."""
    shared = {n: parameters.need(n) for n in ("symbol", "side", "quantity")}
    return NewList(None, _pair(parameters, "above", "below", shared), _list_client_id(parameters))


def old_oco(parameters: Parameters) -> NewList:
    """Read an OCO in its deprecated form: a limit maker and a stop."""
    shared = {n: parameters.need(n) for n in ("symbol", "side", "quantity")}
    limit = new_order(
        _Renamed(
            parameters,
            {
                "price": "price",
                "newClientOrderId": "limitClientOrderId",
                "icebergQty": "limitIcebergQty",
            },
            shared | {"type": "LIMIT_MAKER"},
        )
    )
    kind = "STOP_LOSS_LIMIT" if parameters.text("stopLimitPrice") else "STOP_LOSS"
    stop = new_order(
        _Renamed(
            parameters,
            {
                "price": "stopLimitPrice",
                "stopPrice": "stopPrice",
                "trailingDelta": "trailingDelta",
                "timeInForce": "stopLimitTimeInForce",
                "newClientOrderId": "stopClientOrderId",
                "icebergQty": "stopIcebergQty",
            },
            shared | {"type": kind},
        )
    )
    legs = (limit, stop) if limit.side is Side.SELL else (stop, limit)
    return NewList(None, legs, _list_client_id(parameters))


def new_oto(parameters: Parameters, *, sized_by_fill: bool = False) -> NewList:
    """Read an OTO (or OPO): a working order and one pending order."""
    working = _working(parameters, sized_by_fill=sized_by_fill)
    pending = _pending(parameters, sized_by_fill=sized_by_fill)
    leg = new_order(_prefixed(parameters, "pending", pending))
    legs = (_unsized(leg) if sized_by_fill else leg,)
    return NewList(working, legs, _list_client_id(parameters), sized_by_fill)


def new_otoco(parameters: Parameters, *, sized_by_fill: bool = False) -> NewList:
    """Read an OTOCO (or OPOCO): a working order and a pending pair."""
    working = _working(parameters, sized_by_fill=sized_by_fill)
    shared = _pending(parameters, sized_by_fill=sized_by_fill)
    shared |= {"side": parameters.need("pendingSide")}
    above, below = _pair(parameters, "pendingAbove", "pendingBelow", shared)
    legs = (_unsized(above), _unsized(below)) if sized_by_fill else (above, below)
    return NewList(working, legs, _list_client_id(parameters), sized_by_fill)


def _working(parameters: Parameters, *, sized_by_fill: bool) -> NewOrder:
    working = new_order(_prefixed(parameters, "working", {"symbol": parameters.need("symbol")}))
    if working.type not in WORKING_KINDS:
        raise Refused(-1116, "Invalid orderType.")
    if sized_by_fill and working.side is not Side.BUY:
        raise Refused(-1222, "Working order in an OPO list must be a bid.")
    return working


def _pending(parameters: Parameters, *, sized_by_fill: bool) -> dict[str, str]:
    """Return what the pending orders share; OPO legs stand in with the working quantity."""
    shared = {"symbol": parameters.need("symbol")}
    if not sized_by_fill:
        return shared | {"quantity": parameters.need("pendingQuantity")}
    if parameters.text("pendingQuantity"):
        raise Refused(-1225, "Pending orders should not include the 'pendingQuantity' tag.")
    if parameters.text("pendingSide") == "BUY":
        raise Refused(-1223, "Pending orders in an OPO list must be asks.")
    return shared | {"quantity": parameters.need("workingQuantity")}


def _unsized(leg: NewOrder) -> NewOrder:
    return replace(leg, quantity=None)


def _pair(
    parameters: Parameters, above: str, below: str, shared: Mapping[str, str]
) -> tuple[NewOrder, NewOrder]:
    legs = [new_order(_prefixed(parameters, prefix, shared)) for prefix in (above, below)]
    if any(leg.type not in _LEG_KINDS for leg in legs):
        raise Refused(-1158, "Order type not supported in OCO.")
    return legs[0], legs[1]


def _list_client_id(parameters: Parameters) -> str | None:
    return parameters.client_id("listClientOrderId")


_OWN_FIELDS = (
    "type",
    "side",
    "quantity",
    "price",
    "stopPrice",
    "trailingDelta",
    "icebergQty",
    "timeInForce",
    "strategyId",
    "strategyType",
)


def _prefixed(parameters: Parameters, prefix: str, shared: Mapping[str, str]) -> Parameters:
    """Return the parameters of one order of a list: `abovePrice` becomes `price`."""
    names = {n: prefix + n[0].upper() + n[1:] for n in _OWN_FIELDS}
    names["newClientOrderId"] = f"{prefix}ClientOrderId"
    return _Renamed(parameters, names, shared)


class _Renamed(Parameters):
    """A view of parameters under other names, some values given."""

    def __init__(
        self, whole: Parameters, names: Mapping[str, str], given: Mapping[str, str]
    ) -> None:
        super().__init__(given)
        self._whole = whole
        self._names = names

    def text(self, name: str) -> str | None:
        """Return the given value, else the text under the order's own name."""
        own = super().text(name)
        if own is not None or name not in self._names:
            if name == "selfTradePreventionMode":
                return self._whole.text(name)
            return own
        return self._whole.text(self._names[name])

    def shown(self, name: str) -> str:
        """Return the name the client used."""
        return self._names.get(name, name)
