"""Turn Binance's `exchangeInfo` document into instruments, and `myFilters` into their filters.

Add here: a filter or field of that document the domain has a type for. Keep out: requests.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from typing import Any

from thunes_core.domain.instrument import (
    Filter,
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

Raw = Mapping[str, Any]
LISTS = ("OCO", "OTO", "OPO")


def parse_instruments(document: Raw) -> dict[str, Instrument]:
    """Return the instruments of an `exchangeInfo` document by symbol; unknown filters are left.

    The exchange's own filters bind on every symbol, and stand among each instrument's.
    """
    everywhere = document.get("exchangeFilters", ())
    return {raw["symbol"]: _instrument(raw, everywhere) for raw in document["symbols"]}


def weight_per_minute(document: Raw) -> int | None:
    """Return the limit of request weight a minute that an `exchangeInfo` document names."""
    for rule in document.get("rateLimits", ()):
        if rule["rateLimitType"] == "REQUEST_WEIGHT" and rule["interval"] == "MINUTE":
            return int(rule["limit"]) // int(rule["intervalNum"])
    return None


def parse_filters(rows: Iterable[Raw]) -> tuple[Filter, ...]:
    """Return the filters of `rows` that the domain knows, in that order."""
    return tuple(
        _FILTERS[f["filterType"]](f)
        for f in rows
        if f["filterType"] in _FILTERS and _KEYS.get(f["filterType"], "filterType") in f
    )


def _instrument(raw: Raw, everywhere: Iterable[Raw]) -> Instrument:
    return Instrument(
        symbol=raw["symbol"],
        base_asset=raw["baseAsset"],
        quote_asset=raw["quoteAsset"],
        status=raw["status"],
        filters=parse_filters((*raw["filters"], *everywhere)),
        base_precision=int(raw["baseAssetPrecision"]),
        quote_precision=int(raw.get("quoteAssetPrecision", raw.get("quotePrecision", 8))),
        order_types=tuple(raw.get("orderTypes", ())),
        list_types=tuple(kind for kind in LISTS if raw.get(f"{kind.lower()}Allowed")),
        follows_price=bool(raw.get("allowTrailingStop")),
        replaces=bool(raw.get("cancelReplaceAllowed")),
    )


def _price(raw: Raw) -> PriceFilter:
    return PriceFilter(Decimal(raw["minPrice"]), Decimal(raw["maxPrice"]), Decimal(raw["tickSize"]))


def _lot(raw: Raw) -> LotSize:
    return LotSize(Decimal(raw["minQty"]), Decimal(raw["maxQty"]), Decimal(raw["stepSize"]))


def _market_lot(raw: Raw) -> MarketLotSize:
    return MarketLotSize(Decimal(raw["minQty"]), Decimal(raw["maxQty"]), Decimal(raw["stepSize"]))


def _min_notional(raw: Raw) -> Notional:
    return Notional(
        Decimal(raw["minNotional"]),
        apply_min_to_market=bool(raw.get("applyToMarket", True)),
        name="MIN_NOTIONAL",
    )


def _notional(raw: Raw) -> Notional:
    return Notional(
        Decimal(raw["minNotional"]),
        Decimal(raw.get("maxNotional", 0)),
        bool(raw.get("applyMinToMarket", True)),
        bool(raw.get("applyMaxToMarket", False)),
    )


def _percent_price(raw: Raw) -> PercentPrice:
    up, down = Decimal(raw["multiplierUp"]), Decimal(raw["multiplierDown"])
    return PercentPrice(bid_up=up, bid_down=down, ask_up=up, ask_down=down)


def _percent_price_by_side(raw: Raw) -> PercentPrice:
    return PercentPrice(
        bid_up=Decimal(raw["bidMultiplierUp"]),
        bid_down=Decimal(raw["bidMultiplierDown"]),
        ask_up=Decimal(raw["askMultiplierUp"]),
        ask_down=Decimal(raw["askMultiplierDown"]),
        name="PERCENT_PRICE_BY_SIDE",
    )


def _trailing(raw: Raw) -> TrailingDelta:
    return TrailingDelta(
        int(raw["minTrailingAboveDelta"]),
        int(raw["maxTrailingAboveDelta"]),
        int(raw["minTrailingBelowDelta"]),
        int(raw["maxTrailingBelowDelta"]),
    )


def _max_open(raw: Raw) -> MaxOpen:
    name = raw["filterType"]
    return MaxOpen(name, int(raw[_MOST[name.removeprefix("EXCHANGE_")]]))


_MOST = {
    "MAX_NUM_ORDERS": "maxNumOrders",
    "MAX_NUM_ALGO_ORDERS": "maxNumAlgoOrders",
    "MAX_NUM_ORDER_LISTS": "maxNumOrderLists",
}
"""The figure of each filter on what is open; EXCHANGE_ before a name counts all symbols."""

_KEYS = {"MAX_NUM_ORDER_LISTS": "maxNumOrderLists", "MAX_POSITION": "maxPosition"}
"""Figures that a filter may be listed without: then it is none."""

_FILTERS: dict[str, Callable[[Raw], Filter]] = {
    "PRICE_FILTER": _price,
    "LOT_SIZE": _lot,
    "MARKET_LOT_SIZE": _market_lot,
    "MIN_NOTIONAL": _min_notional,
    "NOTIONAL": _notional,
    "PERCENT_PRICE": _percent_price,
    "PERCENT_PRICE_BY_SIDE": _percent_price_by_side,
    **{scope + kind: _max_open for kind in _MOST for scope in ("", "EXCHANGE_")},
    "MAX_ASSET": lambda raw: MaxAsset(raw["asset"], Decimal(raw["limit"])),
    "MAX_POSITION": lambda raw: MaxPosition(Decimal(raw["maxPosition"])),
    "TRAILING_DELTA": _trailing,
}
