"""The `exchangeInfo` document becomes instruments with filters."""

from __future__ import annotations

import gzip
import json
from decimal import Decimal
from typing import Any

import pytest

from tests.shared_data import shared
from thunes_core.adapters.binance.exchange_info import parse_instruments
from thunes_core.domain.instrument import (
    Instrument,
    LotSize,
    MarketLotSize,
    MaxOpen,
    MaxPosition,
    Notional,
    PercentPrice,
    PriceFilter,
    TrailingDelta,
)


def one(*filters: dict[str, Any], **more: Any) -> Instrument:
    """Parse a document of one symbol with these filters."""
    raw = {
        "symbol": "BTCUSDT",
        "status": "TRADING",
        "baseAsset": "BTC",
        "quoteAsset": "USDT",
        "baseAssetPrecision": 8,
        "quoteAssetPrecision": 6,
        "filters": list(filters),
        **more,
    }
    return parse_instruments({"symbols": [raw]})["BTCUSDT"]


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (
            {"filterType": "PRICE_FILTER", "minPrice": "0.1", "maxPrice": "9", "tickSize": "0.01"},
            PriceFilter(Decimal("0.1"), Decimal(9), Decimal("0.01")),
        ),
        (
            {"filterType": "LOT_SIZE", "minQty": "1", "maxQty": "9", "stepSize": "0.1"},
            LotSize(Decimal(1), Decimal(9), Decimal("0.1")),
        ),
        (
            {"filterType": "MARKET_LOT_SIZE", "minQty": "0", "maxQty": "9", "stepSize": "0"},
            MarketLotSize(Decimal(0), Decimal(9), Decimal(0)),
        ),
        (
            {"filterType": "MIN_NOTIONAL", "minNotional": "10", "applyToMarket": False},
            Notional(Decimal(10), apply_min_to_market=False, name="MIN_NOTIONAL"),
        ),
        (
            {
                "filterType": "NOTIONAL",
                "minNotional": "5",
                "maxNotional": "900",
                "applyMinToMarket": True,
                "applyMaxToMarket": True,
            },
            Notional(Decimal(5), Decimal(900), True, True),
        ),
        (
            {"filterType": "PERCENT_PRICE", "multiplierUp": "5", "multiplierDown": "0.2"},
            PercentPrice(Decimal(5), Decimal("0.2"), Decimal(5), Decimal("0.2")),
        ),
        (
            {
                "filterType": "PERCENT_PRICE_BY_SIDE",
                "bidMultiplierUp": "1.1",
                "bidMultiplierDown": "0.2",
                "askMultiplierUp": "5",
                "askMultiplierDown": "0.8",
            },
            PercentPrice(
                Decimal("1.1"), Decimal("0.2"), Decimal(5), Decimal("0.8"), "PERCENT_PRICE_BY_SIDE"
            ),
        ),
        ({"filterType": "MAX_NUM_ORDERS", "maxNumOrders": 200}, MaxOpen("MAX_NUM_ORDERS", 200)),
        (
            {"filterType": "MAX_NUM_ALGO_ORDERS", "maxNumAlgoOrders": 5},
            MaxOpen("MAX_NUM_ALGO_ORDERS", 5),
        ),
        (
            {"filterType": "MAX_NUM_ORDER_LISTS", "maxNumOrderLists": 20},
            MaxOpen("MAX_NUM_ORDER_LISTS", 20),
        ),
        ({"filterType": "MAX_POSITION", "maxPosition": "10.5"}, MaxPosition(Decimal("10.5"))),
        (
            {
                "filterType": "TRAILING_DELTA",
                "minTrailingAboveDelta": 10,
                "maxTrailingAboveDelta": 2000,
                "minTrailingBelowDelta": 20,
                "maxTrailingBelowDelta": 1000,
            },
            TrailingDelta(10, 2000, 20, 1000),
        ),
    ],
    ids=lambda x: x["filterType"] if isinstance(x, dict) else "",
)
def test_each_filter_keeps_its_numbers_exactly(raw: dict[str, Any], expected: object) -> None:
    """Texts become Decimals, never floats."""
    assert one(raw).filters == (expected,)


def test_a_filter_nobody_knows_is_left_out() -> None:
    """New filters of the exchange do not break the reading."""
    assert one({"filterType": "SOMETHING_NEW", "limit": 1}).filters == ()


def test_precisions_and_status_are_read() -> None:
    """A halted symbol is still an instrument."""
    found = one(status="BREAK")
    assert (found.status, found.base_precision, found.quote_precision) == ("BREAK", 8, 6)


@pytest.mark.parametrize(
    ("name", "symbols"),
    [
        ("binance_20symbols_2020-10-31.json", 20),
        ("binance_spot_full_1418symbols_2021-04-29.json.gz", 1418),
        ("basana_binance_btc_usdt_exchange_info.json", 1),
        ("binance_spot_1289symbols_2023.json.gz", 1289),
        ("binance_spot_BTCUSDT_2025-08-23.json", 1),
    ],
)
def test_real_documents_of_every_year_are_read_whole(name: str, symbols: int) -> None:
    """Every symbol of the captured documents has its lot, price and notional filters."""
    content = shared(f"fixtures/exchange_info/{name}").read_bytes()
    document = json.loads(gzip.decompress(content) if name.endswith(".gz") else content)
    listed = document if isinstance(document, list) else document["symbols"]
    found = parse_instruments({"symbols": listed})
    assert len(found) == symbols
    assert all(i.find(LotSize) and i.find(PriceFilter) for i in found.values())
    assert all(i.find(PercentPrice) and i.min_notional > 0 for i in found.values())


def test_the_exchanges_own_filters_stand_among_those_of_each_symbol():
    """They are told once a document, for every symbol."""
    raw = {"symbol": "X", "status": "TRADING", "baseAsset": "A", "quoteAsset": "B"}
    document = {
        "symbols": [raw | {"baseAssetPrecision": 8, "filters": []}],
        "exchangeFilters": [
            {"filterType": "EXCHANGE_MAX_NUM_ORDERS", "maxNumOrders": 1000},
            {"filterType": "EXCHANGE_MAX_NUM_ALGO_ORDERS", "maxNumAlgoOrders": 200},
            {"filterType": "EXCHANGE_MAX_NUM_ICEBERG_ORDERS", "maxNumIcebergOrders": 10000},
            {"filterType": "EXCHANGE_MAX_NUM_ORDER_LISTS", "maxNumOrderLists": 20},
        ],
    }
    assert parse_instruments(document)["X"].filters == (
        MaxOpen("EXCHANGE_MAX_NUM_ORDERS", 1000),
        MaxOpen("EXCHANGE_MAX_NUM_ALGO_ORDERS", 200),
        MaxOpen("EXCHANGE_MAX_NUM_ORDER_LISTS", 20),
    )
