"""The exchange itself: one account, its orders and fills, on a market and a clock.

Market orders fill at the last price, worse by the slippage. Limit orders rest and fill when the
price path goes through them, at their limit, or at a candle's open that leapt over it. Stops go
off when the path touches them.

Add here: how orders match. Keep out: HTTP, the shape of documents, the account's money.
"""

from __future__ import annotations

import heapq
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from enum import StrEnum
from hashlib import sha256

from thunes_core.domain.orders import OrderType, Side, TimeInForce
from thunes_core.testnet.clock import ExchangeClock
from thunes_core.testnet.filters import Situation, require_filters
from thunes_core.testnet.limits import RateLimits
from thunes_core.testnet.listing import TRADING, Listing
from thunes_core.testnet.market import Market
from thunes_core.testnet.orders import ExchangeOrder, NewOrder, Status, Trade
from thunes_core.testnet.records import Records
from thunes_core.testnet.refusals import (
    cancel_rejected,
    insufficient_balance,
    market_closed,
    rejected,
)
from thunes_core.testnet.security import LOCAL_KEY, LOCAL_SECRET, Key
from thunes_core.testnet.series import Crossing
from thunes_core.testnet.settlement import Settlement, Terms
from thunes_core.testnet.wallet import Wallet


@dataclass(frozen=True, slots=True)
class Options:
    """How the exchange treats its account.

    `cash` is what it starts with in every quote asset; `balances` (by asset) replace that.
    `enforce_limits` None: rate limits bind unless the clock is stepped.
    """

    cash: Decimal = Decimal(10_000)
    balances: Mapping[str, Decimal] | None = None
    terms: Terms = Terms()  # noqa: RUF009 - frozen
    enforce_limits: bool | None = None


class Change(StrEnum):
    """What happened to an order; the execution types of the user data stream."""

    NEW = "NEW"
    TRADE = "TRADE"
    CANCELED = "CANCELED"
    EXPIRED = "EXPIRED"
    REJECTED = "REJECTED"


Listener = Callable[[ExchangeOrder, Change, Trade | None, int], None]


class Exchange:
    """One account on one market. Every public method is called with `lock` held."""

    def __init__(
        self,
        market: Market,
        clock: ExchangeClock,
        options: Options = Options(),
        keys: Mapping[str, Key] | None = None,
    ) -> None:
        self.lock = threading.RLock()
        self.market = market
        self.clock = clock
        self.options = options
        self.keys = dict(keys or {LOCAL_KEY: Key(secret=LOCAL_SECRET)})
        enforced = options.enforce_limits
        self.limits = RateLimits(
            clock, enforced=not clock.is_stepped if enforced is None else enforced
        )
        self.wallet = Wallet(options.balances or _cash_in_each_quote(market, options.cash))
        self.records = Records()
        self.settlement = Settlement(market, self.wallet, self.records, options.terms)
        self.listeners: list[Listener] = []
        self._coming: list[tuple[int, str, int, Crossing]] = []
        self._time_ms = clock.now_ms()

    def advance(self) -> None:
        """Let the market run up to the clock's present, and every order with it."""
        now = self.clock.now_ms()
        if now <= self._time_ms:
            return
        self._time_ms = now
        for order in self.records.open_orders():
            self._watch(order)
        while self._coming:
            _, symbol, order_id, crossing = heapq.heappop(self._coming)
            order = self.records.orders(symbol)[order_id - 1]
            if order.is_open:
                self._reach(order, crossing)

    def check(self, asked: NewOrder) -> NewOrder:
        """Return `asked` with its quantity, or refuse it; places nothing."""
        listing = self.market.listing(asked.symbol)
        if listing.status != TRADING:
            raise market_closed()
        last = self.market.price(asked.symbol, self._time_ms)
        require_filters(asked, listing, self._situation(listing, last))
        self._require_unused_id(asked)
        _require_sensible(asked, last)
        return self._sized(asked, listing, last)

    def place(self, asked: NewOrder) -> ExchangeOrder:
        """Accept a new order and match it, or refuse it."""
        asked = self.check(asked)
        quantity = asked.quantity or Decimal(0)
        last = self.market.price(asked.symbol, self._time_ms)
        asset, amount = self.settlement.needed(asked, quantity, last)
        self.settlement.require_payable(asset, amount)
        self.limits.use_order()
        order = self.create(asked)
        if asked.type is not OrderType.MARKET:
            self.settlement.hold(order, asset, amount)
        self.tell(order, Change.NEW)
        self.start(order, last, self._time_ms)
        return order

    def create(self, asked: NewOrder) -> ExchangeOrder:
        """Record a new order; it does not match yet."""
        order_id = self.records.next_order_id(asked.symbol)
        order = ExchangeOrder(
            asked,
            order_id,
            asked.client_id or _client_id(asked.symbol, order_id),
            asked.quantity or Decimal(0),
            self._time_ms,
            self._time_ms,
            checked_ms=self._time_ms,
        )
        self.records.add(order)
        return order

    def start(self, order: ExchangeOrder, price: Decimal, time_ms: int) -> None:
        """Let an accepted order work, or wait for its trigger."""
        order.checked_ms = time_ms
        if order.asked.is_stop:
            order.waits = True
            self._watch(order)
        else:
            self._work(order, price, time_ms)

    def cancel(self, order: ExchangeOrder | None) -> ExchangeOrder:
        """Cancel an open order, or refuse with -2011."""
        if order is None or not order.is_open:
            raise cancel_rejected()
        self.end(order, Status.CANCELED, self._time_ms)
        return order

    def end(self, order: ExchangeOrder, status: Status, time_ms: int) -> None:
        """End an order unfilled in the rest, freeing what it holds."""
        self.settlement.release(order)
        order.status, order.update_ms = status, time_ms
        self.records.settle(order)
        self.tell(order, Change.CANCELED if status is Status.CANCELED else Change.EXPIRED)

    def tell(self, order: ExchangeOrder, change: Change, trade: Trade | None = None) -> None:
        """Tell every listener what happened."""
        for listener in self.listeners:
            listener(order, change, trade, order.update_ms)

    def _watch(self, order: ExchangeOrder) -> None:
        """Look for the order's next event up to the present, and queue it."""
        crossing = self._next_crossing(order)
        if crossing is None:
            order.checked_ms = self._time_ms
            return
        entry = (crossing.time_ms, order.symbol, order.order_id, crossing)
        heapq.heappush(self._coming, entry)

    def _next_crossing(self, order: ExchangeOrder) -> Crossing | None:
        asked = order.asked
        if order.status is Status.PENDING_NEW or order.checked_ms >= self._time_ms:
            return None
        level = asked.stop_price if order.waits else asked.price
        if level is None:
            return None
        return self.market.find(order.symbol).first_crossing(
            order.checked_ms,
            self._time_ms,
            level,
            falling=asked.triggers_falling if order.waits else order.is_buy,
            touch=order.waits,
        )

    def _reach(self, order: ExchangeOrder, crossing: Crossing) -> None:
        """Let the path reach the order: a stop goes off, a resting limit fills."""
        time_ms = crossing.time_ms
        order.checked_ms = time_ms
        level = order.asked.stop_price if order.waits else order.asked.price
        price = level or Decimal(0)
        if crossing.jump is not None:
            price = Decimal(str(round(crossing.jump, 8)))
        if order.waits:
            order.waits = False
            self._work(order, price, time_ms)
        else:
            self._execute(order, price, time_ms, is_maker=True)

    def _work(self, order: ExchangeOrder, price: Decimal, time_ms: int) -> None:
        """Match an order that has become active while the last price is `price`."""
        order.working_ms = order.update_ms = time_ms
        if not order.is_limit:
            taken = self.settlement.taker_price(order.symbol, order.asked.side, price)
            self._execute(order, taken, time_ms, is_maker=False)
        elif crosses(order.asked, price):
            taken = self.settlement.taker_price(order.symbol, order.asked.side, price)
            bound = min if order.is_buy else max
            taken = bound(taken, order.limit_price)
            self._execute(order, taken, time_ms, is_maker=False)
        elif order.asked.time_in_force is not TimeInForce.GTC:
            self.end(order, Status.EXPIRED, time_ms)
        else:
            self._watch(order)

    def _execute(
        self, order: ExchangeOrder, price: Decimal, time_ms: int, *, is_maker: bool
    ) -> None:
        if not self.settlement.affordable(order, price, order.remaining):
            self.end(order, Status.EXPIRED, time_ms)
            return
        quantity = order.remaining
        trade = self.settlement.book(order, price, quantity, time_ms, is_maker=is_maker)
        order.update_ms = time_ms
        order.status = Status.FILLED
        self.limits.forgive_order()
        self.records.settle(order)
        self.tell(order, Change.TRADE, trade)

    def _situation(self, listing: Listing, last: Decimal) -> Situation:
        return Situation(
            self.market.find(listing.symbol).average_price(self._time_ms),
            last,
            self.records.open_orders(listing.symbol),
            0,
            self.wallet.total(listing.base),
        )

    def _require_unused_id(self, asked: NewOrder) -> None:
        found = self.records.find(asked.symbol, None, asked.client_id)
        if found is not None and found.is_open:
            raise rejected("Duplicate order sent.")

    def _sized(self, asked: NewOrder, listing: Listing, last: Decimal) -> NewOrder:
        """Turn a quote quantity into the base quantity that it buys or sells."""
        if asked.quote_quantity is None:
            return asked
        price = self.settlement.taker_price(asked.symbol, asked.side, last)
        quantity = asked.quote_quantity // (price * listing.step) * listing.step
        if quantity <= 0:
            raise insufficient_balance()
        return replace(asked, quantity=quantity)


def crosses(asked: NewOrder, last: Decimal) -> bool:
    """True when a limit order would take at once while the last price is `last`."""
    if asked.price is None:
        return False
    return asked.price > last if asked.side is Side.BUY else asked.price < last


def _require_sensible(asked: NewOrder, last: Decimal) -> None:
    """Refuse stops that would go off at once and makers that would take."""
    if asked.is_stop and asked.stop_price is not None and asked.trailing_delta is None:
        gone = last <= asked.stop_price if asked.triggers_falling else last >= asked.stop_price
        if gone:
            raise rejected("Order would trigger immediately.")
    if asked.type is OrderType.LIMIT_MAKER and crosses(asked, last):
        raise rejected("Order would immediately match and take.")


def _client_id(symbol: str, order_id: int) -> str:
    """Return a client order id for an order that came without one; always the same for it."""
    return sha256(f"{symbol}|{order_id}".encode()).hexdigest()[:22]


def _cash_in_each_quote(market: Market, cash: Decimal) -> dict[str, Decimal]:
    quotes = {market.listing(symbol).quote for symbol in market.symbols}
    return dict.fromkeys(sorted(quotes), cash)
