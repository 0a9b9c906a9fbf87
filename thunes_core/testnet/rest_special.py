"""Signed endpoints beside plain orders: amending, smart routing, prevented matches, filters.

Add here: an endpoint that few clients ask for. Keep out: orders, lists, the account.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from thunes_core.domain.orders import OrderType
from thunes_core.testnet import order_documents as documents
from thunes_core.testnet.admission import admitted
from thunes_core.testnet.amending import amend
from thunes_core.testnet.list_documents import amended_list
from thunes_core.testnet.order_forms import new_order, positive
from thunes_core.testnet.orders import NewOrder
from thunes_core.testnet.parameters import Parameters
from thunes_core.testnet.refusals import Refused, missing, one_of, rejected
from thunes_core.testnet.rest_trading import (
    answer_of,
    named_order,
    order_rates,
    rehearsal_weight,
    response_type,
    signed,
    within_a_day,
)
from thunes_core.testnet.routing import routing_groups

if TYPE_CHECKING:
    from thunes_core.testnet.matching import Exchange


def amend_order(exchange: Exchange, parameters: Parameters) -> dict[str, Any]:
    """Shrink an order in place."""
    order = named_order(exchange, exchange.records, parameters)
    quantity = positive(parameters, "newQty")
    client_id = parameters.client_id("newClientOrderId")
    parameters.require_all_read()
    if quantity is None:
        raise missing("newQty")
    made = amend(exchange, order, quantity, client_id)
    document = {
        "transactTime": made.time_ms,
        "executionId": made.number,
        "amendedOrder": documents.amended(made),
    }
    found = exchange.lists.find(made.order.list_id, None)
    return document if found is None else document | {"listStatus": amended_list(found)}


def amendments(exchange: Exchange, parameters: Parameters) -> list[dict[str, Any]]:
    """Return how an order was amended, oldest first."""
    symbol = exchange.market.listing(parameters.need("symbol")).symbol
    parameters.need("orderId")
    order_id, from_id = parameters.integer("orderId"), parameters.integer("fromExecutionId")
    limit = parameters.limit(500, 1000)
    parameters.require_all_read()
    found = [
        one
        for one in exchange.seen_records.amendments
        if one.order.symbol == symbol
        and one.order.order_id == order_id
        and (from_id is None or one.number >= from_id)
    ]
    return [documents.amendment(one) for one in found[:limit]]


def prevented_matches(exchange: Exchange, parameters: Parameters) -> list[dict[str, Any]]:
    """Return trades with oneself that were prevented: one, or those of an order."""
    symbol = exchange.market.listing(parameters.need("symbol")).symbol
    number = parameters.integer("preventedMatchId")
    order_id = parameters.integer("orderId")
    from_id = parameters.integer("fromPreventedMatchId")
    limit = parameters.limit(500, 1000)
    parameters.require_all_read()
    if number is None and order_id is None:
        raise one_of("preventedMatchId", "orderId")
    found = [
        one
        for one in exchange.seen_records.prevented
        if one.symbol == symbol
        and number in (None, one.number)
        and order_id in (None, one.taker_id, one.maker_id)
        and (from_id is None or one.number >= from_id)
    ]
    return [documents.prevented(one) for one in found[:limit]]


def place_routed(exchange: Exchange, parameters: Parameters) -> dict[str, Any]:
    """Place an order that may take from every book of its group."""
    asked = _routed(exchange, parameters)
    answer = response_type(parameters, asked.type)
    parameters.require_all_read()
    return answer_of(answer, exchange.place(asked))


def rehearse_routed(exchange: Exchange, parameters: Parameters) -> dict[str, Any]:
    """Check such an order, and place nothing."""
    asked = _routed(exchange, parameters)
    response_type(parameters, asked.type)
    wants_rates = (parameters.text("computeCommissionRates") or "").lower() == "true"
    parameters.require_all_read()
    admitted(exchange, asked)
    rates = order_rates(exchange)
    rates.pop("specialCommissionForOrder")
    return rates if wants_rates else {}


def _routed(exchange: Exchange, parameters: Parameters) -> NewOrder:
    asked = new_order(parameters)
    if asked.type not in (OrderType.LIMIT, OrderType.MARKET):
        raise Refused(-1116, "Invalid orderType.")
    if asked.quantity is None:
        raise missing("quantity")
    base = exchange.market.listing(asked.symbol).base
    if asked.symbol not in routing_groups(exchange.market).get(base, []):
        raise rejected("This symbol is not permitted for this account.")
    return replace(asked, is_routed=True)


def allocations(exchange: Exchange, parameters: Parameters) -> list[dict[str, Any]]:
    """Return what smart routing took for the account."""
    symbol = exchange.market.listing(parameters.need("symbol")).symbol
    start, end = within_a_day(parameters)
    from_id, order_id = parameters.integer("fromAllocationId"), parameters.integer("orderId")
    limit = parameters.limit(500, 1000)
    parameters.require_all_read()
    found = [
        one
        for one in exchange.seen_records.allocations(symbol)
        if (from_id is None or (one.allocation_id or 0) >= from_id)
        and order_id in (None, one.order_id)
        and (start is None or one.time_ms >= start)
        and (end is None or one.time_ms <= end)
    ]
    return [documents.allocation(one) for one in found[:limit]]


def my_filters(exchange: Exchange, parameters: Parameters) -> dict[str, Any]:
    """Return the filters that apply to the account: of the exchange, a symbol, its assets."""
    listing = exchange.market.listing(parameters.need("symbol"))
    parameters.require_all_read()
    assets = (listing.base, listing.quote)
    return {
        "exchangeFilters": list(exchange.options.exchange_filters),
        "symbolFilters": list(listing.filters.values()),
        "assetFilters": [f for f in exchange.options.asset_filters if f["asset"] in assets],
    }


SPECIAL_ENDPOINTS = (
    signed("PUT", "order/amend/keepPriority", amend_order, 4),
    signed("GET", "order/amendments", amendments, 4),
    signed(
        "GET",
        "myPreventedMatches",
        prevented_matches,
        lambda p: 2 if p.text("preventedMatchId") else 20,
    ),
    signed("POST", "sor/order", place_routed, is_order=True),
    signed("POST", "sor/order/test", rehearse_routed, rehearsal_weight),
    signed("GET", "myAllocations", allocations, 20),
    signed("GET", "myFilters", my_filters, 40),
)
