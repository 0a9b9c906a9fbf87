"""An entry and its protection as one order list, so that the exchange protects what it fills.

The buy is a limit that must fill whole at once (FOK), a little above the expected price, or the
limit order that rests for its bars; its stop and target come to rest by the whole fill itself.
Where the exchange has no such lists, or the list would break a limit, the buy goes alone and is
protected by the tick that sees it filled.

Add here: another form of a protected entry. Keep out: sending it (see `act`), where stops stand.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal

from thunes_core.domain.instrument import Instrument, floor_to_step
from thunes_core.domain.limits import Costs, Protection
from thunes_core.domain.orders import Leg, OrderRequest, OrderType, TimeInForce
from thunes_core.domain.portfolio import Position
from thunes_core.trading.stops import requests_for, wanted

ROOM = Decimal("0.005")
"""How far above the expected price the buy may fill at most, if the cash reaches so far."""


@dataclass(frozen=True, slots=True)
class EntryTerms:
    """What a protected entry depends on; `lists` names the kinds that broker and exchange take.

    `price` is the latest traded price and `free` the cash at hand, both in quote units. `native`:
    the exchange itself follows with a trail. `attempt` tells the ids of one list's legs from
    another's of the same bar.
    """

    bar: datetime
    price: Decimal
    free: Decimal
    instrument: Instrument
    costs: Costs
    protection: Protection
    lists: Sequence[str] = ()
    native: bool = False
    attempt: int = 0


def protected_entry(
    request: OrderRequest, book: Position, terms: EntryTerms
) -> tuple[OrderRequest, ...]:
    """Return the buy `request` with its protection as one list, or alone where that cannot be.

    The protection of a limit order stands where its whole fill at the limit would put it.
    """
    fits = request.leg is Leg.ENTRY and request.quantity > 0
    if not fits or not terms.lists or book.is_open or terms.protection.is_off:
        return (request,)
    at_market = terms.price * (1 + Decimal(repr(terms.costs.slippage)))
    expected = at_market if request.price is None else min(request.price, at_market)
    listed = replace(request, list_id=f"{request.client_order_id}-l")
    buy = _at_once(listed, at_market, terms) if request.price is None else listed
    legs = _legs(listed, book, expected, terms)
    return (request,) if buy is None or not legs else (buy, *legs)


def _at_once(request: OrderRequest, expected: Decimal, terms: EntryTerms) -> OrderRequest | None:
    """Return a market buy as a limit that fills whole at once; None where the cash is too short."""
    with_fee = request.quantity * (1 + Decimal(repr(terms.costs.taker_fee)))
    most = min(expected * (1 + ROOM), terms.free / with_fee)
    limit = floor_to_step(most, terms.instrument.tick_size)
    if limit < terms.price:
        return None
    return replace(request, type=OrderType.LIMIT, price=limit, time_in_force=TimeInForce.FOK)


def _legs(
    request: OrderRequest, book: Position, expected: Decimal, terms: EntryTerms
) -> tuple[OrderRequest, ...]:
    """Return the protection of what the buy will have received, at the price expected."""
    received = request.quantity * (1 - Decimal(repr(terms.costs.taker_fee)))
    filled = replace(book, quantity=received, average_price=expected, high_water=float(expected))
    native = terms.native
    protected = wanted(filled, terms.protection, terms.instrument, native=native, price=expected)
    if protected is None:
        return ()
    most = min(protected.quantity, protected.most or protected.quantity)
    listed = replace(protected, quantity=most)  # what it may not carry is covered after the fill
    return requests_for(listed, filled, terms.bar, terms.instrument, terms.attempt, request.list_id)
