"""The exchange's filters: whether an order may enter, by the documents of its listing.

Written from Binance's filters page and on purpose apart from `domain.instrument`, so that the two
check each other.

Add here: a filter of that page. Keep out: balances, matching.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import ROUND_CEILING, Decimal
from typing import Any

from thunes_core.domain.orders import OrderType, Side
from thunes_core.testnet.listing import Listing
from thunes_core.testnet.orders import STOP_LOSSES, STOPS, ExchangeOrder, NewOrder
from thunes_core.testnet.refusals import filter_failure

MARKET_KINDS = frozenset({OrderType.MARKET, OrderType.STOP_LOSS, OrderType.TAKE_PROFIT})
Rule = Mapping[str, Any]
USUAL_MOST_AMENDS = 10


@dataclass(frozen=True, slots=True)
class Situation:
    """What the filters look at besides the order: prices, open orders, the base held.

    `everywhere` are the open orders of all symbols, `coming` the orders of the same list before it.
    """

    average_price: Decimal
    last_price: Decimal
    open_orders: Sequence[ExchangeOrder]
    base_total: Decimal
    everywhere: Sequence[ExchangeOrder] = ()
    coming: Sequence[NewOrder] = ()

    def seen_by(self, rule: Rule) -> list[NewOrder]:
        """Return the orders that a rule counts, those coming included."""
        is_exchange = str(rule["filterType"]).startswith("EXCHANGE_")
        return [o.asked for o in (self.everywhere if is_exchange else self.open_orders)] + [
            *self.coming
        ]


def require_filters(
    order: NewOrder, listing: Listing, now: Situation, others: Sequence[Rule] = ()
) -> None:
    """Refuse `order` with -1013 and the name of the first filter it breaks.

    `others` are filters of the exchange and of assets.
    """
    for rule in (*listing.filters.values(), *others):
        name = rule["filterType"]
        check = _CHECKS.get(name.removeprefix("EXCHANGE_"))
        if name == "MAX_ASSET" and not _max_asset(order, rule, now, listing):
            raise filter_failure(name)
        if check is not None and not check(order, rule, now):
            raise filter_failure(name)


def _number(rule: Rule, key: str) -> Decimal:
    return Decimal(str(rule.get(key) or 0))


def _within(value: Decimal, low: Decimal, high: Decimal, step: Decimal) -> bool:
    """True when every rule that is not switched off by a zero holds."""
    return (
        (not low or value >= low)
        and (not high or value <= high)
        and (not step or value % step == 0)
    )


def _price(order: NewOrder, rule: Rule, _: Situation) -> bool:
    bounds = [_number(rule, key) for key in ("minPrice", "maxPrice", "tickSize")]
    given = [p for p in (order.price, order.stop_price) if p is not None]
    return all(_within(price, *bounds) for price in given)


def _lot(order: NewOrder, rule: Rule, _: Situation) -> bool:
    bounds = [_number(rule, key) for key in ("minQty", "maxQty", "stepSize")]
    given = [q for q in (order.quantity, order.iceberg_quantity) if q is not None]
    return all(_within(quantity, *bounds) for quantity in given)


def _market_lot(order: NewOrder, rule: Rule, now: Situation) -> bool:
    return order.type not in MARKET_KINDS or _lot(order, rule, now)


def _max_asset(order: NewOrder, rule: Rule, now: Situation, listing: Listing) -> bool:
    limit = _number(rule, "limit")
    is_base = rule["asset"] == listing.base
    if is_base and order.quantity is not None and order.quantity > limit:
        return False
    return rule["asset"] != listing.quote or _value(order, now) <= limit


def _notional(order: NewOrder, rule: Rule, now: Situation) -> bool:
    value = _value(order, now)
    is_market = order.type in MARKET_KINDS
    low, high = _number(rule, "minNotional"), _number(rule, "maxNotional")
    low_binds = low and (not is_market or rule.get("applyMinToMarket", rule.get("applyToMarket")))
    high_binds = high and (not is_market or rule.get("applyMaxToMarket"))
    return not (low_binds and value < low) and not (high_binds and value > high)


def _value(order: NewOrder, now: Situation) -> Decimal:
    if order.quote_quantity is not None:
        return order.quote_quantity
    return (order.price or now.average_price) * (order.quantity or 0)


def _percent_by_side(order: NewOrder, rule: Rule, now: Situation) -> bool:
    side = "bid" if order.side is Side.BUY else "ask"
    up, down = _number(rule, f"{side}MultiplierUp"), _number(rule, f"{side}MultiplierDown")
    return _near(order, now, up, down)


def _percent(order: NewOrder, rule: Rule, now: Situation) -> bool:
    return _near(order, now, _number(rule, "multiplierUp"), _number(rule, "multiplierDown"))


def _near(order: NewOrder, now: Situation, up: Decimal, down: Decimal) -> bool:
    if order.price is None:
        return True
    return now.average_price * down <= order.price <= now.average_price * up


def _max_orders(_: NewOrder, rule: Rule, now: Situation) -> bool:
    return len(now.seen_by(rule)) < _number(rule, "maxNumOrders")


def _max_algo_orders(order: NewOrder, rule: Rule, now: Situation) -> bool:
    if order.type not in STOPS:
        return True
    waiting = sum(1 for o in now.seen_by(rule) if o.type in STOPS)
    return waiting < _number(rule, "maxNumAlgoOrders")


def _max_iceberg_orders(order: NewOrder, rule: Rule, now: Situation) -> bool:
    if order.iceberg_quantity is None:
        return True
    resting = sum(1 for o in now.seen_by(rule) if o.iceberg_quantity is not None)
    return resting < _number(rule, "maxNumIcebergOrders")


def _iceberg_parts(order: NewOrder, rule: Rule, _: Situation) -> bool:
    if not order.iceberg_quantity or order.quantity is None:
        return True
    parts = (order.quantity / order.iceberg_quantity).to_integral_value(ROUND_CEILING)
    return parts <= _number(rule, "limit")


def _max_position(order: NewOrder, rule: Rule, now: Situation) -> bool:
    if order.side is not Side.BUY:
        return True
    wanted = order.quantity or (order.quote_quantity or 0) / now.last_price
    ordered = sum((o.remaining for o in now.open_orders if o.is_buy), Decimal(0))
    return now.base_total + ordered + wanted <= _number(rule, "maxPosition")


def _trailing(order: NewOrder, rule: Rule, _: Situation) -> bool:
    if order.trailing_delta is None:
        return True
    above = (order.side is Side.BUY) == (order.type in STOP_LOSSES)
    name = "Above" if above else "Below"
    low, high = _number(rule, f"minTrailing{name}Delta"), _number(rule, f"maxTrailing{name}Delta")
    return low <= order.trailing_delta <= high


_CHECKS: Mapping[str, Callable[[NewOrder, Rule, Situation], bool]] = {
    "PRICE_FILTER": _price,
    "PERCENT_PRICE": _percent,
    "PERCENT_PRICE_BY_SIDE": _percent_by_side,
    "LOT_SIZE": _lot,
    "MARKET_LOT_SIZE": _market_lot,
    "MIN_NOTIONAL": _notional,
    "NOTIONAL": _notional,
    "ICEBERG_PARTS": _iceberg_parts,
    "MAX_NUM_ORDERS": _max_orders,
    "MAX_NUM_ALGO_ORDERS": _max_algo_orders,
    "MAX_NUM_ICEBERG_ORDERS": _max_iceberg_orders,
    "MAX_POSITION": _max_position,
    "TRAILING_DELTA": _trailing,
}


ENFORCED = frozenset(
    {
        *_CHECKS,
        "EXCHANGE_MAX_NUM_ORDERS",
        "EXCHANGE_MAX_NUM_ALGO_ORDERS",
        "EXCHANGE_MAX_NUM_ICEBERG_ORDERS",
        "EXCHANGE_MAX_NUM_ORDER_LISTS",
        "MAX_NUM_ORDER_LISTS",
        "MAX_NUM_ORDER_AMENDS",
        "MAX_ASSET",
    }
)
"""Every filter that binds here, by its type; lists and amendments are counted where made."""


def max_amends(listing: Listing) -> int:
    """Return how often one order of the symbol may be amended."""
    rule = listing.filters.get("MAX_NUM_ORDER_AMENDS", {})
    return int(rule.get("maxNumOrderAmends", USUAL_MOST_AMENDS))


def max_lists(listing: Listing) -> int:
    """Return how many order lists may be open on the symbol at once."""
    rule = listing.filters.get("MAX_NUM_ORDER_LISTS", {})
    return int(rule.get("maxNumOrderLists", 20))
