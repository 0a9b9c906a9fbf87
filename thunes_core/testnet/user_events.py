"""The user data stream's events: orders, lists, balances.

Add here: an event about the account. Keep out: who is subscribed (`sockets`).
"""

from __future__ import annotations

from collections import deque
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from thunes_core.testnet.order_documents import ALLOCATED, NO_GROUP, money, working_floor
from thunes_core.testnet.order_lists import OrderList
from thunes_core.testnet.orders import NEVER_MS, Change, ExchangeOrder, Trade

if TYPE_CHECKING:
    from thunes_core.testnet.matching import Exchange

Event = dict[str, Any]
ZERO = Decimal(0)


class UserFeed:
    """Collects the account's events from the moment it is made; a subscriber drains them."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self._events: deque[Event] = deque(maxlen=10_000)
        self._told_lists: dict[int, str] = {}
        exchange.watchers.append(self)

    def close(self) -> None:
        """Stop collecting."""
        self._exchange.watchers.remove(self)

    def drain(self) -> list[Event]:
        """Return the events collected since the last call."""
        found = list(self._events)
        self._events.clear()
        return found

    def _tell(self, event: Event) -> None:
        """Collect an event; while streams are silent it is lost."""
        if not self._exchange.conditions.streams_silent:
            self._events.append(event)

    def order_changed(self, order: ExchangeOrder, change: Change, trade: Trade | None) -> None:
        """Collect what happened to an order, its list and the balances it moves."""
        now = self._exchange.present_ms
        self._tell(execution_report(order, change, trade, now))
        found = self._exchange.lists.find(order.list_id, None)
        if found is not None:
            self._list_changed(found, now)
            if change is Change.REPLACED:
                self._tell(list_status(found, now) | {"l": "UPDATED"})
        listing = self._exchange.market.listing(order.symbol)
        assets = dict.fromkeys((listing.base, listing.quote))
        if trade is not None:
            assets[trade.fee_asset] = None
        self._tell(account_position(self._exchange, list(assets), order.update_ms, now))

    def _list_changed(self, found: OrderList, now_ms: int) -> None:
        state = "EXEC_STARTED" if found.is_open else "ALL_DONE"
        if self._told_lists.get(found.list_id) != state and len(found.orders) > 1:
            self._told_lists[found.list_id] = state
            self._tell(list_status(found, now_ms))

    def money_came(self, asset: str, amount: Decimal) -> None:
        """Collect a deposit or withdrawal."""
        now = self._exchange.present_ms
        self._tell({"e": "balanceUpdate", "E": now, "a": asset, "d": money(amount), "T": now})
        self._tell(account_position(self._exchange, [asset], now, now))


def execution_report(
    order: ExchangeOrder, change: Change, trade: Trade | None, now_ms: int
) -> Event:
    """Return the event of one change of an order."""
    asked = order.asked
    fields: Event = {
        "e": "executionReport",
        "E": now_ms,
        "s": order.symbol,
        "c": order.client_id,
        "S": str(asked.side),
        "o": str(asked.type),
        "f": str(asked.time_in_force),
        "q": money(order.quantity),
        "p": money(asked.price or ZERO),
        "P": money(asked.stop_price or ZERO),
        "F": money(asked.iceberg_quantity or ZERO),
        "g": order.list_id,
        "C": "",
        "x": str(change),
        "X": str(order.status),
        "r": order.reject_reason,
        "i": order.order_id,
        "l": money(trade.quantity if trade else ZERO),
        "z": money(order.executed),
        "L": money(trade.price if trade else ZERO),
        "n": money(trade.fee) if trade else "0",
        "N": trade.fee_asset if trade else None,
        "T": order.update_ms,
        "t": trade.trade_id if trade else -1,
        "v": 0,
        "I": order.execution_id,
        "w": order.works,
        "m": bool(trade and trade.is_maker),
        "M": False,
        "O": order.time_ms,
        "Z": money(order.quote),
        "Y": money(trade.quote if trade else ZERO),
        "Q": money(asked.quote_quantity or ZERO),
        "V": str(asked.prevention),
    }
    if order.works or order.working_ms != NEVER_MS:
        fields["W"] = order.time_ms if order.working_ms == NEVER_MS else order.working_ms
    if asked.trailing_delta is not None:
        fields["d"] = asked.trailing_delta
    if order.trailing_ms != NEVER_MS:
        fields["D"] = order.trailing_ms
    if asked.strategy_id is not None:
        fields["j"] = asked.strategy_id
    if asked.strategy_type is not None:
        fields["J"] = asked.strategy_type
    if change is Change.CANCELED:
        fields["C"], fields["c"] = order.client_id, order.cancel_id
    return fields | _routing_fields(order, trade) | _prevention_fields(order, change)


def _routing_fields(order: ExchangeOrder, trade: Trade | None) -> Event:
    if not order.asked.is_routed:
        return {}
    fields: Event = {"k": working_floor(order), "uS": True}
    if trade is not None and trade.allocation_id is not None:
        fields |= {"b": ALLOCATED, "a": trade.allocation_id}
    return fields


def _prevention_fields(order: ExchangeOrder, change: Change) -> Event:
    """Return what a report of prevention tells of the order on the other side."""
    if change is not Change.TRADE_PREVENTION or not order.matches_prevented:
        return {}
    match = order.matches_prevented[-1]
    is_taker = match.taker_id == order.order_id
    last = match.taker_quantity if is_taker else match.maker_quantity
    return {
        "v": match.number,
        "A": money(order.prevented),
        "B": money(last or ZERO),
        "u": NO_GROUP,
        "U": match.maker_id if is_taker else match.taker_id,
        "Cs": match.symbol,
        "pl": money(last or ZERO),
        "pL": money(match.price),
        "pY": money((last or ZERO) * match.price),
    }


def account_position(exchange: Exchange, assets: list[str], update_ms: int, now_ms: int) -> Event:
    """Return the event of balances that may have changed."""
    wallet = exchange.wallet
    return {
        "e": "outboundAccountPosition",
        "E": now_ms,
        "u": update_ms,
        "B": [{"a": a, "f": money(wallet.free(a)), "l": money(wallet.held(a))} for a in assets],
    }


def list_status(found: OrderList, now_ms: int) -> Event:
    """Return the event of a list that began or ended."""
    return {
        "e": "listStatus",
        "E": now_ms,
        "s": found.symbol,
        "g": found.list_id,
        "c": str(found.contingency),
        "l": "EXEC_STARTED" if found.is_open else "ALL_DONE",
        "L": "EXECUTING" if found.is_open else "ALL_DONE",
        "r": "NONE",
        "C": found.client_id,
        "T": now_ms,
        "O": [{"s": o.symbol, "i": o.order_id, "c": o.client_id} for o in found.orders],
    }
