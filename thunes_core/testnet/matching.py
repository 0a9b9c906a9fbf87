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
from decimal import Decimal
from hashlib import sha256

from thunes_core.domain.orders import OrderType, TimeInForce
from thunes_core.testnet.admission import admitted, with_default_prevention
from thunes_core.testnet.clock import ExchangeClock
from thunes_core.testnet.fault_queue import Faults
from thunes_core.testnet.faults import Conditions
from thunes_core.testnet.limits import RateLimits
from thunes_core.testnet.liquidity import Book
from thunes_core.testnet.market import Market
from thunes_core.testnet.options import Options
from thunes_core.testnet.order_lists import Lists
from thunes_core.testnet.orders import (
    ENDINGS,
    NO_LIST,
    Change,
    ExchangeOrder,
    NewOrder,
    Status,
    Trade,
)
from thunes_core.testnet.records import Records
from thunes_core.testnet.refusals import cancel_rejected
from thunes_core.testnet.security import LOCAL_KEY, LOCAL_SECRET, Key
from thunes_core.testnet.series import Crossing
from thunes_core.testnet.settlement import Settlement
from thunes_core.testnet.taking import take
from thunes_core.testnet.triggers import crosses, is_past_stop, next_crossing
from thunes_core.testnet.wallet import PastWallets, Wallet
from thunes_core.testnet.watchers import Watcher

_USUAL = Options()


class Exchange:
    """One account on one market. Every public method is called with `lock` held."""

    def __init__(
        self,
        market: Market,
        clock: ExchangeClock,
        options: Options = _USUAL,
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
        self.book = Book(options.depth)
        self.lists = Lists(self)
        self.watchers: list[Watcher] = []
        self.faults = Faults()
        self.conditions = Conditions()
        self._past = PastWallets(self.wallet)
        self._acts = 0
        self._scheduled: list[tuple[int, int, Callable[[], None]]] = []
        self._coming: list[tuple[int, str, int, Crossing]] = []
        self._event_price: dict[str, Decimal] = {}
        self.present_ms = clock.now_ms()

    def advance(self) -> None:
        """Let the market run up to the clock's present, and every order with it."""
        now = self.clock.now_ms()
        while self._scheduled and self._scheduled[0][0] <= now:
            time_ms, _, act = heapq.heappop(self._scheduled)
            self._run_until(time_ms)
            act()
        self._run_until(now)

    def schedule(self, time_ms: int, act: Callable[[], None]) -> None:
        """Let `act` happen when the exchange's clock reaches `time_ms`, or now if it has."""
        self._acts += 1
        heapq.heappush(self._scheduled, (time_ms, self._acts, act))
        self.advance()

    def _run_until(self, time_ms: int) -> None:
        if time_ms <= self.present_ms:
            return
        self.present_ms = time_ms
        for order in self.records.open_orders():
            self._watch(order)
        while self._coming:
            _, symbol, order_id, crossing = heapq.heappop(self._coming)
            order = self.records.get(symbol, order_id)
            if order.is_open:
                self._reach(order, crossing)

    def needed(self, asked: NewOrder) -> tuple[str, Decimal]:
        """Return the asset and amount that an order must be able to pay now."""
        last = self.market.price(asked.symbol, self.present_ms)
        return self.settlement.needed(asked, asked.quantity or Decimal(0), last)

    def place(self, asked: NewOrder) -> ExchangeOrder:
        """Accept a new order and match it, or refuse it."""
        asked = admitted(self, asked)
        asset, amount = self.needed(asked)
        self.settlement.require_payable(asset, amount)
        self.limits.use_order()
        order = self.create(asked)
        if asked.type is not OrderType.MARKET:
            self.settlement.hold(order, asset, amount)
        self.tell(order, Change.NEW)
        self.start(order, self.market.price(asked.symbol, self.present_ms), self.present_ms)
        return order

    def create(
        self, asked: NewOrder, list_id: int = NO_LIST, status: Status = Status.NEW
    ) -> ExchangeOrder:
        """Record a new order; it does not match yet."""
        asked = with_default_prevention(self, asked)
        order_id = self.records.next_order_id(asked.symbol)
        order = ExchangeOrder(
            asked,
            order_id,
            asked.client_id or _client_id(asked.symbol, order_id),
            asked.quantity or Decimal(0),
            self.present_ms,
            self.present_ms,
            status=status,
            list_id=list_id,
            waits=asked.is_stop,
            checked_ms=self.present_ms,
        )
        self.records.add(order)
        return order

    def start(self, order: ExchangeOrder, price: Decimal, time_ms: int) -> None:
        """Let an accepted order work, or wait for its trigger."""
        order.checked_ms = time_ms
        if not order.waits:
            self._work(order, price, time_ms)
            return
        if order.asked.trailing_delta is not None and order.asked.stop_price is None:
            self._begin_trail(order, price, time_ms)
        if is_past_stop(order.asked, price):
            self._reach(order, Crossing(time_ms, float(price)))
        else:
            self._watch(order)

    def cancel(self, order: ExchangeOrder | None, cancel_id: str | None = None) -> ExchangeOrder:
        """Cancel an open order, and its whole list; or refuse with -2011."""
        if order is None or not order.is_open:
            raise cancel_rejected()
        found = self.lists.find(order.list_id, None)
        if found is not None:
            self.lists.cancel(found, cancel_id)
        else:
            order.cancel_id = cancel_id or order.usual_cancel_id
            self.end(order, Status.CANCELED, self.present_ms)
        return order

    def end(self, order: ExchangeOrder, status: Status, time_ms: int) -> None:
        """End an order unfilled in the rest, freeing what it holds."""
        self.settlement.release(order)
        order.status, order.update_ms = status, time_ms
        self.records.settle(order)
        self.tell(order, ENDINGS[status])
        self.lists.after_end(order, time_ms)

    def set_status(self, symbol: str, status: str) -> None:
        """Halt a symbol's trading, or resume it and match what the price has passed."""
        traded = self.market.find(symbol)
        traded.set_status(status, self.present_ms)
        if not traded.is_trading:
            return
        price = traded.price(self.present_ms)
        for order in self.records.open_orders(symbol):
            order.checked_ms = self.present_ms
            waiting = order.waits and not order.trails and is_past_stop(order.asked, price)
            resting = not order.waits and crosses(order.asked, price)
            if order.status is not Status.PENDING_NEW and (waiting or resting):
                self._reach(order, Crossing(self.present_ms, float(price)))

    @property
    def told_ms(self) -> int:
        """The time the exchange tells, and checks timestamps against."""
        return self.clock.now_ms() + self.conditions.skew_ms

    @property
    def seen_records(self) -> Records:
        """Orders and trades as reads show them: behind by the lag."""
        lag_ms = self.conditions.lag_ms
        return self.records.as_of(self.present_ms - lag_ms) if lag_ms else self.records

    @property
    def seen_wallet(self) -> Wallet:
        """Balances as reads show them: behind by the lag."""
        lag_ms = self.conditions.lag_ms
        return self._past.as_of(self.present_ms - lag_ms) if lag_ms else self.wallet

    def deposit(self, asset: str, amount: Decimal) -> None:
        """Add `amount` of `asset` from outside; below zero is a withdrawal."""
        self.wallet.add(asset, amount)
        self._past.keep(self.wallet, self.present_ms)
        for watcher in self.watchers:
            watcher.money_came(asset, amount)

    def price_now(self, symbol: str, time_ms: int) -> Decimal:
        """Return the price at an event: where the path crossed, else where it is."""
        return self._event_price.get(symbol) or self.market.price(symbol, time_ms)

    def tell(self, order: ExchangeOrder, change: Change, trade: Trade | None = None) -> None:
        """Remember a change of an order, and tell every watcher."""
        self.records.executions += 1
        order.execution_id = self.records.executions
        self.records.keep_version(order)
        self._past.keep(self.wallet, order.update_ms)
        for watcher in self.watchers:
            watcher.order_changed(order, change, trade)

    def _watch(self, order: ExchangeOrder) -> None:
        """Look for the order's next event up to the present, and queue it."""
        if not order.is_open:
            return
        traded = self.market.find(order.symbol)
        crossing = next_crossing(order, traded, self.present_ms)
        if crossing is None:
            order.checked_ms = self.present_ms
            return
        entry = (crossing.time_ms, order.symbol, order.order_id, crossing)
        heapq.heappush(self._coming, entry)

    def _reach(self, order: ExchangeOrder, crossing: Crossing) -> None:
        """Let the path reach the order: a stop goes off, a resting limit fills."""
        time_ms = crossing.time_ms
        order.checked_ms = time_ms
        price = (order.asked.stop_price if order.waits else order.asked.price) or Decimal(0)
        if crossing.jump is not None:
            price = Decimal(str(round(crossing.jump, 8)))
        self._event_price[order.symbol] = price
        if order.waits and order.asked.trailing_delta is not None and not order.trails:
            self._begin_trail(order, price, time_ms)
            self._watch(order)
            return
        self.lists.before_act(order, time_ms)
        if order.waits:
            order.waits = False
            self._work(order, price, time_ms)
        else:
            step = self.market.listing(order.symbol).step
            share = self.book.resting_share(order, step, time_ms)
            self.fill(order, price, share, time_ms, is_maker=True)
            self._rest(order, time_ms)
        self._event_price.pop(order.symbol, None)

    def _begin_trail(self, order: ExchangeOrder, price: Decimal, time_ms: int) -> None:
        order.trail_extreme, order.trailing_ms = price, time_ms

    def _work(self, order: ExchangeOrder, price: Decimal, time_ms: int) -> None:
        """Match an order that has become active while the last price is `price`."""
        order.working_ms = order.update_ms = time_ms
        tif = order.asked.time_in_force
        if not order.is_limit:
            take(self, order, price, time_ms)
            impatient = True
        else:
            if crosses(order.asked, price) or order.asked.is_routed:
                take(self, order, price, time_ms)
            impatient = tif is not TimeInForce.GTC
        if order.is_open and impatient:
            self.end(order, Status.EXPIRED, time_ms)
        elif order.executed:
            self._rest(order, time_ms)
        else:
            self._watch(order)

    def _rest(self, order: ExchangeOrder, time_ms: int) -> None:
        """Let what a thin book left of an order wait for its next part."""
        if order.is_open:
            order.resume_ms = time_ms + self.book.pause(order, time_ms)
            self._watch(order)

    def fill(
        self,
        order: ExchangeOrder,
        price: Decimal,
        quantity: Decimal,
        time_ms: int,
        *,
        is_maker: bool,
    ) -> None:
        """Execute a part of an order, or end it when the account cannot pay for it."""
        if not self.settlement.affordable(order, price, quantity):
            self.end(order, Status.EXPIRED, time_ms)
            return
        trade = self.settlement.book(
            order,
            price,
            quantity,
            time_ms,
            is_maker=is_maker,
            is_allocation=order.asked.is_routed and not is_maker,
        )
        self.lists.after_trade(trade)
        order.update_ms = time_ms
        order.status = Status.PARTIALLY_FILLED if order.remaining else Status.FILLED
        self.records.settle(order)
        self.tell(order, Change.TRADE, trade)
        if order.status is Status.FILLED:
            self.limits.forgive_order()
            self.lists.after_fill(order, time_ms)


def _client_id(symbol: str, order_id: int) -> str:
    """Return a client order id for an order that came without one; always the same for it."""
    return sha256(f"{symbol}|{order_id}".encode()).hexdigest()[:22]


def _cash_in_each_quote(market: Market, cash: Decimal) -> dict[str, Decimal]:
    quotes = {market.listing(symbol).quote for symbol in market.symbols}
    return dict.fromkeys(sorted(quotes), cash)
