"""What is listed: symbols with their assets, status and filters, as `exchangeInfo` shows them.

Add here: a symbol's usual figures, a field of the document. Keep out: checking orders (filters).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any

from thunes_core.errors import BadInput
from thunes_core.testnet.orders import Prevention

QUOTES = ("USDT", "USDC", "FDUSD", "TUSD", "BUSD", "BTC", "ETH", "BNB", "EUR", "RUB", "USD")
_USUAL = {  # tick, step, maximum quantity of a market order, as on the real exchange in 2025
    "BTCUSDT": ("0.01", "0.00001", "120"),
    "ETHUSDT": ("0.01", "0.0001", "2500"),
    "BNBUSDT": ("0.01", "0.001", "2000"),
    "SOLUSDT": ("0.01", "0.001", "12000"),
    "XRPUSDT": ("0.0001", "0.1", "1000000"),
    "ADAUSDT": ("0.0001", "0.1", "1000000"),
    "DOGEUSDT": ("0.00001", "1", "4000000"),
    "LTCUSDT": ("0.01", "0.001", "9000"),
    "ETHBTC": ("0.00001", "0.0001", "1500"),
}
ORDER_TYPES = (
    "LIMIT",
    "LIMIT_MAKER",
    "MARKET",
    "STOP_LOSS",
    "STOP_LOSS_LIMIT",
    "TAKE_PROFIT",
    "TAKE_PROFIT_LIMIT",
)
TRADING = "TRADING"


@dataclass(slots=True)
class Listing:
    """One listed symbol. `filters` are the exchange's own documents, by `filterType`."""

    symbol: str
    base: str
    quote: str
    filters: dict[str, dict[str, Any]]
    status: str = TRADING
    precision: int = 8
    order_types: tuple[str, ...] = ORDER_TYPES
    extra: Mapping[str, Any] = field(default_factory=dict)

    @property
    def tick(self) -> Decimal:
        """Smallest price step; 1e-8 where the rule is off."""
        return self._number("PRICE_FILTER", "tickSize") or Decimal("1e-8")

    @property
    def step(self) -> Decimal:
        """Smallest quantity step; 1e-8 where the rule is off."""
        return self._number("LOT_SIZE", "stepSize") or Decimal("1e-8")

    @property
    def average_minutes(self) -> int:
        """Over how many minutes its filters average the price; 0: they take the last one."""
        rules = self.filters.values()
        return next((int(r["avgPriceMins"]) for r in rules if "avgPriceMins" in r), 5)

    def allows(self, flag: str) -> bool:
        """True unless the listing's document says that `flag` is off."""
        return bool(self.document().get(flag, True))

    def _number(self, name: str, key: str) -> Decimal:
        return Decimal(self.filters.get(name, {}).get(key, 0))

    def document(self) -> dict[str, Any]:
        """Return the symbol's entry in `exchangeInfo`."""
        return {
            "symbol": self.symbol,
            "status": self.status,
            "baseAsset": self.base,
            "baseAssetPrecision": self.precision,
            "quoteAsset": self.quote,
            "quotePrecision": self.precision,
            "quoteAssetPrecision": self.precision,
            "baseCommissionPrecision": self.precision,
            "quoteCommissionPrecision": self.precision,
            "orderTypes": list(self.order_types),
            "icebergAllowed": True,
            "ocoAllowed": True,
            "otoAllowed": True,
            "opoAllowed": True,
            "quoteOrderQtyMarketAllowed": True,
            "allowTrailingStop": True,
            "cancelReplaceAllowed": True,
            "amendAllowed": True,
            "pegInstructionsAllowed": False,
            "isSpotTradingAllowed": True,
            "isMarginTradingAllowed": False,
            "filters": list(self.filters.values()),
            "permissions": [],
            "permissionSets": [["SPOT"]],
            "defaultSelfTradePreventionMode": "NONE",
            "allowedSelfTradePreventionModes": list(Prevention),
            **self.extra,
        }


def split_symbol(symbol: str) -> tuple[str, str]:
    """Return (base, quote) of a symbol such as BTCUSDT; `BadInput` when no known quote ends it."""
    for quote in QUOTES:
        if symbol.endswith(quote) and len(symbol) > len(quote):
            return symbol[: -len(quote)], quote
    raise BadInput(f"symbol: expected one ending in {', '.join(QUOTES)}; it was {symbol!r}")


def usual_listing(symbol: str, price: float, decimals: int = 8) -> Listing:
    """Return a listing with realistic filters for a symbol trading near `price`.

    Known symbols have the real exchange's steps; others get a tick of about a hundredth of a
    percent of the price (or finer: `decimals` is what its candles show) and a step worth a cent.
    """
    base, quote = split_symbol(symbol) if symbol != "GOOG" else ("GOOG", "USD")
    tick, step, market_maximum = _USUAL.get(symbol, ("", "", "1000000"))
    if not tick or (decimals < 8 and Decimal(1).scaleb(-decimals) < Decimal(tick)):
        tick = _plain(Decimal(1).scaleb(-decimals))
    step = step or _plain(_power_of_ten(0.01 / price))
    return Listing(symbol, base, quote, usual_filters(tick, step, market_maximum))


def without_maxima(listing: Listing) -> Listing:
    """Return `listing` with no largest quantity and value of an order: zero switches a rule off.

    >>> listing = without_maxima(usual_listing("BTCUSDT", 60000.0))
    >>> listing.filters["LOT_SIZE"]["maxQty"], listing.filters["LOT_SIZE"]["minQty"]
    ('0.00000000', '0.00001000')
    """
    off = dict.fromkeys(("maxQty", "maxNotional"), "0.00000000")
    filters = {
        name: {key: off.get(key, value) for key, value in rule.items()}
        for name, rule in listing.filters.items()
    }
    return replace(listing, filters=filters)


def _power_of_ten(value: float) -> Decimal:
    exponent = Decimal(value).adjusted()
    return Decimal(1).scaleb(min(0, max(-8, exponent)))


def _plain(value: Decimal) -> str:
    return format(value, "f")


def _eight(value: str) -> str:
    return format(Decimal(value), ".8f")


def usual_filters(tick: str, step: str, market_maximum: str) -> dict[str, dict[str, Any]]:
    """Return the filters that the real exchange sets on a liquid symbol, by `filterType`."""
    documents: list[dict[str, Any]] = [
        {
            "filterType": "PRICE_FILTER",
            "minPrice": _eight(tick),
            "maxPrice": "1000000.00000000",
            "tickSize": _eight(tick),
        },
        {
            "filterType": "LOT_SIZE",
            "minQty": _eight(step),
            "maxQty": "9000000.00000000" if Decimal(step) >= 1 else "900000.00000000",
            "stepSize": _eight(step),
        },
        {"filterType": "ICEBERG_PARTS", "limit": 10},
        {
            "filterType": "MARKET_LOT_SIZE",
            "minQty": "0.00000000",
            "maxQty": _eight(market_maximum),
            "stepSize": "0.00000000",
        },
        {
            "filterType": "TRAILING_DELTA",
            "minTrailingAboveDelta": 10,
            "maxTrailingAboveDelta": 2000,
            "minTrailingBelowDelta": 10,
            "maxTrailingBelowDelta": 2000,
        },
        {
            "filterType": "PERCENT_PRICE_BY_SIDE",
            "bidMultiplierUp": "5",
            "bidMultiplierDown": "0.2",
            "askMultiplierUp": "5",
            "askMultiplierDown": "0.2",
            "avgPriceMins": 5,
        },
        {
            "filterType": "NOTIONAL",
            "minNotional": "5.00000000",
            "applyMinToMarket": True,
            "maxNotional": "9000000.00000000",
            "applyMaxToMarket": False,
            "avgPriceMins": 5,
        },
        {"filterType": "MAX_NUM_ORDERS", "maxNumOrders": 200},
        {"filterType": "MAX_NUM_ORDER_LISTS", "maxNumOrderLists": 20},
        {"filterType": "MAX_NUM_ALGO_ORDERS", "maxNumAlgoOrders": 5},
        {"filterType": "MAX_NUM_ORDER_AMENDS", "maxNumOrderAmends": 10},
    ]
    return {document["filterType"]: document for document in documents}


def listing_from_document(document: Mapping[str, Any]) -> Listing:
    """Build a listing from a symbol's entry of a real `exchangeInfo` document."""
    own = {"symbol", "status", "baseAsset", "quoteAsset", "filters", "orderTypes"}
    return Listing(
        document["symbol"],
        document["baseAsset"],
        document["quoteAsset"],
        {f["filterType"]: _own_keys(f) for f in document["filters"]},
        document["status"],
        document.get("baseAssetPrecision", 8),
        tuple(document["orderTypes"]),
        {key: value for key, value in document.items() if key not in own},
    )


def _own_keys(document: Mapping[str, Any]) -> dict[str, Any]:
    """Drop the empty strings and zeros with which some dumps pad a filter's keys."""
    return {key: value for key, value in document.items() if value != ""}
