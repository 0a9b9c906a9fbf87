"""Instruments: what can be traded, and the filters an order must pass, named after Binance's.

Add here: the figures of a filter that the exchange documents.
Keep out: their checks (`filters`), reading the exchange's answers (adapters), risk limits.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from decimal import ROUND_DOWN, Decimal
from typing import TypeVar, cast

from thunes_core.domain.orders import ZERO, OrderType


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
    name: str = "NOTIONAL"


@dataclass(frozen=True, slots=True)
class PercentPrice:
    """PERCENT_PRICE(_BY_SIDE): a limit price must lie between multiples of the average price."""

    bid_up: Decimal
    bid_down: Decimal
    ask_up: Decimal
    ask_down: Decimal
    name: str = "PERCENT_PRICE"


@dataclass(frozen=True, slots=True)
class MaxOpen:
    """How much may be open at once: orders, stops or lists, on the symbol or on all of them.

    `name` is Binance's: MAX_NUM_ORDERS, MAX_NUM_ALGO_ORDERS (stops and take-profits) or
    MAX_NUM_ORDER_LISTS; with EXCHANGE_ before it for what the account has open on all symbols.
    """

    name: str
    most: int


@dataclass(frozen=True, slots=True)
class MaxPosition:
    """MAX_POSITION: base units held and ordered, beyond which no buy is taken."""

    max_base: Decimal


@dataclass(frozen=True, slots=True)
class MaxAsset:
    """MAX_ASSET: how much of an asset this account may move in one order, in its own units.

    Of a symbol's base asset it limits the quantity, of its quote asset price × quantity.
    """

    asset: str
    limit: Decimal


@dataclass(frozen=True, slots=True)
class TrailingDelta:
    """TRAILING_DELTA: bounds of a trailing stop's distance, basis points, above and below."""

    min_above: int
    max_above: int
    min_below: int
    max_below: int


Filter = (
    PriceFilter
    | LotSize
    | MarketLotSize
    | Notional
    | PercentPrice
    | MaxOpen
    | MaxPosition
    | MaxAsset
    | TrailingDelta
)

F = TypeVar("F", bound=Filter)
VALUE_ROOM = Decimal("0.01")
"""How much dearer than expected an order may be valued that must not be refused."""


@dataclass(frozen=True, slots=True)
class Instrument:
    """A tradable symbol: its assets, status and filters.

    Filters are one of a kind, but for `MaxOpen` (one of a name) and `MaxAsset` (one of an asset);
    those of the account alone stand first, and bind beside the public ones. `order_types` names the
    types the exchange takes; empty where it did not say. `list_types` names the order lists it
    takes (OCO, OTO, OPO); `follows_price` says that it takes trailing stops, `replaces` that it
    cancels and places in one request.
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
    replaces: bool = True
    _first: dict[type, Filter] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_first", {type(one): one for one in reversed(self.filters)})

    def takes(self, kind: OrderType) -> bool:
        """True unless the exchange said that it does not take orders of `kind`."""
        return not self.order_types or str(kind) in self.order_types

    def find(self, kind: type[F]) -> F | None:
        """Return the filter of `kind`, or None where the exchange set none."""
        return cast("F | None", self._first.get(kind))

    @property
    def _lots(self) -> list[LotSize | MarketLotSize]:
        return [rule for rule in (self.find(LotSize), self.find(MarketLotSize)) if rule]

    @property
    def step_size(self) -> Decimal:
        """The coarser of the lot steps that bind a market order; 0 when there is none."""
        return max((rule.step_size for rule in self._lots), default=ZERO)

    @property
    def tick_size(self) -> Decimal:
        """Tick of prices; 0 when there is none."""
        found = self.find(PriceFilter)
        return found.tick_size if found else ZERO

    @property
    def min_quantity(self) -> Decimal:
        """Smallest quantity of a market order; 0 when there is none."""
        return max((rule.min_quantity for rule in self._lots), default=ZERO)

    @property
    def min_notional(self) -> Decimal:
        """Smallest price × quantity; 0 when there is none."""
        found = self.find(Notional)
        return found.min_notional if found else ZERO


def largest(instrument: Instrument, highest_price: Decimal) -> list[Decimal]:
    """Return the largest quantities that one order at the market may have; empty when unlimited.

    `highest_price`: what the exchange may value it at, in quote units; a limit on its value
    (MAX_ASSET, NOTIONAL) is shared out with `VALUE_ROOM` for a price that moves meanwhile.
    """
    sizes = [rule.max_quantity for rule in instrument._lots if rule.max_quantity]
    most = {rule.asset: rule.limit for rule in instrument.filters if isinstance(rule, MaxAsset)}
    if instrument.base_asset in most:
        sizes.append(most[instrument.base_asset])
    values = [most[instrument.quote_asset]] if instrument.quote_asset in most else []
    notional = instrument.find(Notional)
    if notional and notional.max_notional and notional.apply_max_to_market:
        values.append(notional.max_notional)
    if highest_price > 0:
        sizes += [value / (highest_price * (1 + VALUE_ROOM)) for value in values]
    return sizes


def at_most(instrument: Instrument, quantity: Decimal) -> Instrument:
    """Return `instrument` as of an account that may move only `quantity` of it in one order."""
    base = instrument.base_asset
    others = (f for f in instrument.filters if not (isinstance(f, MaxAsset) and f.asset == base))
    return replace(instrument, filters=(MaxAsset(base, quantity), *others))


def floor_to_step(value: Decimal, step: Decimal) -> Decimal:
    """Round `value` down to a multiple of `step`; a step of 0 leaves it.

    >>> floor_to_step(Decimal("1.2345"), Decimal("0.01"))
    Decimal('1.23')
    """
    if step <= 0:
        return value
    return (value / step).to_integral_value(rounding=ROUND_DOWN) * step
