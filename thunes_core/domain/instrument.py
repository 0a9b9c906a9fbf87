"""Instruments: what can be traded, and the filters an order must pass, named after Binance's.

Add here: a filter that the exchange documents, with its check.
Keep out: reading the exchange's answers (adapters), risk limits.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import ROUND_DOWN, Decimal
from typing import TypeVar

from thunes_core.domain.orders import ZERO, OrderRequest, OrderType, Side


@dataclass(frozen=True, slots=True)
class PriceFilter:
    """PRICE_FILTER: bounds and tick of a price; 0 switches a rule off."""

    min_price: Decimal
    max_price: Decimal
    tick_size: Decimal


@dataclass(frozen=True, slots=True)
class LotSize:
    """LOT_SIZE: bounds and step of a quantity; 0 switches a rule off."""

    min_quantity: Decimal
    max_quantity: Decimal
    step_size: Decimal


@dataclass(frozen=True, slots=True)
class MarketLotSize:
    """MARKET_LOT_SIZE: as LOT_SIZE, for market orders only; a step of 0 is off."""

    min_quantity: Decimal
    max_quantity: Decimal
    step_size: Decimal


@dataclass(frozen=True, slots=True)
class Notional:
    """NOTIONAL (or the older MIN_NOTIONAL): bounds of price × quantity; 0 is off."""

    min_notional: Decimal
    max_notional: Decimal = ZERO
    apply_min_to_market: bool = True
    apply_max_to_market: bool = False


@dataclass(frozen=True, slots=True)
class PercentPrice:
    """PERCENT_PRICE(_BY_SIDE): a limit price must lie between multiples of the average price."""

    bid_up: Decimal
    bid_down: Decimal
    ask_up: Decimal
    ask_down: Decimal


@dataclass(frozen=True, slots=True)
class MaxNumOrders:
    """MAX_NUM_ORDERS: open orders on a symbol."""

    max_orders: int


@dataclass(frozen=True, slots=True)
class MaxNumAlgoOrders:
    """MAX_NUM_ALGO_ORDERS: open stop and take-profit orders on a symbol."""

    max_orders: int


Filter = (
    PriceFilter
    | LotSize
    | MarketLotSize
    | Notional
    | PercentPrice
    | MaxNumOrders
    | MaxNumAlgoOrders
)

F = TypeVar("F", bound=Filter)


@dataclass(frozen=True, slots=True)
class Instrument:
    """A tradable symbol: its assets, status and filters (one of a kind at most).

    `order_types` names the types the exchange takes; empty where it did not say. `list_types` names
    the order lists it takes (OCO, OTO, OPO); `follows_price` says that it takes trailing stops.
    """

    symbol: str
    base_asset: str
    quote_asset: str
    status: str = "TRADING"
    filters: tuple[Filter, ...] = ()
    base_precision: int = 8
    quote_precision: int = 8
    order_types: tuple[str, ...] = ()
    list_types: tuple[str, ...] = ()
    follows_price: bool = False

    def takes(self, kind: OrderType) -> bool:
        """True unless the exchange said that it does not take orders of `kind`."""
        return not self.order_types or str(kind) in self.order_types

    def find(self, kind: type[F]) -> F | None:
        """Return the filter of `kind`, or None where the exchange set none."""
        return next((f for f in self.filters if isinstance(f, kind)), None)

    @property
    def step_size(self) -> Decimal:
        """The coarser of the lot steps that bind a market order; 0 when there is none."""
        steps = [f.step_size for f in self.filters if isinstance(f, LotSize | MarketLotSize)]
        return max(steps, default=ZERO)

    @property
    def tick_size(self) -> Decimal:
        """Tick of prices; 0 when there is none."""
        found = self.find(PriceFilter)
        return found.tick_size if found else ZERO

    @property
    def min_quantity(self) -> Decimal:
        """Smallest quantity of a market order; 0 when there is none."""
        lows = [f.min_quantity for f in self.filters if isinstance(f, LotSize | MarketLotSize)]
        return max(lows, default=ZERO)

    @property
    def min_notional(self) -> Decimal:
        """Smallest price × quantity; 0 when there is none."""
        found = self.find(Notional)
        return found.min_notional if found else ZERO


def largest(instrument: Instrument) -> list[Decimal]:
    """Return the largest quantities that one order at the market may have; empty when unlimited."""
    lots = (instrument.find(LotSize), instrument.find(MarketLotSize))
    return [rule.max_quantity for rule in lots if rule and rule.max_quantity]


def floor_to_step(value: Decimal, step: Decimal) -> Decimal:
    """Round `value` down to a multiple of `step`; a step of 0 leaves it.

    >>> floor_to_step(Decimal("1.2345"), Decimal("0.01"))
    Decimal('1.23')
    """
    if step <= 0:
        return value
    return (value / step).to_integral_value(rounding=ROUND_DOWN) * step


def broken_filter(
    request: OrderRequest, instrument: Instrument, reference_price: Decimal, open_orders: int = 0
) -> str | None:
    """Return the first filter that `request` breaks, by name with the reason; None if it passes.

    `reference_price`: the price used for market orders and percent bounds (the exchange's own
    average or reference price), in quote units.
    """
    checks: Iterable[str | None] = (
        _price(request, instrument),
        _lot(request, instrument.find(LotSize), "LOT_SIZE"),
        _market_lot(request, instrument),
        _notional(request, instrument, reference_price),
        _percent_price(request, instrument, reference_price),
        _max_orders(instrument, open_orders),
    )
    return next((why for why in checks if why), None)


def _price(request: OrderRequest, instrument: Instrument) -> str | None:
    rule = instrument.find(PriceFilter)
    for price in (request.price, request.stop_price):
        if rule is None or price is None:
            continue
        if price < rule.min_price or (rule.max_price and price > rule.max_price):
            return f"PRICE_FILTER: {price} is outside [{rule.min_price}, {rule.max_price}]"
        if rule.tick_size and price % rule.tick_size:
            return f"PRICE_FILTER: {price} is no multiple of the tick {rule.tick_size}"
    return None


def _lot(request: OrderRequest, rule: LotSize | MarketLotSize | None, name: str) -> str | None:
    if rule is None:
        return None
    quantity = request.quantity
    if quantity < rule.min_quantity or (rule.max_quantity and quantity > rule.max_quantity):
        return f"{name}: {quantity} is outside [{rule.min_quantity}, {rule.max_quantity}]"
    if rule.step_size and (quantity - rule.min_quantity) % rule.step_size:
        return f"{name}: {quantity} is no multiple of the step {rule.step_size}"
    return None


def _market_lot(request: OrderRequest, instrument: Instrument) -> str | None:
    if request.type is not OrderType.MARKET:
        return None
    return _lot(request, instrument.find(MarketLotSize), "MARKET_LOT_SIZE")


def _notional(
    request: OrderRequest, instrument: Instrument, reference_price: Decimal
) -> str | None:
    rule = instrument.find(Notional)
    if rule is None:
        return None
    is_market = request.type is OrderType.MARKET
    value = (request.price or request.stop_price or reference_price) * request.quantity
    if value < rule.min_notional and (rule.apply_min_to_market or not is_market):
        return f"NOTIONAL: {value} is below the minimum {rule.min_notional}"
    too_big = rule.max_notional and value > rule.max_notional
    if too_big and (rule.apply_max_to_market or not is_market):
        return f"NOTIONAL: {value} is above the maximum {rule.max_notional}"
    return None


def _percent_price(
    request: OrderRequest, instrument: Instrument, reference_price: Decimal
) -> str | None:
    rule = instrument.find(PercentPrice)
    if rule is None or request.price is None:
        return None
    is_buy = request.side is Side.BUY
    up, down = (rule.bid_up, rule.bid_down) if is_buy else (rule.ask_up, rule.ask_down)
    if request.price > reference_price * up or request.price < reference_price * down:
        return f"PERCENT_PRICE: {request.price} is too far from {reference_price}"
    return None


def _max_orders(instrument: Instrument, open_orders: int) -> str | None:
    rule = instrument.find(MaxNumOrders)
    if rule is not None and open_orders >= rule.max_orders:
        return f"MAX_NUM_ORDERS: {open_orders} are open, {rule.max_orders} are allowed"
    return None
