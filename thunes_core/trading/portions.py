"""How much of a book its next sale takes, and which of its protection gives way to that. Pure.

What rests in parts leaves in parts: each is exchanged for the sale of its own size, so that what is
not sold yet stays protected.

Add here: which portion comes next. Keep out: releasing and selling (`act`), covering (`parts`).
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from thunes_core.domain.instrument import Instrument, floor_to_step, largest
from thunes_core.domain.orders import ZERO
from thunes_core.domain.portfolio import Position
from thunes_core.domain.records import OrderRecord
from thunes_core.trading.coins import sellable, uncovered
from thunes_core.trading.parts import lists_of
from thunes_core.trading.resting import resting_among
from thunes_core.trading.stops import is_too_small

MOST_AT_ONCE = 2
"""How many lists may give way to one sale: only the last does so in the request of that sale."""

Lists = list[tuple[OrderRecord, ...]]
"""Protective orders, by what ends together."""


def portion(
    records: Sequence[OrderRecord], book: Position, instrument: Instrument, price: Decimal
) -> Decimal:
    """Return the base units of `book` that its exit sells next, given what is not settled.

    All, where one order may carry it and no more than two lists protect it: the halves of a pair
    that moved, of which one stays until the sale takes its place. Else what nothing protects, then
    list after list, the smallest first: one too small for an order goes with the next. `price` in
    quote units.
    """
    whole, taken = sellable(records, book), uncovered(records, book)
    lists = _smallest_first(resting_among(records, book.strategy, book.symbol))
    most = min(largest(instrument, price), default=whole)
    if len(lists) <= MOST_AT_ONCE and whole <= most:
        return whole
    for quantity in (ZERO, *(amount for amount, _ in lists)):
        taken = min(taken + quantity, whole)
        if not is_too_small(floor_to_step(taken, instrument.step_size), price, instrument):
            return taken
    return whole


def giving_way(resting: Sequence[OrderRecord], short: Decimal) -> Lists:
    """Return the lists that must end so that `short` more base units may be sold, the largest last.

    The smallest ones that suffice, or one alone where that ends less. What only may rest gives way
    after what is known to.
    """
    ending, freed = Lists(), ZERO
    lists = _smallest_first(resting)
    for quantity, one in lists:
        if freed >= short:
            break
        ending, freed = [*ending, one], freed + quantity
    ending.sort(key=_is_doubted, reverse=True)  # what is known to rest may be exchanged in place
    known = [(quantity, one) for quantity, one in lists if not _is_doubted(one)]
    alone = next(((quantity, one) for quantity, one in known if quantity >= short > 0), None)
    return [alone[1]] if alone is not None and alone[0] <= freed else ending


def _smallest_first(
    resting: Sequence[OrderRecord],
) -> list[tuple[Decimal, tuple[OrderRecord, ...]]]:
    """Return the lists with what each protects; those that only may rest come last."""
    found = [(amount.quantity, one) for one, amount in lists_of(resting)]
    return sorted(found, key=lambda one: (_is_doubted(one[1]), one[0]))


def _is_doubted(records: Sequence[OrderRecord]) -> bool:
    return all(one.status.is_in_flight for one in records)
