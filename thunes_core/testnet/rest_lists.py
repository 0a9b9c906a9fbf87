"""Signed endpoints of order lists, and of replacing an order.

Add here: an endpoint that handles several orders at once. Keep out: how lists work.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from functools import partial
from typing import TYPE_CHECKING, Any

from thunes_core.testnet import order_documents as documents
from thunes_core.testnet.admission import require_within_filters
from thunes_core.testnet.list_documents import is_seen_open, listed, reported
from thunes_core.testnet.list_forms import new_oco, new_oto, new_otoco, old_oco
from thunes_core.testnet.order_forms import new_order
from thunes_core.testnet.order_lists import NewList, OrderList
from thunes_core.testnet.parameters import Parameters
from thunes_core.testnet.refusals import (
    Refused,
    bad_combination,
    cancel_rejected,
    missing,
    no_such_order,
    one_of,
    rejected,
)
from thunes_core.testnet.rest import Endpoint
from thunes_core.testnet.rest_trading import (
    ResponseType,
    answer_of,
    require_restriction,
    response_type,
    signed,
    within_a_day,
)

if TYPE_CHECKING:
    from thunes_core.testnet.matching import Exchange


def _place_list(
    read: Callable[[Parameters], NewList], exchange: Exchange, parameters: Parameters
) -> dict[str, Any]:
    parameters.ignore(["selfTradePreventionMode"])
    asked = read(parameters)
    answer = parameters.choice("newOrderRespType", ResponseType) or ResponseType.RESULT
    parameters.require_all_read()
    made = exchange.lists.place(asked)
    return reported(made, exchange.present_ms, partial(answer_of, answer))


def cancel_list(exchange: Exchange, parameters: Parameters) -> dict[str, Any]:
    """Cancel every order of a list."""
    exchange.market.find(parameters.need("symbol"))
    found = _named_list(exchange, parameters, "listClientOrderId")
    cancel_id = parameters.client_id("newClientOrderId")
    parameters.require_all_read()
    if found is None or not found.is_open:
        raise cancel_rejected()
    exchange.lists.cancel(found, cancel_id)
    return reported(found, exchange.present_ms, documents.canceled)


def query_list(exchange: Exchange, parameters: Parameters) -> dict[str, Any]:
    """Return one list."""
    found = _named_list(exchange, parameters, "origClientOrderId")
    parameters.require_all_read()
    if found is None or found not in _seen_lists(exchange):
        raise no_such_order()
    return listed(found, exchange.seen_records)


def _named_list(exchange: Exchange, parameters: Parameters, name: str) -> OrderList | None:
    list_id, client_id = parameters.integer("orderListId"), parameters.text(name)
    if list_id is None and client_id is None:
        raise one_of("orderListId", name)
    return exchange.lists.find(list_id, client_id)


def _seen_lists(exchange: Exchange) -> list[OrderList]:
    """Return the lists that reads show: behind by the lag."""
    until = exchange.present_ms - exchange.conditions.lag_ms
    return [one for one in exchange.lists.all() if one.time_ms <= until]


def open_lists(exchange: Exchange, parameters: Parameters) -> list[dict[str, Any]]:
    """Return the lists that are open."""
    parameters.require_all_read()
    seen = exchange.seen_records
    return [listed(one, seen) for one in _seen_lists(exchange) if is_seen_open(one, seen)]


def all_lists(exchange: Exchange, parameters: Parameters) -> list[dict[str, Any]]:
    """Return lists from an id on, within a time, or the newest."""
    from_id = parameters.integer("fromId")
    start, end = within_a_day(parameters)
    limit = parameters.limit(500, 1000)
    parameters.require_all_read()
    if from_id is not None and (start is not None or end is not None):
        raise bad_combination()
    found = [
        one
        for one in _seen_lists(exchange)
        if (from_id is None or one.list_id >= from_id)
        and (start is None or one.time_ms >= start)
        and (end is None or one.time_ms <= end)
    ]
    forward = from_id is not None or start is not None
    kept = found[:limit] if forward else found[-limit:]
    seen = exchange.seen_records
    return [listed(one, seen) for one in kept]


class ReplaceMode(StrEnum):
    """Whether the new order is placed although the old one could not be cancelled."""

    STOP_ON_FAILURE = "STOP_ON_FAILURE"
    ALLOW_FAILURE = "ALLOW_FAILURE"


class ExceededMode(StrEnum):
    """What a replacement does when the unfilled order count leaves no room for the new order."""

    DO_NOTHING = "DO_NOTHING"
    CANCEL_ONLY = "CANCEL_ONLY"


def cancel_replace(exchange: Exchange, parameters: Parameters) -> dict[str, Any]:
    """Cancel an order and place another, without the market moving in between."""
    mode = parameters.choice("cancelReplaceMode", ReplaceMode)
    if mode is None:
        raise missing("cancelReplaceMode")
    order_id = parameters.integer("cancelOrderId")
    client_id = parameters.text("cancelOrigClientOrderId")
    if order_id is None and client_id is None:
        raise one_of("cancelOrigClientOrderId", "cancelOrderId")
    restriction = parameters.text("cancelRestrictions")
    cancel_id = parameters.client_id("cancelNewClientOrderId")
    exceeded = parameters.choice("orderRateLimitExceededMode", ExceededMode)
    asked = new_order(parameters)
    answer = response_type(parameters, asked.type)
    parameters.require_all_read()
    if not exchange.market.listing(asked.symbol).allows("cancelReplaceAllowed"):
        raise rejected("Order cancel-replace is not supported for this symbol.")
    if exchange.options.filters_before_cancel:
        require_within_filters(exchange, asked)
    if exceeded is not ExceededMode.CANCEL_ONLY:
        exchange.limits.require_room()
    order = exchange.records.find(asked.symbol, order_id, client_id)

    def cancel() -> dict[str, Any]:
        require_restriction(order, restriction)
        return documents.canceled(exchange.cancel(order, cancel_id))

    return _replaced(cancel, lambda: answer_of(answer, exchange.place(asked)), mode)


def _replaced(
    cancel: Callable[[], dict[str, Any]], place: Callable[[], dict[str, Any]], mode: ReplaceMode
) -> dict[str, Any]:
    canceled, cancel_answer = _attempt(cancel)
    if canceled or mode is ReplaceMode.ALLOW_FAILURE:
        placed, place_answer = _attempt(place)
        new_result = "SUCCESS" if placed else "FAILURE"
    else:
        placed, place_answer, new_result = False, None, "NOT_ATTEMPTED"
    document = {
        "cancelResult": "SUCCESS" if canceled else "FAILURE",
        "newOrderResult": new_result,
        "cancelResponse": cancel_answer,
        "newOrderResponse": place_answer,
    }
    if canceled and placed:
        return document
    if canceled or placed:
        raise Refused(-2021, "Order cancel-replace partially failed.", status=409, data=document)
    raise Refused(-2022, "Order cancel-replace failed.", data=document)


def _attempt(act: Callable[[], dict[str, Any]]) -> tuple[bool, dict[str, Any]]:
    try:
        return True, act()
    except Refused as refused:
        return False, refused.document()


def _list_endpoint(path: str, read: Callable[[Parameters], NewList]) -> Endpoint:
    return signed("POST", path, partial(_place_list, read), is_order=True)


LIST_ENDPOINTS = (
    _list_endpoint("order/oco", old_oco),
    _list_endpoint("orderList/oco", new_oco),
    _list_endpoint("orderList/oto", new_oto),
    _list_endpoint("orderList/otoco", new_otoco),
    _list_endpoint("orderList/opo", partial(new_oto, sized_by_fill=True)),
    _list_endpoint("orderList/opoco", partial(new_otoco, sized_by_fill=True)),
    signed("DELETE", "orderList", cancel_list, is_order=True),
    signed("GET", "orderList", query_list, 4),
    signed("GET", "openOrderList", open_lists, 6),
    signed("GET", "allOrderList", all_lists, 20),
    signed("POST", "order/cancelReplace", cancel_replace, is_order=True),
)
