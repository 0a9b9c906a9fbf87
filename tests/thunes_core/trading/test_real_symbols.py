"""Orders as they are built, on every symbol of real exchangeInfo documents of 2021, 2023 and 2025.

Each passes the testnet's filters, which were written apart from ours, or is refused by name.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from tests.thunes_core.testnet.test_real_listings import FILES, own_values, symbols_of
from tests.worlds import START
from thunes_core.adapters.binance.exchange_info import parse_instruments
from thunes_core.domain.bars import Interval
from thunes_core.domain.filters import broken_filter
from thunes_core.domain.instrument import Instrument, PriceFilter
from thunes_core.domain.limits import Costs, Protection
from thunes_core.domain.orders import OrderRequest, OrderType
from thunes_core.domain.portfolio import Position
from thunes_core.testnet.filters import Situation, require_filters
from thunes_core.testnet.listing import Listing, listing_from_document
from thunes_core.testnet.orders import NewOrder
from thunes_core.testnet.refusals import Refused
from thunes_core.trading.decide import View, decide, exit_request
from thunes_core.trading.entry import EntryTerms, protected_entry
from thunes_core.trading.stops import requests_for, wanted

BOTH = Protection(stop_loss=0.05, take_profit=0.1)
CASH = (Decimal(1), Decimal(1000), Decimal(5_000_000))
TICKS = (40, 1_234, 98_765)


def built(instrument: Instrument, price: Decimal, cash: Decimal) -> Iterator[OrderRequest]:
    """Yield the orders of one trade: entry alone and in a list, stop, target, pair and exit."""
    flat = Position("s", instrument.symbol, cash=cash)
    view = View(Interval.H1, START, (0.0, 1.0), price, instrument, Costs())
    (entry,) = decide(flat, view).orders
    yield entry
    terms = EntryTerms(START, price, 2 * cash, instrument, Costs(), BOTH, ("OPO",))
    yield from protected_entry(entry, flat, terms)
    held = replace(
        flat,
        quantity=entry.quantity * Decimal("0.999"),
        average_price=price,
        high_water=float(price),
        level=1.0,
    )
    protected = wanted(held, BOTH, instrument)
    if protected is not None:
        yield from requests_for(protected, held, START, instrument, 0)
    yield exit_request(held, START, instrument, "signal", price)


def as_asked(request: OrderRequest) -> NewOrder:
    """Return the order as the testnet reads it."""
    return NewOrder(
        request.symbol,
        request.side,
        request.type,
        quantity=request.quantity,
        price=request.price,
        stop_price=request.stop_price,
    )


def refused_by(order: NewOrder, listing: Listing, price: Decimal) -> str | None:
    """Return the filter by which the testnet refuses, or None."""
    try:
        require_filters(order, listing, Situation(price, price, [], Decimal(0)))
    except Refused as refused:
        return refused.message.removeprefix("Filter failure: ")
    return None


def judged(raw: dict[str, Any]) -> Iterator[tuple[str | None, str | None, OrderRequest]]:
    """Yield our verdict and the testnet's on every order built for a symbol."""
    instrument, listing = parse_instruments({"symbols": [raw]})[raw["symbol"]], None
    rule = instrument.find(PriceFilter)
    tick = (rule.tick_size if rule else None) or Decimal("1e-8")
    listing = listing_from_document(raw)
    for price, cash in zip((tick * n for n in TICKS), CASH, strict=True):
        for request in built(instrument, price, cash):
            if request.quantity > 0:
                ours = broken_filter(request, instrument, price)
                yield ours, refused_by(as_asked(request), listing, price), request


@pytest.mark.slow
@pytest.mark.parametrize("name", FILES)
def test_every_order_built_passes_or_is_refused_by_the_filters_name(name):
    """All symbols; on none do the two readings differ."""
    verdicts: Counter[str] = Counter()
    for raw in map(own_values, symbols_of(name)):
        for ours, theirs, request in judged(raw):
            said = ours.split(":")[0] if ours else None
            assert (said is None) == (theirs is None), (raw["symbol"], request, ours, theirs)
            verdicts[said or "passed"] += 1
            assert instrument_takes(raw, request)
    assert verdicts["passed"] > 0
    assert all(code == "passed" or code.isupper() for code in verdicts)


def instrument_takes(raw: dict[str, Any], request: OrderRequest) -> bool:
    """True when the symbol's document names the type of the order."""
    return str(request.type) in raw["orderTypes"] or request.type is OrderType.MARKET
