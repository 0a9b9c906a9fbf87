"""Order lists: OCO, OTO, OTOCO, and OPO(CO), whose sells are sized by what the buy received.

The two legs of an OCO hold the account's money once. When one acts, the other expires first.
Pending legs are placed when the working order is filled entirely.

Add here: another kind of list. Keep out: how single orders match.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from enum import StrEnum
from hashlib import sha256
from typing import TYPE_CHECKING

from thunes_core.domain.orders import OrderType, Side
from thunes_core.testnet.admission import admitted, require_admissible
from thunes_core.testnet.filters import max_lists
from thunes_core.testnet.listing import Listing
from thunes_core.testnet.orders import (
    STOP_LOSSES,
    Change,
    ExchangeOrder,
    NewOrder,
    Status,
    Trade,
)
from thunes_core.testnet.refusals import Refused, filter_failure, rejected
from thunes_core.testnet.triggers import crosses, is_past_stop

if TYPE_CHECKING:
    from thunes_core.testnet.matching import Exchange


WOULD_TAKE = "WOULD_MATCH_IMMEDIATELY"


class Contingency(StrEnum):
    """How the orders of a list depend on each other."""

    OCO = "OCO"
    OTO = "OTO"


@dataclass(frozen=True, slots=True)
class NewList:
    """What a client asks for: perhaps a working order, then one leg or a pair (above, below).

    `sized_by_fill`: the legs' quantity is what the working buy receives, in whole lots.
    """

    working: NewOrder | None
    legs: tuple[NewOrder, ...]
    client_id: str | None = None
    sized_by_fill: bool = False

    @property
    def all(self) -> tuple[NewOrder, ...]:
        """Every order of the list, the working one first."""
        return (self.working, *self.legs) if self.working else self.legs


@dataclass(slots=True, eq=False)
class OrderList:
    """A list on the exchange."""

    list_id: int
    client_id: str
    asked: NewList
    time_ms: int
    working: ExchangeOrder | None = None
    legs: list[ExchangeOrder] = field(default_factory=list)

    @property
    def symbol(self) -> str:
        """The symbol of all its orders."""
        return self.asked.legs[0].symbol

    @property
    def contingency(self) -> Contingency:
        """OTO when a working order leads, else OCO."""
        return Contingency.OTO if self.working else Contingency.OCO

    @property
    def orders(self) -> list[ExchangeOrder]:
        """Every order, the working one first."""
        return [self.working, *self.legs] if self.working else list(self.legs)

    @property
    def is_open(self) -> bool:
        """True while an order of it can still change."""
        return any(order.is_open for order in self.orders)


class Lists:
    """The order lists of one exchange."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self._lists: list[OrderList] = []
        self._by_client: dict[str, OrderList] = {}
        self._open: list[OrderList] = []

    def all(self) -> Sequence[OrderList]:
        """Return every list, oldest first."""
        return self._lists

    def find(self, list_id: int | None, client_id: str | None) -> OrderList | None:
        """Return the list with that id, else the newest with that client id, else None."""
        if list_id is not None:
            return self._lists[list_id] if 0 <= list_id < len(self._lists) else None
        return self._by_client.get(client_id or "")

    def open(self) -> Sequence[OrderList]:
        """Return the lists that are open, oldest first."""
        self._open = [one for one in self._open if one.is_open]
        return self._open

    def open_count(self, symbol: str) -> int:
        """Return how many lists of `symbol` are open."""
        return sum(1 for one in self.open() if one.symbol == symbol)

    def place(self, asked: NewList) -> OrderList:
        """Accept a list, or refuse it whole."""
        exchange = self._exchange
        symbol = asked.legs[0].symbol
        self._require(asked)
        first = asked.working or asked.legs[0]
        needs = [exchange.needed(one) for one in ((first,) if asked.working else asked.legs)]
        asset, amount = max(needs, key=lambda need: need[1])
        exchange.settlement.require_payable(asset, amount)
        exchange.limits.use_order(len(asked.all))
        made = OrderList(len(self._lists), asked.client_id or "", asked, exchange.present_ms)
        made.client_id = asked.client_id or _list_id(symbol, made.list_id)
        self._lists.append(made)
        self._by_client[made.client_id] = made
        self._create(made)
        self._open.append(made)
        exchange.settlement.hold(made.orders[0], asset, amount)
        self._start(made)
        return made

    def _require(self, asked: NewList) -> None:
        exchange = self._exchange
        listing = exchange.market.listing(asked.legs[0].symbol)
        if len(asked.legs) == 2:
            require_pair(*asked.legs)
        self._require_offered(asked, listing)
        if asked.working is None:
            for n, one in enumerate(asked.legs):
                admitted(exchange, one, asked.legs[:n])
        else:
            admitted(exchange, asked.working)
            for n, one in enumerate(asked.legs):
                sized = replace(one, quantity=one.quantity or asked.working.quantity)
                require_admissible(exchange, sized, (asked.working, *asked.legs[:n]))
        self._require_room(listing)
        found = self.find(None, asked.client_id) if asked.client_id else None
        if found is not None and found.is_open:
            raise rejected("Duplicate order sent.")

    def _require_offered(self, asked: NewList, listing: Listing) -> None:
        if len(asked.legs) == 2 and not listing.allows("ocoAllowed"):
            raise rejected("OCO orders are not supported for this symbol")
        if asked.sized_by_fill and not listing.allows("opoAllowed"):
            raise rejected("OPO orders are not supported for this symbol.")

    def _require_room(self, listing: Listing) -> None:
        """Refuse a list beyond what may be open on the symbol, or on the exchange."""
        if self.open_count(listing.symbol) >= max_lists(listing):
            raise filter_failure("MAX_NUM_ORDER_LISTS")
        everywhere = len(self.open())
        for rule in self._exchange.options.exchange_filters:
            most = rule.get("maxNumOrderLists")
            if most is not None and everywhere >= most:
                raise filter_failure("EXCHANGE_MAX_NUM_ORDER_LISTS")

    def _create(self, made: OrderList) -> None:
        exchange = self._exchange
        if made.asked.working:
            made.working = exchange.create(made.asked.working, made.list_id)
        status = Status.PENDING_NEW if made.working else Status.NEW
        made.legs = [exchange.create(one, made.list_id, status) for one in made.asked.legs]

    def _start(self, made: OrderList) -> None:
        exchange = self._exchange
        for order in made.orders:
            exchange.tell(order, Change.NEW)
        price = exchange.market.price(made.symbol, exchange.present_ms)
        for order in [made.working] if made.working else made.legs:
            if order is not None and order.is_open:
                exchange.start(order, price, exchange.present_ms)

    def before_act(self, order: ExchangeOrder, time_ms: int) -> None:
        """Let the other leg of an OCO expire before `order` acts, and take over its hold."""
        for sibling in self.siblings(order):
            self._exchange.settlement.pass_hold(sibling, order)
            self._exchange.end(sibling, Status.EXPIRED, time_ms)

    def siblings(self, order: ExchangeOrder) -> list[ExchangeOrder]:
        """Return the open legs that stand beside `order` in an OCO."""
        found = self.find(order.list_id, None)
        if found is None or order not in found.legs:
            return []
        return [leg for leg in found.legs if leg is not order and leg.is_open]

    def after_trade(self, trade: Trade) -> None:
        """Lock what the working buy of a list received for the sells that it will size."""
        found = self.find(trade.list_id, None)
        if found is None or not found.asked.sized_by_fill or found.working is None:
            return
        base = self._exchange.market.listing(trade.symbol).base
        if trade.order_id == found.working.order_id:
            received = trade.quantity - (trade.fee if trade.fee_asset == base else Decimal(0))
            self._exchange.settlement.hold_more(found.legs[0], base, received)

    def after_fill(self, order: ExchangeOrder, time_ms: int) -> None:
        """Place the pending legs once the working order is filled."""
        found = self.find(order.list_id, None)
        if found is None or found.working is not order:
            return
        legs = [leg for leg in found.legs if leg.status is Status.PENDING_NEW]
        if found.asked.sized_by_fill:
            self._size(legs, order)
        self._activate(legs, time_ms)

    def _size(self, legs: list[ExchangeOrder], working: ExchangeOrder) -> None:
        """Give the legs what the buy received, its fee deducted, in whole lots."""
        listing = self._exchange.market.listing(working.symbol)
        fees = sum((t.fee for t in working.trades if t.fee_asset == listing.base), Decimal(0))
        quantity = (working.executed - fees) // listing.step * listing.step
        for leg in legs:
            leg.quantity = quantity
            leg.asked = replace(leg.asked, quantity=quantity)

    def _activate(self, legs: list[ExchangeOrder], time_ms: int) -> None:
        exchange = self._exchange
        exchange.settlement.release(legs[0])
        asset, amount = max((exchange.needed(leg.asked) for leg in legs), key=lambda n: n[1])
        payable = exchange.settlement.can_pay(asset, amount) and legs[0].quantity > 0
        price = exchange.price_now(legs[0].symbol, time_ms)
        taking = any(
            leg.asked.type is OrderType.LIMIT_MAKER and crosses(leg.asked, price) for leg in legs
        )
        if not payable or taking:
            for leg in legs:
                leg.reject_reason = "INSUFFICIENT_BALANCES" if not payable else WOULD_TAKE
                exchange.end(leg, Status.REJECTED, time_ms)
            return
        exchange.settlement.hold(legs[0], asset, amount)
        for leg in legs:
            leg.status, leg.update_ms = Status.NEW, time_ms
            exchange.tell(leg, Change.NEW)
        for leg in sorted(legs, key=lambda leg: not is_past_stop(leg.asked, price)):
            if leg.is_open:
                exchange.start(leg, price, time_ms)

    def after_end(self, order: ExchangeOrder, time_ms: int) -> None:
        """End the pending legs of a working order that ended unfilled."""
        found = self.find(order.list_id, None)
        if found is None or found.working is not order:
            return
        for leg in found.legs:
            if leg.status is Status.PENDING_NEW:
                self._exchange.end(leg, order.status, time_ms)

    def cancel(self, found: OrderList, cancel_id: str | None = None) -> OrderList:
        """Cancel every open order of a list, all by the same client id when one is given."""
        still_open = [order for order in found.orders if order.is_open]
        for order in still_open:
            order.cancel_id = cancel_id or order.usual_cancel_id
        for order in still_open:
            if order.is_open:
                self._exchange.end(order, Status.CANCELED, self._exchange.present_ms)
        return found


def require_pair(above: NewOrder, below: NewOrder) -> None:
    """Refuse two legs that are no OCO: kinds, sides of the market, order of prices."""
    maker = OrderType.LIMIT_MAKER
    if (above.type in STOP_LOSSES) == (below.type in STOP_LOSSES):
        code = -1168 if above.type is below.type is maker else -1158
        text = {-1168: "At least one OCO order must be contingent.", -1158: _BAD_TYPE}[code]
        raise Refused(code, text)
    selling = above.side is Side.SELL
    for leg, belongs_above in ((above, True), (below, False)):
        if (leg.type in STOP_LOSSES) == (belongs_above == selling):
            raise _misplaced(leg, selling=selling)
    if _trigger(above) <= _trigger(below):
        raise rejected("The relationship of the prices for the orders is not correct.")


_BAD_TYPE = "Order type not supported in OCO."


def _trigger(leg: NewOrder) -> Decimal:
    if leg.trailing_delta is not None and leg.stop_price is None:
        return Decimal("Infinity") if leg.triggers_falling is False else Decimal(0)
    return (leg.price if leg.type is OrderType.LIMIT_MAKER else leg.stop_price) or Decimal(0)


def _misplaced(leg: NewOrder, *, selling: bool) -> Refused:
    side = "sell" if selling else "buy"
    if leg.type is OrderType.LIMIT_MAKER:
        return Refused(
            -1166 if selling else -1165,
            f"A limit order in a {side} OCO must be {'above' if selling else 'below'}.",
        )
    if leg.type in STOP_LOSSES:
        return Refused(
            -1197 if selling else -1196,
            f"A stop loss order in a {side} OCO must be {'below' if selling else 'above'}.",
        )
    return Refused(
        -1199 if selling else -1198,
        f"A take profit order in a {side} OCO must be {'above' if selling else 'below'}.",
    )


def _list_id(symbol: str, list_id: int) -> str:
    return sha256(f"list|{symbol}|{list_id}".encode()).hexdigest()[:22]
