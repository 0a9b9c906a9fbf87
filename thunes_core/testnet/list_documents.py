"""Order lists as the exchange's REST documents.

Add here: a field of a list's document. Keep out: where it is served.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from thunes_core.testnet.order_lists import OrderList
from thunes_core.testnet.orders import ExchangeOrder
from thunes_core.testnet.records import Records


def listed(one: OrderList, seen: Records | None = None) -> dict[str, Any]:
    """Return a list as queries show it, open or done as its orders are in what is `seen`."""
    is_open = one.is_open if seen is None else is_seen_open(one, seen)
    return {
        "orderListId": one.list_id,
        "contingencyType": str(one.contingency),
        "listStatusType": "EXEC_STARTED" if is_open else "ALL_DONE",
        "listOrderStatus": "EXECUTING" if is_open else "ALL_DONE",
        "listClientOrderId": one.client_id,
        "transactionTime": one.time_ms,
        "symbol": one.symbol,
        "orders": [
            {"symbol": o.symbol, "orderId": o.order_id, "clientOrderId": o.client_id}
            for o in one.orders
        ],
    }


def is_seen_open(one: OrderList, seen: Records) -> bool:
    """True when an order of the list is open in what is `seen`."""
    found = (seen.find(order.symbol, order.order_id, None) for order in one.orders)
    return any(order is not None and order.is_open for order in found)


def amended_list(one: OrderList) -> dict[str, Any]:
    """Return a list as the answer to an amendment of one of its orders shows it."""
    document = listed(one)
    return {k: v for k, v in document.items() if k not in ("listStatusType", "transactionTime")}


def reported(
    one: OrderList, time_ms: int, report: Callable[[ExchangeOrder], dict[str, Any]]
) -> dict[str, Any]:
    """Return the answer to placing or cancelling a list, with a report for each order."""
    return {
        **listed(one),
        "transactionTime": time_ms,
        "orderReports": [report(order) for order in one.orders],
    }
