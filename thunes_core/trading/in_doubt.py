"""Protect coins that an order of unknown outcome sells, or was to protect, until its fate is known.

The exchange locks a coin once. So of two orders that sell the same coins it takes one: if what is
in doubt was executed, or rests, the protection is refused; if the protection rests, what comes late
is refused. That holds while the account has no other coins of the asset to sell instead, to the
last lot, and nothing can bring any.

Add here: another way in which coins may come or be spoken for. Keep out: what became of the order
(`resolve`), protection of what is surely bare (`guard`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal

from thunes_core.domain.instrument import floor_to_step
from thunes_core.domain.orders import ZERO, ApprovedOrder, OrderStatus, Side, attempt_of
from thunes_core.domain.portfolio import Position
from thunes_core.domain.records import OrderRecord
from thunes_core.errors import ExchangeRejected, ExchangeUnavailable
from thunes_core.trading.floor import Floor, judge_of
from thunes_core.trading.guard import placeable, placing
from thunes_core.trading.parts import lists_of
from thunes_core.trading.reconcile import Desk, book_new_fills
from thunes_core.trading.resolve import NEVER_LEFT
from thunes_core.trading.resting import resting_among
from thunes_core.trading.send import deliver, heed, intents_of
from thunes_core.trading.stops import Protected, requests_for, wanted
from thunes_core.trading.world import Study


def protect_doubtful(floor: Floor, study: Study) -> list[str]:
    """Protect what of a book one order of unknown outcome leaves bare, once; return notes."""
    desk = floor.desk
    book = desk.journal.position(study.strategy, study.symbol)
    if book is None or not book.is_open or not desk.broker.locks_coins:
        return []
    doubted = _doubted(desk, book)
    if not doubted or _was_asked(desk, book, doubted[0]):
        return []
    try:
        bare = _bare(desk, book, doubted)
    except (ExchangeRejected, ExchangeUnavailable) as error:
        heed(desk.journal, error)
        return [f"{book.symbol}: not known whether its coins can be protected, {error}"]
    part = _part(floor, book, bare, doubted[0])
    return _place(floor, study, book, part, doubted[0]) if part is not None else []


def _doubted(desk: Desk, book: Position) -> list[OrderRecord]:
    """Return the sells of `book` that one unknown request made, where nothing else moves its coins.

    None where another is in flight, a buy is not settled, or another book deals in the same asset.
    """
    asset, mine = desk.instruments[book.symbol].base_asset, (book.strategy, book.symbol)
    held = {(one.strategy, one.symbol) for one in desk.journal.positions() if one.is_open}
    if any(_deals_in(desk, symbol, asset) for _, symbol in {*desk.intervals, *held} - {mine}):
        return []
    records = [r for r in desk.journal.open_orders() if _deals_in(desk, r.request.symbol, asset)]
    if any((r.strategy, r.request.symbol) != mine or r.request.side is Side.BUY for r in records):
        return []
    found = [record for record in records if record.status.is_in_flight]
    is_one = len({record.request.group for record in found}) == 1
    return found if is_one and all(r.status is OrderStatus.UNKNOWN for r in found) else []


def _deals_in(desk: Desk, symbol: str, asset: str) -> bool:
    found = desk.instruments.get(symbol)
    return found is not None and asset in (found.base_asset, found.quote_asset)


def _was_asked(desk: Desk, book: Position, doubted: OrderRecord) -> bool:
    """True when protection beside `doubted` was refused, or never came: that is not repeated."""
    asked = desk.journal.orders_of(book.strategy, book.symbol, book.last_bar or desk.now)
    since = attempt_of(doubted.client_order_id) if doubted.bar == book.last_bar else -1
    return any(
        one.request.rests
        and attempt_of(one.client_order_id) > since
        and one.status is OrderStatus.REJECTED
        and one.code != NEVER_LEFT
        for one in asked
    )


def _bare(desk: Desk, book: Position, doubted: Sequence[OrderRecord]) -> Decimal:
    """Return the base units that `doubted` leaves bare and the exchange may lock; 0 if unsafe.

    A sale shows in the total that is left, protection that rests all the same in what is free.
    """
    instrument = desk.instruments[book.symbol]
    resting = resting_among(desk.journal.open_orders(), book.strategy, book.symbol)
    sure = [one for one in resting if not one.status.is_in_flight]
    covered = sum((rests.quantity for _, rests in lists_of(sure)), ZERO)
    mine = min(one.request.quantity - one.executed_quantity for one in doubted)
    bare = floor_to_step(min(book.quantity - covered, mine), instrument.step_size)
    if bare <= 0:
        return ZERO
    account, asset = desk.broker.account(), instrument.base_asset
    spare = account.total(asset) - book.quantity
    left = account.free(asset) if doubted[0].request.rests else account.total(asset) - covered
    if left < bare or (spare > 0 and spare >= instrument.step_size):
        return ZERO
    return ZERO if _may_come(desk, asset) else bare


def _may_come(desk: Desk, asset: str) -> bool:
    """True when an order rests, whoever's it is, that may bring coins of `asset`."""
    return any(
        one.symbol.startswith(asset) if one.side is Side.BUY else one.symbol.endswith(asset)
        for one in desk.broker.open_orders()
    )


def _part(floor: Floor, book: Position, bare: Decimal, doubted: OrderRecord) -> Protected | None:
    """Return what is to rest for `bare` base units: beside a sale the stop alone."""
    instrument = floor.desk.instruments[book.symbol]
    whole = wanted(
        replace(book, quantity=bare),
        floor.plan.protection,
        instrument,
        native=floor.native_trail,
        price=floor.prices.get(book.symbol, ZERO),
    )
    if whole is None:
        return None
    part = whole.part(bare, instrument.step_size)
    is_all = doubted.request.rests and part.quantity > book.quantity - instrument.step_size
    if not doubted.request.rests:
        part = replace(part, target=None)
    if not is_all or part.stop is None:
        part = part.without_activation()
    return part if part.stop is not None else None


def _place(
    floor: Floor, study: Study, book: Position, part: Protected, doubted: OrderRecord
) -> list[str]:
    """Place `part` under intents of its own; what the gate or the exchange refuses is told."""
    desk, bar, ask = floor.desk, book.last_bar or floor.desk.now, judge_of(floor, study)
    attempt = len(desk.journal.orders_of(book.strategy, book.symbol, bar))
    part = placeable(desk, book, part, ask)
    asked = requests_for(part, book, bar, desk.instruments[book.symbol], attempt)
    approved = [one for one in map(ask, asked) if isinstance(one, ApprovedOrder)]
    if len(approved) < len(asked):
        return []
    desk.journal.record_intents(book, intents_of(approved, book.strategy, bar, desk.now))
    note = deliver(desk.broker, desk.journal, approved, placing(desk.broker, approved))
    book_new_fills(desk, [book.symbol])
    name = approved[0].request.client_order_id
    return [note or f"{name}: protects while {doubted.client_order_id} is in doubt"]
