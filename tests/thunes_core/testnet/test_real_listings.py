"""Real listings of 2021, 2023 and 2025: the testnet's filters and the project's own agree."""

from __future__ import annotations

import gzip
import json
import random
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any

import pytest

from tests.shared_data import shared
from tests.thunes_core.testnet.markets import RISING, ZERO_HOUR, bars
from thunes_core.adapters.binance.exchange_info import parse_instruments
from thunes_core.clock import to_millis
from thunes_core.domain.filters import broken_filter
from thunes_core.domain.orders import Leg, OrderRequest, OrderType, Side, TimeInForce
from thunes_core.testnet.clock import SteppedClock
from thunes_core.testnet.filters import Situation, require_filters
from thunes_core.testnet.listing import listing_from_document
from thunes_core.testnet.market import replayed_market
from thunes_core.testnet.matching import Exchange
from thunes_core.testnet.orders import NewOrder
from thunes_core.testnet.refusals import Refused

FILES = (
    "binance_spot_full_1418symbols_2021-04-29.json.gz",
    "binance_spot_1289symbols_2023.json.gz",
    "binance_spot_BTCUSDT_2025-08-23.json",
)
SAME_RULE = {"MIN_NOTIONAL": "NOTIONAL", "PERCENT_PRICE_BY_SIDE": "PERCENT_PRICE"}
D = Decimal


def symbols_of(name: str) -> list[dict[str, Any]]:
    """Return the symbols of a real exchangeInfo document."""
    content = shared(f"fixtures/exchange_info/{name}").read_bytes()
    text = gzip.decompress(content) if name.endswith(".gz") else content
    document = json.loads(text)
    return list(document if isinstance(document, list) else document["symbols"])


def own_values(raw: Mapping[str, Any]) -> dict[str, Any]:
    """Drop the empty values with which one dump pads every filter."""
    kept = [{k: v for k, v in f.items() if v not in ("", 0)} for f in raw["filters"]]
    return {**raw, "filters": kept}


def edges(low: Decimal, high: Decimal, step: Decimal, draw: random.Random) -> Iterator[Decimal]:
    """Yield values on and beside the edges of a rule."""
    step = step or D("1e-8")
    middle = (low + step * draw.randint(1, 100_000)) // step * step
    yield from (low, low - step, low + step, middle, middle + step / 2, middle * 1000)
    if 0 < high < D(10) ** 12:
        yield from (high, high + step)


def asked(raw: Mapping[str, Any], draw: random.Random) -> Iterator[tuple[NewOrder, Decimal]]:
    """Yield orders on the edges of a symbol's filters, with the average price they meet."""
    rules = {f["filterType"]: f for f in raw["filters"]}
    lot, price = rules["LOT_SIZE"], rules["PRICE_FILTER"]
    tick = D(price["tickSize"]) or D("1e-8")
    average = tick * draw.randint(20, 200_000)
    quantities = edges(D(lot["minQty"]), D(lot["maxQty"]), D(lot["stepSize"]), draw)
    for quantity in (q for q in quantities if q > 0):
        side = draw.choice(list(Side))
        yield NewOrder(raw["symbol"], side, OrderType.MARKET, quantity=quantity), average
        for factor in ("0.19", "0.7", "1", "1.4", "5.1"):
            limit = average * D(factor) // tick * tick + draw.choice([D(0), tick / 2])
            if limit > 0:
                form = {"quantity": quantity, "price": limit}
                yield NewOrder(raw["symbol"], side, OrderType.LIMIT, **form), average


def verdict_of_testnet(order: NewOrder, raw: Mapping[str, Any], average: Decimal) -> str | None:
    """Return the filter by which the testnet refuses, or None."""
    situation = Situation(average, average, [], D(0))
    try:
        require_filters(order, listing_from_document(raw), situation)
    except Refused as refused:
        name = refused.message.removeprefix("Filter failure: ")
        return SAME_RULE.get(name, name)
    return None


@pytest.mark.parametrize("name", FILES)
def test_both_readings_of_the_filters_agree_on_real_symbols(name: str) -> None:
    """An order on the edge of a filter passes both or is refused by both."""
    found = symbols_of(name)
    draw = random.Random(name)
    chosen = draw.sample(found, min(len(found), 150))
    verdicts: dict[str | None, int] = {}
    for raw in map(own_values, chosen):
        instrument = parse_instruments({"symbols": [raw]})[raw["symbol"]]
        for order, average in asked(raw, draw):
            request = OrderRequest(
                order.symbol,
                order.side,
                order.type,
                order.quantity or D(0),
                "id",
                Leg.ENTRY,
                price=order.price,
                time_in_force=TimeInForce.GTC,
            )
            ours = broken_filter(request, instrument, average)
            theirs = verdict_of_testnet(order, raw, average)
            assert (ours is None) == (theirs is None), (raw["symbol"], order, ours, theirs)
            verdicts[theirs] = verdicts.get(theirs, 0) + 1
    assert {None, "LOT_SIZE", "NOTIONAL", "PRICE_FILTER", "PERCENT_PRICE"} <= verdicts.keys()


def test_a_market_can_trade_by_a_real_listing() -> None:
    """BTCUSDT as it was listed in 2025, its figures shown and applied."""
    raw = symbols_of(FILES[2])[0]
    listing = listing_from_document(raw)
    on = replayed_market([bars(RISING)], start=ZERO_HOUR, listings=[listing])
    exchange = Exchange(on, SteppedClock(to_millis(ZERO_HOUR)))
    assert exchange.market.listing("BTCUSDT").step == D("0.00001")
    shown = listing.document()
    assert shown["orderTypes"] == raw["orderTypes"]
    assert len(shown["filters"]) == len(raw["filters"])
