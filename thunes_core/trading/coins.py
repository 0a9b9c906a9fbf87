"""What of a book may be sold now: its holding less what unsettled sells may have taken. Pure.

A sell of unknown outcome, or one whose fills are not readable yet, may have executed: the same
coins are not offered twice, even where the account holds other people's.

Add here: arithmetic of what is spoken for. Keep out: cancelling what rests (see `guard`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from decimal import Decimal

from thunes_core.domain.instrument import Instrument, floor_to_step
from thunes_core.domain.orders import ZERO, OrderRequest, Side
from thunes_core.domain.portfolio import Position
from thunes_core.domain.records import OrderRecord

BookKey = tuple[str, str]


def committed(records: Iterable[OrderRecord], book: Position) -> Decimal:
    """Base units that the unsettled sells among `records` may still take from `book`.

    Protection that rests counts only for what it sold already: it is released before a sale.
    """
    return sum(
        (
            _outstanding(record)
            for record in records
            if (record.strategy, record.request.symbol) == (book.strategy, book.symbol)
            and record.request.side is Side.SELL
        ),
        ZERO,
    )


def sellable(records: Iterable[OrderRecord], book: Position) -> Decimal:
    """Base units of `book` that may be sold now; never below zero."""
    return max(book.quantity - committed(records, book), ZERO)


def is_spoken_for(records: Iterable[OrderRecord], book: Position, instrument: Instrument) -> bool:
    """True when sales under way may have taken of `book` all but less than a lot."""
    free = sellable(records, book)
    return free < book.quantity and floor_to_step(free, instrument.step_size) <= 0


def uncovered(records: Sequence[OrderRecord], book: Position) -> Decimal:
    """Base units of `book` that may be sold now and for which no protective order is open.

    One that waits for its buy, or of which only may be that it rests, counts as open.
    """
    rests: dict[str, Decimal] = {}
    for record in records:
        request = record.request
        mine = (record.strategy, request.symbol) == (book.strategy, book.symbol)
        if mine and request.rests and not record.status.is_final:
            key, left = request.group, _open_quantity(record)
            rests[key] = min(rests.get(key, left), left)
    return max(sellable(records, book) - sum(rests.values(), ZERO), ZERO)


def within(request: OrderRequest, free: Decimal, instrument: Instrument) -> OrderRequest:
    """Return `request`, selling no more than `free` in whole steps."""
    most = floor_to_step(free, instrument.step_size)
    return replace(request, quantity=min(request.quantity, most))


def pending_buys(
    records: Iterable[OrderRecord], price_of: Mapping[str, Decimal]
) -> dict[BookKey, Decimal]:
    """Return what unsettled buys may still spend, by (strategy, symbol), in quote units."""
    found: dict[BookKey, Decimal] = {}
    for record in records:
        request = record.request
        if request.side is Side.BUY:
            price = request.price or price_of.get(request.symbol, ZERO)
            key = (record.strategy, request.symbol)
            found[key] = found.get(key, ZERO) + _open_part(record) * price
    return {key: value for key, value in found.items() if value > 0}


def _outstanding(record: OrderRecord) -> Decimal:
    """Return what a sell may still take; below 0 for one that rests and is read before its fill."""
    if record.request.rests and not record.status.is_final:
        return record.executed_quantity - record.booked_quantity
    return _open_part(record)


def _open_quantity(record: OrderRecord) -> Decimal:
    return record.request.quantity - record.executed_quantity


def _open_part(record: OrderRecord) -> Decimal:
    whole = record.executed_quantity if record.status.is_final else record.request.quantity
    return max(whole - record.booked_quantity, ZERO)
