"""Whether an order passes the exchange's filters: a check for each, in Decimal, by Binance's name.

Every filter that can bind an `OrderRequest`. Left out are ICEBERG_PARTS, the counts of iceberg
orders and MAX_NUM_ORDER_AMENDS: a request has no visible part, and none is ever amended.

Add here: the check of a filter that the exchange documents. Keep out: its figures (`instrument`).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal

from thunes_core.domain.instrument import (
    Instrument,
    LotSize,
    MarketLotSize,
    MaxAsset,
    MaxOpen,
    MaxPosition,
    Notional,
    PercentPrice,
    PriceFilter,
    TrailingDelta,
)
from thunes_core.domain.orders import ZERO, OrderRequest, OrderType, Side

AT_MARKET = frozenset({OrderType.MARKET, OrderType.STOP_LOSS, OrderType.TAKE_PROFIT})
"""Types that execute at the market: their lots are MARKET_LOT_SIZE's too."""

ALGO = frozenset(
    {
        OrderType.STOP_LOSS,
        OrderType.STOP_LOSS_LIMIT,
        OrderType.TAKE_PROFIT,
        OrderType.TAKE_PROFIT_LIMIT,
    }
)


@dataclass(frozen=True, slots=True)
class Open:
    """How many orders are open, and how many stops and lists are among them."""

    orders: int = 0
    algo_orders: int = 0
    lists: int = 0


NONE_OPEN = Open()


@dataclass(frozen=True, slots=True)
class Standing:
    """What is open on the symbol and on all symbols, and the base units held.

    `base` counts what open buys may still bring.
    """

    symbol: Open = NONE_OPEN
    account: Open = NONE_OPEN
    base: Decimal = ZERO


NOTHING_OPEN = Standing()


def broken_filter(
    request: OrderRequest,
    instrument: Instrument,
    reference_price: Decimal,
    standing: Standing = NOTHING_OPEN,
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
        _max_asset(request, instrument, reference_price),
        _trailing(request, instrument),
        _counts(request, instrument, standing),
        _max_position(request, instrument, standing),
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
    if request.type not in AT_MARKET:
        return None
    return _lot(request, instrument.find(MarketLotSize), "MARKET_LOT_SIZE")


def _notional(
    request: OrderRequest, instrument: Instrument, reference_price: Decimal
) -> str | None:
    rule = instrument.find(Notional)
    if rule is None:
        return None
    at_market = request.type in AT_MARKET
    value = (request.price or reference_price) * request.quantity
    if value < rule.min_notional and (rule.apply_min_to_market or not at_market):
        return f"{rule.name}: {value} is below the minimum {rule.min_notional}"
    too_big = rule.max_notional and value > rule.max_notional
    if too_big and (rule.apply_max_to_market or not at_market):
        return f"{rule.name}: {value} is above the maximum {rule.max_notional}"
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
        return f"{rule.name}: {request.price} is too far from {reference_price}"
    return None


def _max_asset(
    request: OrderRequest, instrument: Instrument, reference_price: Decimal
) -> str | None:
    moved = {instrument.base_asset: request.quantity}
    if not request.reduces:  # an exit is cut to fit, never refused for a value that is a guess
        moved[instrument.quote_asset] = (request.price or reference_price) * request.quantity
    for rule in instrument.filters:
        if isinstance(rule, MaxAsset) and moved.get(rule.asset, ZERO) > rule.limit:
            amount = f"{moved[rule.asset]} {rule.asset}"
            return f"MAX_ASSET: {amount} is above the {rule.limit} of one order"
    return None


def _trailing(request: OrderRequest, instrument: Instrument) -> str | None:
    rule = instrument.find(TrailingDelta)
    if rule is None or request.trailing_delta is None:
        return None
    stops = request.type in {OrderType.STOP_LOSS, OrderType.STOP_LOSS_LIMIT}
    above = (request.side is Side.BUY) == stops
    low, high = (rule.min_above, rule.max_above) if above else (rule.min_below, rule.max_below)
    if low <= request.trailing_delta <= high:
        return None
    return f"TRAILING_DELTA: {request.trailing_delta} is outside [{low}, {high}]"


def _counts(request: OrderRequest, instrument: Instrument, standing: Standing) -> str | None:
    more = Open(1, int(request.type in ALGO), int(bool(request.list_id)))
    return too_many(more, instrument, standing)


def too_many(more: Open, instrument: Instrument, standing: Standing) -> str | None:
    """Return the first filter that counts and does not let `more` be open besides, or None."""
    for rule in instrument.filters:
        if not isinstance(rule, MaxOpen):
            continue
        now = standing.account if rule.name.startswith("EXCHANGE_") else standing.symbol
        waiting, added = _counted(rule.name, now), _counted(rule.name, more)
        if added and waiting + added > rule.most:
            return f"{rule.name}: {waiting} are open, {rule.most} are allowed"
    return None


def _counted(name: str, among: Open) -> int:
    """Return how many of those `among` the filter counts."""
    match name.removeprefix("EXCHANGE_"):
        case "MAX_NUM_ORDERS":
            return among.orders
        case "MAX_NUM_ALGO_ORDERS":
            return among.algo_orders
        case "MAX_NUM_ORDER_LISTS":
            return among.lists
    return 0


def _max_position(request: OrderRequest, instrument: Instrument, standing: Standing) -> str | None:
    rule = instrument.find(MaxPosition)
    if rule is None or request.side is not Side.BUY:
        return None
    then = standing.base + request.quantity
    return (
        f"MAX_POSITION: {then} would be held of {rule.max_base}" if then > rule.max_base else None
    )
