"""Amending an order in place: its quantity shrinks, its id and priority stay.

Add here: another thing that may be amended. Keep out: its documents.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from decimal import Decimal
from hashlib import sha256
from typing import TYPE_CHECKING

from thunes_core.testnet.filters import max_amends
from thunes_core.testnet.orders import Change, ExchangeOrder, Status
from thunes_core.testnet.refusals import amend_rejected

if TYPE_CHECKING:
    from thunes_core.testnet.matching import Exchange


@dataclass(frozen=True, slots=True)
class Amendment:
    """One change of an order's quantity; its number is that of the execution told of it."""

    number: int
    order: ExchangeOrder
    old_client_id: str
    new_client_id: str
    old_quantity: Decimal
    new_quantity: Decimal
    time_ms: int


def amend(
    exchange: Exchange, order: ExchangeOrder | None, quantity: Decimal, client_id: str | None
) -> Amendment:
    """Shrink `order` to `quantity`, and the other leg of its OCO with it; or refuse with -2038."""
    if order is None or not order.is_open:
        raise amend_rejected("Unknown order sent.")
    _require_amendable(exchange, order, quantity)
    amendments = exchange.records.amendments
    new_id = client_id or _client_id(order, len(amendments))
    made = Amendment(
        exchange.records.executions + 1,
        order,
        order.client_id,
        new_id,
        order.quantity,
        quantity,
        exchange.present_ms,
    )
    amendments.append(made)
    exchange.records.rename(order, new_id)
    for leg in (order, *exchange.lists.siblings(order)):
        _shrink(exchange, leg, quantity)
    return made


def _require_amendable(exchange: Exchange, order: ExchangeOrder, quantity: Decimal) -> None:
    listing = exchange.market.listing(order.symbol)
    if not listing.allows("amendAllowed"):
        raise amend_rejected("Order amend is not supported for this symbol.")
    if order.asked.quantity is None:
        raise amend_rejected("Order amend (pending OPO order) is not supported.")
    if quantity == order.quantity:
        raise amend_rejected("The requested action would change no state; rejecting")
    if quantity > order.quantity:
        raise amend_rejected("Order amend (quantity increase) is not supported.")
    if quantity <= order.executed + order.prevented:
        raise amend_rejected("The requested action would change no state; rejecting")
    if quantity % listing.step:
        raise amend_rejected("Filter failure: LOT_SIZE")
    done = sum(1 for one in exchange.records.amendments if one.order is order)
    if done >= max_amends(listing):
        raise amend_rejected("Filter failure: MAX_NUM_ORDER_AMENDS")


def _shrink(exchange: Exchange, order: ExchangeOrder, quantity: Decimal) -> None:
    exchange.settlement.release_share(order, order.quantity - quantity)
    order.quantity = quantity
    visible = order.asked.iceberg_quantity
    order.asked = replace(
        order.asked,
        quantity=quantity,
        iceberg_quantity=None if visible is None else min(visible, quantity),
    )
    if order.status is not Status.PENDING_NEW:
        order.update_ms = exchange.present_ms
    exchange.tell(order, Change.REPLACED)


def _client_id(order: ExchangeOrder, number: int) -> str:
    return sha256(f"amend|{order.symbol}|{order.order_id}|{number}".encode()).hexdigest()[:22]
