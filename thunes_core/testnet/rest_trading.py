"""Signed endpoints: the account, its orders and its trades.

Add here: an endpoint with a signature. Keep out: order lists (`rest_lists`), matching.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from thunes_core.testnet import order_documents as documents
from thunes_core.testnet.admission import admitted
from thunes_core.testnet.list_documents import reported
from thunes_core.testnet.order_documents import money
from thunes_core.testnet.order_forms import new_order
from thunes_core.testnet.orders import ExchangeOrder, Status
from thunes_core.testnet.parameters import Parameters
from thunes_core.testnet.records import Records
from thunes_core.testnet.refusals import (
    Refused,
    bad_combination,
    cancel_rejected,
    no_such_order,
    one_of,
)
from thunes_core.testnet.rest import Access, Endpoint

if TYPE_CHECKING:
    from thunes_core.testnet.matching import Exchange

DAY_MS = 86_400_000


class ResponseType(StrEnum):
    """How much a new order's answer tells."""

    ACK = "ACK"
    RESULT = "RESULT"
    FULL = "FULL"


_FULL_BY_DEFAULT = {"MARKET", "LIMIT"}
_ANSWERS: dict[ResponseType, Callable[[ExchangeOrder], dict[str, Any]]] = {
    ResponseType.ACK: documents.acknowledged,
    ResponseType.RESULT: documents.placed,
    ResponseType.FULL: documents.placed_with_fills,
}


def place(exchange: Exchange, parameters: Parameters) -> dict[str, Any]:
    """Place an order."""
    asked = new_order(parameters)
    answer = response_type(parameters, asked.type)
    parameters.require_all_read()
    return answer_of(answer, exchange.place(asked))


def answer_of(kind: ResponseType, order: ExchangeOrder) -> dict[str, Any]:
    """Return the answer to a new order, as long as was asked for."""
    return _ANSWERS[kind](order)


def response_type(parameters: Parameters, kind: str) -> ResponseType:
    """Return the answer asked for: FULL for MARKET and LIMIT, else ACK, when none was named."""
    asked = parameters.choice("newOrderRespType", ResponseType)
    return asked or (ResponseType.FULL if kind in _FULL_BY_DEFAULT else ResponseType.ACK)


def rehearse(exchange: Exchange, parameters: Parameters) -> dict[str, Any]:
    """Check an order as `place` would, and place nothing."""
    asked = new_order(parameters)
    response_type(parameters, asked.type)
    wants_rates = (parameters.text("computeCommissionRates") or "").lower() == "true"
    parameters.require_all_read()
    admitted(exchange, asked)
    return order_rates(exchange) if wants_rates else {}


def rehearsal_weight(parameters: Parameters) -> int:
    """Return what a test order weighs: more when the commission rates are asked for."""
    return 20 if (parameters.text("computeCommissionRates") or "").lower() == "true" else 1


def order_rates(exchange: Exchange) -> dict[str, Any]:
    """Return the rates that an order would pay."""
    terms = exchange.settlement.terms
    nothing = {"maker": money(0), "taker": money(0)}
    return {
        "standardCommissionForOrder": {
            "maker": money(terms.maker_fee),
            "taker": money(terms.taker_fee),
        },
        "specialCommissionForOrder": nothing,
        "taxCommissionForOrder": nothing,
        "discount": _discount(exchange),
    }


def _discount(exchange: Exchange) -> dict[str, Any]:
    return {
        "enabledForAccount": exchange.settlement.terms.fee_asset == "bnb",
        "enabledForSymbol": True,
        "discountAsset": "BNB",
        "discount": money(0.75),
    }


def commission(exchange: Exchange, parameters: Parameters) -> dict[str, Any]:
    """Return the account's rates for a symbol."""
    symbol = exchange.market.listing(parameters.need("symbol")).symbol
    parameters.require_all_read()
    terms = exchange.settlement.terms
    nothing = {side: money(0) for side in ("maker", "taker", "buyer", "seller")}
    return {
        "symbol": symbol,
        "standardCommission": nothing
        | {"maker": money(terms.maker_fee), "taker": money(terms.taker_fee)},
        "specialCommission": nothing,
        "taxCommission": nothing,
        "discount": _discount(exchange),
    }


def query(exchange: Exchange, parameters: Parameters) -> dict[str, Any]:
    """Return one order, without its fills."""
    order = named_order(exchange, exchange.seen_records, parameters)
    parameters.require_all_read()
    if order is None:
        raise no_such_order()
    return documents.queried(order)


def named_order(
    exchange: Exchange, records: Records, parameters: Parameters
) -> ExchangeOrder | None:
    """Return the order that `orderId` or `origClientOrderId` names; refuse when neither does."""
    symbol = exchange.market.listing(parameters.need("symbol")).symbol
    order_id = parameters.integer("orderId")
    client_id = parameters.text("origClientOrderId")
    if order_id is None and client_id is None:
        raise one_of("origClientOrderId", "orderId")
    return records.find(symbol, order_id, client_id)


def cancel(exchange: Exchange, parameters: Parameters) -> dict[str, Any]:
    """Cancel one order; the answer to cancelling a leg is the list that ended with it."""
    order = named_order(exchange, exchange.records, parameters)
    cancel_id = parameters.client_id("newClientOrderId")
    restriction = parameters.text("cancelRestrictions")
    parameters.require_all_read()
    require_restriction(order, restriction)
    return _canceled_report(exchange, exchange.cancel(order, cancel_id))


def require_restriction(order: ExchangeOrder | None, restriction: str | None) -> None:
    """Refuse a cancel whose `cancelRestrictions` the order's status does not meet."""
    wanted = {
        None: None,
        "ONLY_NEW": Status.NEW,
        "ONLY_PARTIALLY_FILLED": Status.PARTIALLY_FILLED,
    }
    if restriction not in wanted:
        raise Refused(-1145, "Invalid cancelRestrictions")
    status = wanted[restriction]
    if status and order is not None and order.is_open and order.status is not status:
        raise cancel_rejected("Order was not canceled due to cancel restrictions.")


def open_orders(exchange: Exchange, parameters: Parameters) -> list[dict[str, Any]]:
    """Return open orders, of one symbol or of all."""
    symbol = parameters.text("symbol")
    parameters.require_all_read()
    if symbol:
        exchange.market.find(symbol)
    return [documents.queried(o) for o in exchange.seen_records.open_orders(symbol)]


def cancel_all(exchange: Exchange, parameters: Parameters) -> list[dict[str, Any]]:
    """Cancel every open order of a symbol."""
    symbol = exchange.market.listing(parameters.need("symbol")).symbol
    parameters.require_all_read()
    orders = exchange.records.open_orders(symbol)
    if not orders:
        raise cancel_rejected()
    return [_canceled_report(exchange, exchange.cancel(order)) for order in orders if order.is_open]


def _canceled_report(exchange: Exchange, order: ExchangeOrder) -> dict[str, Any]:
    """Return the document of a cancelled order, or of the whole list it belongs to."""
    found = exchange.lists.find(order.list_id, None)
    if found is None:
        return documents.canceled(order)
    return reported(found, exchange.present_ms, documents.canceled)


def all_orders(exchange: Exchange, parameters: Parameters) -> list[dict[str, Any]]:
    """Return orders of a symbol: from an id on, from a time on, or the newest."""
    symbol = exchange.market.listing(parameters.need("symbol")).symbol
    from_id = parameters.integer("orderId")
    start, end = within_a_day(parameters)
    limit = parameters.limit(500, 1000)
    parameters.require_all_read()
    found = [
        o
        for o in exchange.seen_records.orders(symbol)
        if (from_id is None or o.order_id >= from_id)
        and (start is None or o.time_ms >= start)
        and (end is None or o.time_ms <= end)
    ]
    forward = from_id is not None or start is not None
    return [documents.queried(o) for o in (found[:limit] if forward else found[-limit:])]


def my_trades(exchange: Exchange, parameters: Parameters) -> list[dict[str, Any]]:
    """Return trades of a symbol: of an order, from an id on, from a time on, or the newest."""
    symbol = exchange.market.listing(parameters.need("symbol")).symbol
    order_id, from_id = parameters.integer("orderId"), parameters.integer("fromId")
    start, end = within_a_day(parameters)
    limit = parameters.limit(500, 1000)
    parameters.require_all_read()
    if (start is not None or end is not None) and (order_id is not None or from_id is not None):
        raise bad_combination()
    found = [
        t
        for t in exchange.seen_records.trades(symbol)
        if (order_id is None or t.order_id == order_id)
        and (from_id is None or t.trade_id >= from_id)
        and (start is None or t.time_ms >= start)
        and (end is None or t.time_ms <= end)
    ]
    forward = from_id is not None or start is not None
    return [documents.traded(t) for t in (found[:limit] if forward else found[-limit:])]


def within_a_day(parameters: Parameters) -> tuple[int | None, int | None]:
    """Return startTime and endTime; refuse more than 24 hours between them."""
    start, end = parameters.integer("startTime"), parameters.integer("endTime")
    if start is not None and end is not None and end - start > DAY_MS:
        raise Refused(-1127, "More than 24 hours between startTime and endTime.")
    return start, end


def account(exchange: Exchange, parameters: Parameters) -> dict[str, Any]:
    """Return the account with its balances."""
    omit = (parameters.text("omitZeroBalances") or "").lower() == "true"
    parameters.require_all_read()
    listed = [exchange.market.listing(s) for s in exchange.market.symbols]
    assets = {a for one in listed for a in (one.base, one.quote)}
    terms = exchange.settlement.terms
    return documents.account(
        exchange.seen_wallet,
        maker_fee=terms.maker_fee,
        taker_fee=terms.taker_fee,
        time_ms=exchange.clock.now_ms(),
        assets=sorted(assets | set(exchange.wallet.assets)),
        omit_zeros=omit,
    )


def order_counts(exchange: Exchange, parameters: Parameters) -> list[dict[str, Any]]:
    """Return the unfilled order counts."""
    parameters.require_all_read()
    return exchange.limits.order_counts()


def signed(
    method: str, path: str, call: Any, weight: Any = 1, *, is_order: bool = False
) -> Endpoint:
    """Return an endpoint under /api/v3 that asks for a signature."""
    return Endpoint(method, f"/api/v3/{path}", call, weight, Access.SIGNED, is_order)


TRADING_ENDPOINTS = (
    signed("POST", "order", place, is_order=True),
    signed("POST", "order/test", rehearse, rehearsal_weight),
    signed("GET", "order", query, 4),
    signed("DELETE", "order", cancel, is_order=True),
    signed("GET", "openOrders", open_orders, lambda p: 6 if p.text("symbol") else 80),
    signed("DELETE", "openOrders", cancel_all, is_order=True),
    signed("GET", "allOrders", all_orders, 20),
    signed("GET", "myTrades", my_trades, lambda p: 5 if p.text("orderId") else 20),
    signed("GET", "account", account, 20),
    signed("GET", "account/commission", commission, 20),
    signed("GET", "rateLimit/order", order_counts, 40),
)
