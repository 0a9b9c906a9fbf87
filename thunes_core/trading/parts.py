"""What to place, move or take back next, so that all of a book is covered. Pure.

One order may carry only so much (LOT_SIZE, MARKET_LOT_SIZE, MAX_ASSET). What is held beyond that
rests in parts: several stops, or pairs, each of a list of its own. A part that rests already stays,
however large: the filters bind where an order is placed.

No request moves a pair. Where there is room for one more it moves by halves instead: in one request
the stop of one half takes its place, then the pair of the other half rests beside that stop, which
becomes a pair at last. From then on each half rests while the other moves.

Add here: which part comes next. Keep out: where parts should stand (`stops`), placing (`guard`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from decimal import Decimal

from thunes_core.domain.instrument import Instrument, floor_to_step
from thunes_core.domain.orders import ZERO
from thunes_core.domain.records import OrderRecord
from thunes_core.trading.stops import Protected, fits, is_too_small, least, resting

NOTHING = Protected(ZERO, None, None)


@dataclass(frozen=True, slots=True)
class Step:
    """`part` is to rest in place of `old`, beside all else; None: nothing is.

    `completes` is True when nothing is left to do after it.
    """

    part: Protected | None
    old: tuple[OrderRecord, ...] = ()
    completes: bool = False


def next_step(
    records: Sequence[OrderRecord],
    desired: Protected,
    instrument: Instrument,
    *,
    moves: bool = True,
) -> Step | None:
    """Return what makes the protective orders `records` more like `desired`; None: they may stay.

    What stands in the wrong place comes first, then what is too much or missing: in whole lots,
    which may be coarser than when a part was placed. What a part gave up that gets one of its own
    is covered before the next one is moved. Where none `moves`, because more is not known
    than what stands bare, only what is missing is placed beside them; what may rest, rests.
    """
    lists, lot = lists_of(records), instrument.step_size
    total = sum((rests.quantity for _, rests in lists), ZERO)
    left = floor_to_step(desired.quantity - total, lot)
    is_crumb = is_too_small(left, desired.lowest, instrument)
    spreads = desired.beside and desired.is_pair and len(lists) == 1
    for old, rests in lists if moves else ():
        if not fits(rests, replace(desired, quantity=rests.quantity), instrument):
            own = floor_to_step(left + rests.quantity, lot)
            too_much = len(lists) < desired.count and own > (desired.most or own)
            if not is_crumb and (spreads or too_much):
                return _step(desired, left, instrument, lists)
            return _in_place(desired, own, instrument, lists, old, halved=spreads)
    if lists and (not left or fits(replace(lists[0][1], quantity=total), desired, instrument)):
        return None
    if moves and (is_crumb or not spreads):
        old, smallest = min(lists, key=lambda one: one[1].quantity, default=((), NOTHING))
        joined = floor_to_step(smallest.quantity + left, lot)
        if left < 0 or not desired.most or joined <= desired.most:
            return _in_place(desired, joined, instrument, lists, old, halved=spreads)
    if left < 0 or (lists and is_crumb):
        return None
    return _step(desired, left, instrument, lists)


_Lists = Sequence[tuple[tuple[OrderRecord, ...], Protected]]


def lists_of(records: Sequence[OrderRecord]) -> _Lists:
    """Return the orders of each list, the oldest list first, with what they amount to."""
    found: dict[str, tuple[OrderRecord, ...]] = {}
    for record in records:
        key = record.request.group
        found[key] = (*found.get(key, ()), record)
    amounts = ((one, resting(one)) for one in found.values())
    return [(one, amount) for one, amount in amounts if amount is not None]


def _step(
    desired: Protected,
    quantity: Decimal,
    instrument: Instrument,
    lists: _Lists,
    old: tuple[OrderRecord, ...] = (),
) -> Step:
    """Return the step to `quantity` of `desired`, or to as much of it as one order may carry."""
    if quantity <= 0:
        return Step(None, old)
    part = desired.part(quantity, instrument.step_size)
    if old and part.quantity < quantity:
        part = replace(part, quantity=max(part.quantity, _kept(desired, quantity, instrument)))
    is_only = all(one == old for one, _ in lists)
    return Step(part, old, completes=is_only and part.quantity == desired.quantity)


def _in_place(
    desired: Protected,
    quantity: Decimal,
    instrument: Instrument,
    lists: _Lists,
    old: tuple[OrderRecord, ...],
    *,
    halved: bool,
) -> Step:
    """Return the step that puts `quantity` of `desired` in the place of `old`, or half of it."""
    half = _half(desired, quantity, instrument) if halved else None
    return Step(half, old) if half else _step(desired, quantity, instrument, lists, old)


def _half(desired: Protected, quantity: Decimal, instrument: Instrument) -> Protected | None:
    """Return the stop of half of `quantity`; None where it could not be sold by itself."""
    half = floor_to_step(quantity / 2, instrument.step_size)
    if is_too_small(half, desired.lowest, instrument):
        return None
    return replace(desired.part(half, instrument.step_size), target=None)


def _kept(desired: Protected, quantity: Decimal, instrument: Instrument) -> Decimal:
    """Return how much of `quantity` one part may keep, so that the rest can rest by itself."""
    rest = max(least(desired.lowest, instrument), quantity - (desired.most or quantity))
    return floor_to_step(quantity - rest, instrument.step_size)
