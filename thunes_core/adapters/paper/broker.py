"""The paper broker: market orders fill at once, limit orders when the latest price reaches them.

A market order fills at the latest price made worse by the slippage. A buy pays its fee in the base
asset, as Binance does, unless told otherwise. Implements `Broker`.

Add here: an order type that paper can fill. Keep out: decisions, the ledger, stores.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import ROUND_DOWN, Decimal
from pathlib import Path
from typing import Literal

from thunes_core.adapters.paper import store
from thunes_core.domain.instrument import Instrument, broken_filter
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
)
from thunes_core.domain.portfolio import Account
from thunes_core.errors import ExchangeRejected
from thunes_core.trading.ports import MarketData

DIGITS = Decimal("1e-8")
NO_SUCH_ORDER = -2011
REFUSED = -2010
BROKEN_FILTER = -1013
QUOTE_ASSET = "USDT"


class PaperBroker:
    """An account that exists only in `path`; prices, clock and filters are the market's.

    `cash` is what a new account begins with, in `quote_asset`. `fee_in` says which asset a buy's
    fee is taken from. `synchronous` is SQLite's pragma.
    """

    settle_time = timedelta(0)

    def __init__(
        self,
        path: Path,
        market: MarketData,
        costs: Costs,
        cash: Decimal,
        *,
        quote_asset: str = QUOTE_ASSET,
        fee_in: Literal["base", "quote"] = "base",
        synchronous: str = "FULL",
    ) -> None:
        self._market = market
        self._slippage = Decimal(repr(costs.slippage))
        self._fees = {False: Decimal(repr(costs.taker_fee)), True: Decimal(repr(costs.maker_fee))}
        self._fee_in = fee_in
        self._instruments: dict[str, Instrument] = {}
        path.parent.mkdir(parents=True, exist_ok=True)
        self._store = store.PaperStore(path, synchronous)
        with self._store.writing() as connection:
            if not store.read_account(connection).balances:
                store.change_balance(connection, quote_asset, cash)

    def submit(self, approved: ApprovedOrder) -> Order:
        """Fill, rest or reject one approved order."""
        request = approved.request
        price, now = self._market.price(request.symbol), self._market.server_time()
        self._require(request, price)
        with self._store.writing() as connection:
            if any(
                order.client_order_id == request.client_order_id
                for order in store.open_orders(connection, request.symbol)
            ):
                raise ExchangeRejected("paper: Duplicate order sent.", REFUSED)
            order = store.write_order(connection, _new_order(request, now))
            if request.type is OrderType.MARKET:
                return self._fill(connection, order, self._worse(price, request.side), now, False)
            self._lock(connection, order)
            reached = _reached(order, price)
            return self._fill(connection, order, price, now, False) if reached else order

    def cancel(self, symbol: str, client_order_id: str) -> Order:
        """Cancel an open order."""
        with self._matched(symbol) as connection:
            for order in store.open_orders(connection, symbol):
                if order.client_order_id == client_order_id:
                    self._lock(connection, order, back=True)
                    done = replace(
                        order,
                        status=OrderStatus.CANCELED,
                        updated_at=self._market.server_time(),
                    )
                    return store.write_order(connection, done)
        raise ExchangeRejected("paper: Unknown order sent.", NO_SUCH_ORDER)

    def order(self, symbol: str, client_order_id: str) -> Order | None:
        """Return the newest order with that id, or None."""
        with self._matched(symbol) as connection:
            found = store.read_orders(connection, symbol, client_order_id)
        return found[-1] if found else None

    def open_orders(self, symbol: str | None = None) -> list[Order]:
        """Return all open orders."""
        with self._matched(symbol) as connection:
            return store.open_orders(connection, symbol)

    def fills(self, symbol: str, after_trade_id: str | None = None) -> list[Fill]:
        """Return all fills with a trade id above the cursor, oldest first."""
        after = int(after_trade_id) if after_trade_id is not None else -1
        with self._matched(symbol) as connection:
            return store.read_fills(connection, symbol, after)

    def account(self) -> Account:
        """Return the balances."""
        with self._matched(None) as connection:
            return store.read_account(connection)

    @contextmanager
    def _matched(self, symbol: str | None) -> Iterator[sqlite3.Connection]:
        """Open the store after filling every resting order that the latest price reaches."""
        with self._store.writing() as connection:
            for order in store.open_orders(connection, symbol):
                price = self._market.price(order.symbol)
                if _reached(order, price) and order.price is not None:
                    now = self._market.server_time()
                    self._fill(connection, order, order.price, now, True)
            yield connection

    def _require(self, request: OrderRequest, price: Decimal) -> None:
        if request.type not in {OrderType.MARKET, OrderType.LIMIT}:
            raise ExchangeRejected(f"paper: {request.type} is not simulated", BROKEN_FILTER)
        why = broken_filter(request, self._instrument(request.symbol), price)
        if why:
            raise ExchangeRejected(f"paper: Filter failure: {why}", BROKEN_FILTER)

    def _instrument(self, symbol: str) -> Instrument:
        if symbol not in self._instruments:
            self._instruments |= self._market.instruments([symbol])
        return self._instruments[symbol]

    def _worse(self, price: Decimal, side: Side) -> Decimal:
        sign = 1 if side is Side.BUY else -1
        return (price * (1 + sign * self._slippage)).quantize(DIGITS)

    def _fill(
        self,
        connection: sqlite3.Connection,
        order: Order,
        price: Decimal,
        now: datetime,
        is_maker: bool,
    ) -> Order:
        if order.type is not OrderType.MARKET:
            self._lock(connection, order, back=True)
        instrument = self._instrument(order.symbol)
        quote = price * order.quantity
        fee, asset = self._fee(order, instrument, quote, is_maker)
        self._pay(connection, order, instrument, quote)
        store.change_balance(connection, asset, -fee)
        done = replace(
            order,
            status=OrderStatus.FILLED,
            executed_quantity=order.quantity,
            executed_quote=quote,
            updated_at=now,
        )
        store.insert_fill(
            connection,
            Fill(
                symbol=order.symbol,
                trade_id="",
                exchange_order_id=order.exchange_order_id,
                client_order_id=order.client_order_id,
                side=order.side,
                price=price,
                quantity=order.quantity,
                fee=fee,
                fee_asset=asset,
                is_maker=is_maker,
                time=now,
            ),
        )
        return store.write_order(connection, done)

    def _fee(
        self, order: Order, instrument: Instrument, quote: Decimal, is_maker: bool
    ) -> tuple[Decimal, str]:
        in_base = order.side is Side.BUY and self._fee_in == "base"
        asset = instrument.base_asset if in_base else instrument.quote_asset
        value = order.quantity if in_base else quote
        return (value * self._fees[is_maker]).quantize(DIGITS, rounding=ROUND_DOWN), asset

    def _pay(
        self,
        connection: sqlite3.Connection,
        order: Order,
        instrument: Instrument,
        quote: Decimal,
    ) -> None:
        sign = 1 if order.side is Side.BUY else -1
        given, value = (
            (instrument.quote_asset, quote)
            if order.side is Side.BUY
            else (instrument.base_asset, order.quantity)
        )
        if store.read_account(connection).free(given) < value:
            raise ExchangeRejected(
                "paper: Account has insufficient balance for requested action.", REFUSED
            )
        store.change_balance(connection, instrument.base_asset, sign * order.quantity)
        store.change_balance(connection, instrument.quote_asset, -sign * quote)

    def _lock(self, connection: sqlite3.Connection, order: Order, *, back: bool = False) -> None:
        instrument = self._instrument(order.symbol)
        if order.side is Side.BUY:
            asset, value = instrument.quote_asset, order.quantity * (order.price or ZERO)
        else:
            asset, value = instrument.base_asset, order.quantity
        value = -value if back else value
        if store.read_account(connection).free(asset) < value:
            raise ExchangeRejected(
                "paper: Account has insufficient balance for requested action.", REFUSED
            )
        store.change_balance(connection, asset, -value, value)


def _reached(order: Order, price: Decimal) -> bool:
    if order.price is None:
        return False
    return price <= order.price if order.side is Side.BUY else price >= order.price


def _new_order(request: OrderRequest, now: datetime) -> Order:
    return Order(
        symbol=request.symbol,
        client_order_id=request.client_order_id,
        exchange_order_id="",
        side=request.side,
        type=request.type,
        status=OrderStatus.NEW,
        quantity=request.quantity,
        executed_quantity=ZERO,
        executed_quote=ZERO,
        updated_at=now,
        price=request.price,
        stop_price=request.stop_price,
    )
