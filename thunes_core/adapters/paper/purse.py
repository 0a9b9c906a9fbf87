"""The paper account's money: locks, slippage, fees, payment.

Add here: a cost that paper charges. Keep out: which orders fill.
"""

from __future__ import annotations

import sqlite3
from decimal import ROUND_DOWN, Decimal
from typing import Literal

from thunes_core.adapters.paper import store
from thunes_core.adapters.paper.resting import Hit
from thunes_core.domain.instrument import Instrument
from thunes_core.domain.limits import Costs
from thunes_core.domain.orders import ZERO, Fill, Order, Side
from thunes_core.errors import ExchangeRejected

DIGITS = Decimal("1e-8")
REFUSED = -2010


class Purse:
    """Moves balances as Binance would; a buy's fee is taken in `fee_in`."""

    def __init__(self, costs: Costs, fee_in: Literal["base", "quote"]) -> None:
        self._slippage = Decimal(repr(costs.slippage))
        self._fees = {False: Decimal(repr(costs.taker_fee)), True: Decimal(repr(costs.maker_fee))}
        self._fee_in = fee_in

    def lock(
        self,
        connection: sqlite3.Connection,
        order: Order,
        instrument: Instrument,
        *,
        back: bool = False,
    ) -> None:
        """Lock what a resting order may spend, or give it back."""
        if order.side is Side.BUY:
            asset, value = instrument.quote_asset, order.quantity * (order.price or ZERO)
        else:
            asset, value = instrument.base_asset, order.quantity
        value = -value if back else value
        _require_free(connection, asset, value)
        store.change_balance(connection, asset, -value, value)

    def settle(
        self, connection: sqlite3.Connection, order: Order, instrument: Instrument, hit: Hit
    ) -> Fill:
        """Pay for the whole of `order` and return the fill; a taker's price is made worse."""
        price = hit.price if hit.is_maker else self._worse(hit.price, order)
        quote = price * order.quantity
        fee, fee_asset = self._fee(order, instrument, quote, hit.is_maker)
        sign = 1 if order.side is Side.BUY else -1
        if sign > 0:
            _require_free(connection, instrument.quote_asset, quote)
        else:
            _require_free(connection, instrument.base_asset, order.quantity)
        store.change_balance(connection, instrument.base_asset, sign * order.quantity)
        store.change_balance(connection, instrument.quote_asset, -sign * quote)
        store.change_balance(connection, fee_asset, -fee)
        return Fill(
            symbol=order.symbol,
            trade_id="",
            exchange_order_id=order.exchange_order_id,
            client_order_id=order.client_order_id,
            side=order.side,
            price=price,
            quantity=order.quantity,
            fee=fee,
            fee_asset=fee_asset,
            is_maker=hit.is_maker,
            time=hit.at,
        )

    def _worse(self, price: Decimal, order: Order) -> Decimal:
        """Return `price` with slippage, but never beyond the order's own limit."""
        buys = order.side is Side.BUY
        worse = (price * (1 + (1 if buys else -1) * self._slippage)).quantize(DIGITS)
        if order.price is None:
            return worse
        return min(worse, order.price) if buys else max(worse, order.price)

    def _fee(
        self, order: Order, instrument: Instrument, quote: Decimal, is_maker: bool
    ) -> tuple[Decimal, str]:
        in_base = order.side is Side.BUY and self._fee_in == "base"
        asset = instrument.base_asset if in_base else instrument.quote_asset
        value = order.quantity if in_base else quote
        return (value * self._fees[is_maker]).quantize(DIGITS, rounding=ROUND_DOWN), asset


def _require_free(connection: sqlite3.Connection, asset: str, value: Decimal) -> None:
    if store.read_account(connection).free(asset) < value:
        raise ExchangeRejected(
            "paper: Account has insufficient balance for requested action.", REFUSED
        )
