"""The paper broker: market orders fill at once, resting ones when bars or the price reach them.

A market order fills at the latest price made worse by the slippage. A buy pays its fee in the base
asset, as Binance does, unless told otherwise. Resting orders are judged on the closed bars since
they were sent and on the latest price, whenever the account is asked. Implements `Broker`.

Add here: a request that paper answers. Keep out: decisions, the ledger, stores, when orders fill.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Literal

from thunes_core.adapters.paper import store
from thunes_core.adapters.paper.purse import REFUSED, Purse
from thunes_core.adapters.paper.resting import LIMITS, STOPS, Hit, Move, first_stops, hit
from thunes_core.domain.bars import Interval
from thunes_core.domain.filters import broken_filter
from thunes_core.domain.instrument import Filter, Instrument, floor_to_step
from thunes_core.domain.limits import Costs
from thunes_core.domain.orders import (
    ZERO,
    ApprovedOrder,
    Fill,
    Order,
    OrderRequest,
    OrderStatus,
    OrderType,
    Side,
    TimeInForce,
)
from thunes_core.domain.portfolio import Account
from thunes_core.errors import ExchangeRejected
from thunes_core.trading.ports import MarketData

NO_SUCH_ORDER = -2011
BROKEN_FILTER = -1013
CANCEL_FAILED = -2022
SIZED_BY_FILL = "OPO"
LATE = timedelta(seconds=60)
_INSIDE = timedelta(milliseconds=1)


class PaperBroker:
    """An account that exists only in `path`; prices, clock and filters are the market's.

    `cash` is what a new account begins with, in `quote_asset`. `fee_in` says which asset a buy's
    fee is taken from. `resolution` is the interval of the bars that resting orders are judged on;
    a bar under way for over a minute when an order came is left out. `synchronous` is a pragma.
    """

    settle_time = timedelta(0)
    entry_lists: tuple[str, ...] = (SIZED_BY_FILL, "OTO")
    follows_price = False
    locks_coins = True

    def __init__(
        self,
        path: Path,
        market: MarketData,
        costs: Costs,
        cash: Decimal,
        *,
        quote_asset: str = "USDT",
        fee_in: Literal["base", "quote"] = "base",
        resolution: Interval = Interval.M1,
        synchronous: str = "FULL",
    ) -> None:
        self._market = market
        self._purse = Purse(costs, fee_in)
        self._resolution = resolution
        self._judged_at: dict[str, datetime] = {}
        self._instruments: dict[str, Instrument] = {}
        path.parent.mkdir(parents=True, exist_ok=True)
        self._store = store.PaperStore(path, synchronous)
        with self._store.writing() as connection:
            if not store.read_account(connection).balances:
                store.change_balance(connection, quote_asset, cash)

    def ready(self) -> datetime:
        """Return the exchange's clock: paper needs no preparation."""
        return self._market.server_time()

    def submit(self, approved: ApprovedOrder) -> Order:
        """Fill, rest or reject one approved order."""
        request = approved.request
        price, now = self._market.price(request.symbol), self._market.server_time()
        with self._judged(request.symbol) as connection:
            return self._take(connection, request, price, now)

    def submit_pair(self, stop: ApprovedOrder, target: ApprovedOrder) -> tuple[Order, Order]:
        """Rest two orders of which one cancels the other; together they hold the quantity once."""
        one, other = stop.request, target.request
        price, now = self._market.price(one.symbol), self._market.server_time()
        with self._judged(one.symbol) as connection:
            return self._take_pair(connection, one, other, price, now)

    def replace_by_pair(
        self,
        client_order_id: str,
        executed: Decimal,  # noqa: ARG002 - a paper order that executed is not open any more
        stop: ApprovedOrder,
        target: ApprovedOrder,
    ) -> tuple[Order, Order]:
        """Cancel an open order with its list and rest a pair; all or nothing."""
        one, other = stop.request, target.request
        price, now = self._market.price(one.symbol), self._market.server_time()
        with self._judged(one.symbol) as connection:
            self._end(connection, one.symbol, client_order_id, now, CANCEL_FAILED)
            return self._take_pair(connection, one, other, price, now)

    def _take_pair(
        self,
        connection: sqlite3.Connection,
        one: OrderRequest,
        other: OrderRequest,
        price: Decimal,
        now: datetime,
    ) -> tuple[Order, Order]:
        first = self._take(connection, one, price, now)
        self._require(connection, other, price)
        return first, store.new_order(connection, store.asked_for(other, now), other.list_id)

    def submit_entry(
        self, entry: ApprovedOrder, legs: Sequence[ApprovedOrder], kind: str
    ) -> tuple[Order, ...]:
        """Fill a buy and rest its protection, let both wait, or end the whole list unfilled."""
        request = entry.request
        price, now = self._market.price(request.symbol), self._market.server_time()
        with self._judged(request.symbol) as connection:
            before = store.read_account(connection)
            bought = self._take(connection, request, price, now)
            base = self._instrument(request.symbol).base_asset
            received = store.read_account(connection).total(base) - before.total(base)
            step = self._instrument(request.symbol).step_size
            sized = floor_to_step(received, step) if kind == SIZED_BY_FILL else None
            if bought.status is OrderStatus.NEW:
                for leg in legs:
                    self._require(connection, leg.request, price)
            found = [bought]
            for leg in legs:
                asked = leg.request if sized is None else replace(leg.request, quantity=sized)
                found.append(self._leg(connection, asked, bought, price, now, found[1:]))
        return tuple(found)

    def _leg(
        self,
        connection: sqlite3.Connection,
        asked: OrderRequest,
        bought: Order,
        price: Decimal,
        now: datetime,
        earlier: Sequence[Order],
    ) -> Order:
        """Rest one sell of a filled buy; of two, the first holds the coins for both."""
        if bought.status is OrderStatus.NEW:
            waits = replace(store.asked_for(asked, now), status=OrderStatus.PENDING_NEW)
            return store.new_order(connection, waits, asked.list_id)
        if bought.status is not OrderStatus.FILLED:
            ended = replace(store.asked_for(asked, now), status=bought.status)
            return store.new_order(connection, ended, asked.list_id)
        if earlier:
            self._require(connection, asked, price)
            return store.new_order(connection, store.asked_for(asked, now), asked.list_id)
        return self._take(connection, asked, price, now)

    def replace(self, client_order_id: str, approved: ApprovedOrder, **_: bool) -> Order:
        """Cancel an open order, which is always new here, and take another; all or nothing."""
        request = approved.request
        price, now = self._market.price(request.symbol), self._market.server_time()
        with self._judged(request.symbol) as connection:
            self._end(connection, request.symbol, client_order_id, now, CANCEL_FAILED)
            return self._take(connection, request, price, now)

    def cancel(self, symbol: str, client_order_id: str) -> list[Order]:
        """Cancel an open order and the rest of its pair; return its last state alone."""
        with self._judged(symbol) as connection:
            now = self._market.server_time()
            return [self._end(connection, symbol, client_order_id, now, NO_SUCH_ORDER)]

    def order(self, symbol: str, client_order_id: str) -> Order | None:
        """Return the newest order with that id, or None."""
        with self._judged(symbol) as connection:
            return store.read_order(connection, symbol, client_order_id)

    def open_orders(self, symbol: str | None = None) -> list[Order]:
        """Return all open orders."""
        with self._judged(symbol) as connection:
            return store.open_orders(connection, symbol)

    def orders_since(self, symbol: str, since: datetime) -> list[Order]:
        """Return every order of `symbol` sent at or after `since`."""
        with self._judged(symbol) as connection:
            return store.orders_since(connection, symbol, since)

    def fills(self, symbol: str, after_trade_id: str | None = None) -> list[Fill]:
        """Return all fills with a trade id above the cursor, oldest first."""
        after = int(after_trade_id) if after_trade_id is not None else -1
        with self._judged(symbol) as connection:
            return store.read_fills(connection, symbol, after)

    def account(self) -> Account:
        """Return the balances."""
        with self._judged(None) as connection:
            return store.read_account(connection)

    def own_filters(self, _symbols: Sequence[str]) -> Mapping[str, tuple[Filter, ...]]:
        """Return none: nobody sets limits to an account of our own."""
        return {}

    @contextmanager
    def _judged(self, symbol: str | None) -> Iterator[sqlite3.Connection]:
        """Open the store after filling every resting order that was reached by now.

        What was reached stays so, even when the request that follows is refused.
        """
        with self._store.writing() as connection:
            resting = store.open_orders(connection, symbol)
            for one in sorted({order.symbol for order in resting}):
                self._judge(connection, one)
        with self._store.writing() as connection:
            yield connection

    def _judge(self, connection: sqlite3.Connection, symbol: str) -> None:
        now = self._market.server_time()
        if self._judged_at.get(symbol) == now:
            return
        for move in self._moves(connection, symbol, now):
            for order in sorted(store.open_orders(connection, symbol), key=first_stops):
                is_open = order in store.open_orders(connection, symbol)
                sent = store.sent_at(connection, order)
                found = hit(order, move) if is_open and move.start >= sent - LATE else None
                if found is None:
                    continue
                self._execute(connection, order, found)
                for leg in store.siblings(connection, order):
                    fallen = hit(leg, move) if leg.type in STOPS else None
                    if fallen is not None:  # the high of this bar may have come before the buy
                        self._execute(connection, leg, fallen)
        self._judged_at[symbol] = now

    def _moves(self, connection: sqlite3.Connection, symbol: str, now: datetime) -> Iterator[Move]:
        """Yield the closed bars since the oldest open order was sent, and the price of now."""
        step = self._resolution.duration
        sent = [store.sent_at(connection, o) for o in store.open_orders(connection, symbol)]
        since = max(min(sent), self._judged_at.get(symbol, min(sent)) - step)
        start = self._resolution.floor(since)
        bars = self._market.klines(symbol, self._resolution, start, now)
        for time, *prices in bars.select("open_time", "open", "high", "low").iter_rows():
            opened, high, low = (Decimal(repr(price)) for price in prices)
            yield Move(opened, high, low, time, time + step - _INSIDE)
        price = self._market.price(symbol)
        yield Move(price, price, price, now, now)

    def _take(
        self, connection: sqlite3.Connection, request: OrderRequest, price: Decimal, now: datetime
    ) -> Order:
        self._require(connection, request, price)
        order = store.new_order(connection, store.asked_for(request, now), request.list_id)
        if request.type is OrderType.MARKET:
            return self._execute(connection, order, Hit(price, now, False))
        self._purse.lock(connection, order, self._instrument(order.symbol))
        found = hit(order, Move(price, price, price, now, now))
        if found is None and request.time_in_force in (TimeInForce.FOK, TimeInForce.IOC):
            self._purse.lock(connection, order, self._instrument(order.symbol), back=True)
            return store.change_order(connection, replace(order, status=OrderStatus.EXPIRED))
        if found is None:
            return order
        if request.type is not OrderType.LIMIT:
            raise ExchangeRejected(f"paper: {request.type} would execute immediately.", REFUSED)
        return self._execute(connection, order, replace(found, is_maker=False))

    def _require(
        self, connection: sqlite3.Connection, request: OrderRequest, price: Decimal
    ) -> None:
        if request.type not in (OrderType.MARKET, *LIMITS, *STOPS):
            raise ExchangeRejected(f"paper: {request.type} is not simulated", BROKEN_FILTER)
        why = broken_filter(request, self._instrument(request.symbol), price)
        if why:
            raise ExchangeRejected(f"paper: Filter failure: {why}", BROKEN_FILTER)
        open_ids = {o.client_order_id for o in store.open_orders(connection, request.symbol)}
        if request.client_order_id in open_ids:
            raise ExchangeRejected("paper: Duplicate order sent.", REFUSED)

    def _end(
        self,
        connection: sqlite3.Connection,
        symbol: str,
        client_order_id: str,
        now: datetime,
        code: int,
    ) -> Order:
        found = [
            order
            for order in store.open_orders(connection, symbol)
            if order.client_order_id == client_order_id
        ]
        if not found:
            raise ExchangeRejected("paper: Unknown order sent.", code)
        others = [*store.siblings(connection, found[0]), *store.pending(connection, found[0])]
        holder = next((o for o in others if o.side is Side.BUY), found[0])
        self._purse.lock(connection, holder, self._instrument(symbol), back=True)
        for other in others:
            gone = replace(other, status=OrderStatus.CANCELED, updated_at=now)
            store.change_order(connection, gone)
        asked = replace(found[0], status=OrderStatus.CANCELED, updated_at=now)
        return store.change_order(connection, asked)

    def _execute(self, connection: sqlite3.Connection, order: Order, found: Hit) -> Order:
        instrument = self._instrument(order.symbol)
        if order.type is not OrderType.MARKET:
            self._purse.lock(connection, order, instrument, back=True)
        for other in store.siblings(connection, order):
            expired = replace(other, status=OrderStatus.EXPIRED, updated_at=found.at)
            store.change_order(connection, expired)
        fill = self._purse.settle(connection, order, instrument, found)
        store.insert_fill(connection, fill)
        done = replace(
            order,
            status=OrderStatus.FILLED,
            executed_quantity=order.quantity,
            executed_quote=fill.quote,
            updated_at=found.at,
        )
        self._begin(connection, store.pending(connection, order), fill)
        return store.change_order(connection, done)

    def _begin(self, connection: sqlite3.Connection, legs: Sequence[Order], bought: Fill) -> None:
        """Rest the sells that waited for a buy; those without a size get what it received."""
        instrument = self._instrument(bought.symbol)
        in_base = bought.fee_asset == instrument.base_asset
        received = bought.quantity - (bought.fee if in_base else ZERO)
        for number, leg in enumerate(legs):
            sized = leg.quantity or floor_to_step(received, instrument.step_size)
            rests = replace(leg, status=OrderStatus.NEW, quantity=sized, updated_at=bought.time)
            store.begin(connection, rests)
            if number == 0:
                self._purse.lock(connection, rests, instrument)

    def _instrument(self, symbol: str) -> Instrument:
        if symbol not in self._instruments:
            self._instruments |= self._market.instruments([symbol])
        return self._instruments[symbol]
