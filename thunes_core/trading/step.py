"""The tick: one pass over the account, from lease to equity mark (semantics §7).

lease → reconcile → state → every study (look, decide, gate, intent, submit, fills) → mark.

Add here: a step that the whole account shares. Keep out: what one study does (`trade`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

from thunes_core.domain.bars import Interval
from thunes_core.domain.instrument import Filter, Instrument
from thunes_core.domain.portfolio import Position, TradingState
from thunes_core.errors import (
    AskedToWait,
    BadInput,
    BreakerOpen,
    ExchangeRejected,
    ExchangeUnavailable,
    UnknownName,
)
from thunes_core.trading.act import Outcome
from thunes_core.trading.clear_up import Cleared, clear_up
from thunes_core.trading.delisted import ITS_END
from thunes_core.trading.elsewhere import looked_at_beside, seek
from thunes_core.trading.equity import allot, held_at, mark_of, next_state, valued
from thunes_core.trading.floor import Floor
from thunes_core.trading.lost import lost_coins
from thunes_core.trading.ports import Journal, MarketData
from thunes_core.trading.reconcile import Desk, Reconciliation, close_dust, reconcile
from thunes_core.trading.send import heed
from thunes_core.trading.trade import keep, trade
from thunes_core.trading.witness import strange_account
from thunes_core.trading.world import Study, TickReport, TradingPlan, World, parse_study

RECONCILER = "reconcile"
LOOK_AGAIN = tuple(timedelta(seconds=s) for s in (1, 2, 4))
"""Between the looks at balances that do not fit, before trading halts for them."""
Pause = Callable[[timedelta], None]
Prices = dict[str, Decimal]


def tick(world: World, plan: TradingPlan) -> TickReport:
    """Run one tick and return what it saw and did.

    Raises `LeaseHeld` while another tick runs, `BreakerOpen` when there is nothing to look after
    and the exchange failed before, `ExchangeUnavailable` when it cannot be read at all,
    `StoreFailed`. Running it again is always safe.
    """
    studies = tuple(parse_study(key) for key in plan.studies)
    with leased(world) as journal:
        _require_worth(journal)
        try:
            report = _run(world, plan, journal, studies)
        except AskedToWait as error:
            heed(journal, error)
            raise
        except ExchangeUnavailable:
            journal.heard_exchange(answered=False)
            raise
        if not journal.breaker_open():
            journal.heard_exchange(answered=True)
        return report


def _run(
    world: World,
    plan: TradingPlan,
    journal: Journal,
    studies: Sequence[Study],
) -> TickReport:
    desk = open_desk(world, plan, journal, studies)
    seen = reconciled(desk, world.pause)
    listed = [study for study in studies if study.symbol in desk.instruments]
    _open_books(desk, plan, listed)
    prices = prices_of(desk)
    _sweep_dust(desk, prices)
    values = valued(journal, prices)
    next_state(desk, plan.limits, values)
    floor = Floor(world, plan, desk, seen.account, prices, seen.unresolved, values)
    priced = [study for study in listed if study.symbol in prices]
    outcomes = [trade(floor, study, _book(journal, study)) for study in priced]
    orphans = untraded(floor, studies)
    outcomes += [keep(floor, study, _book(journal, study)) for study in orphans]
    cleared = clear_up(floor, [*priced, *orphans])
    _sweep_dust(desk, prices)
    report = _report(desk, seen, outcomes, cleared)
    return _finish(desk, report, {**values, **prices})


def reconciled(desk: Desk, pause: Pause | None = None) -> Reconciliation:
    """Reconcile; halt trading where that fails, or where the exchange refuses it (raised)."""
    is_halted = desk.journal.trading_state().state is TradingState.HALTED
    try:
        seen = looked(desk, None if is_halted else pause)
    except ExchangeRejected as error:
        _halt(desk, f"reconciliation failed: {error}; then `thunes resume`")
        raise
    strange = "" if seen.fits else strange_account(desk)
    if strange or seen.failed:
        _halt(desk, strange or seen.failed)
        desk.notes.extend([strange] if strange else [])
    # what fees took out of a book's own coins
    desk.notes.extend(lost_coins(desk, seen.account, seen.doubted))
    return seen


def looked(desk: Desk, pause: Pause | None) -> Reconciliation:
    """Reconcile without halting; what is missing is looked at again after `pause`, a few times.

    Balances may lag behind fills. What does not fit may have been traded by hand elsewhere.
    """
    seen = _sought(desk)
    for length in LOOK_AGAIN:
        if pause is None or not seen.failed:
            break
        pause(length)
        seen = _told_before(seen, _sought(desk))
    return seen


def _sought(desk: Desk) -> Reconciliation:
    seen = reconcile(desk)
    if seen.fits or not seek(desk, seen):
        return seen
    return _told_before(seen, reconcile(desk))


def _told_before(before: Reconciliation, now: Reconciliation) -> Reconciliation:
    """Return `now` with what was said before, but for what did not fit then."""
    gone = {*map(str, before.discrepancies), *now.notes}
    return replace(now, notes=(*(n for n in before.notes if n not in gone), *now.notes))


def _halt(desk: Desk, reason: str) -> None:
    record = desk.journal.trading_state()
    if record.state is not TradingState.HALTED:
        desk.journal.set_trading_state(
            TradingState.HALTED,
            reason=reason,
            author=RECONCILER,
            since=desk.now,
            instead_of=record,
        )


def _require_worth(journal: Journal) -> None:
    """Raise `BreakerOpen` when it is open and there is nothing to look after."""
    if not journal.breaker_open():
        return
    if any(book.is_open for book in journal.positions()) or journal.open_orders():
        return
    raise BreakerOpen(
        "breaker: the exchange failed repeatedly and nothing is held; this tick is skipped; "
        "within a minute the next one probes"
    )


@contextmanager
def leased(world: World) -> Iterator[Journal]:
    """Hold the account's lease; hand out the journal whose writes it fences."""
    lease = world.journal.acquire_lease(world.holder, world.lease_ttl)
    try:
        yield world.journal.under(lease)
    finally:
        world.journal.release_lease(lease)


def open_desk(world: World, plan: TradingPlan, journal: Journal, studies: Sequence[Study]) -> Desk:
    """Bind ports, instruments and terms to this moment of the exchange's clock.

    Looked at is every symbol that is traded, held, or has an order that is not settled.
    """
    held = {book.symbol for book in journal.positions() if book.holding}
    asked = {record.request.symbol for record in journal.open_orders()}
    symbols = sorted({study.symbol for study in studies} | held | asked)
    instruments, missing = _listed(world.market, symbols)
    missing |= {symbol: f"{missing[symbol]}; {ITS_END}" for symbol in (held | asked) & set(missing)}
    instruments = _bound(instruments, world.broker.own_filters(list(instruments)))
    return Desk(
        market=world.market,
        broker=world.broker,
        journal=journal,
        instruments=instruments,
        now=world.market.server_time(),
        cooldown=timedelta(minutes=plan.protection.cooldown_minutes),
        intervals={(study.strategy, study.symbol): study.interval for study in studies},
        missing=missing,
        beside=looked_at_beside(world.market, journal, instruments),
    )


def _listed(
    market: MarketData, symbols: Sequence[str]
) -> tuple[dict[str, Instrument], dict[str, str]]:
    """Return the instruments, and of each symbol that is not listed the sentence that says so."""
    try:
        return market.instruments(symbols), {}
    except UnknownName:
        pass  # one of them: the others are traded all the same
    found: dict[str, Instrument] = {}
    missing: dict[str, str] = {}
    for symbol in symbols:
        try:
            found |= market.instruments([symbol])
        except UnknownName as error:
            missing[symbol] = f"{symbol}: {error}"
    return found, missing


def _bound(
    instruments: Mapping[str, Instrument], own: Mapping[str, Sequence[Filter]]
) -> dict[str, Instrument]:
    """Return the instruments with what binds this account alone, first among their filters."""
    found = dict(instruments)
    for symbol, rules in own.items():
        public = instruments[symbol].filters
        alone = tuple(rule for rule in rules if rule not in public)
        if alone:
            found[symbol] = replace(instruments[symbol], filters=(*alone, *public))
    return found


def prices_of(desk: Desk) -> Prices:
    """Return the latest price of each symbol; one that has none is noted and not traded."""
    found: Prices = {}
    for symbol in desk.instruments:
        try:
            found[symbol] = desk.market.price(symbol)
        except (BadInput, ExchangeRejected) as error:
            desk.notes.append(f"{symbol}: no price, {error}")
    return found


def _open_books(desk: Desk, plan: TradingPlan, studies: Sequence[Study]) -> None:
    for study in studies:
        if desk.journal.position(study.strategy, study.symbol) is None:
            fresh = Position(study.strategy, study.symbol, cash=plan.allotment_quote)
            allot(desk.journal, fresh, desk.now)


def _book(journal: Journal, study: Study) -> Position:
    book = journal.position(study.strategy, study.symbol)
    if book is None:
        raise AssertionError("books are opened before the studies run")
    return book


def untraded(floor: Floor, studies: Sequence[Study]) -> list[Study]:
    """Return books that hold something or have open orders, and that no study trades any more."""
    journal = floor.desk.journal
    traded = {(study.strategy, study.symbol) for study in studies}
    waiting = {(record.strategy, record.request.symbol) for record in journal.open_orders()}
    return [
        Study("", book.strategy, book.symbol, _interval(journal, book))
        for book in journal.positions()
        if (book.strategy, book.symbol) not in traded
        and (book.is_open or (book.strategy, book.symbol) in waiting)
        and book.symbol in floor.prices
    ]


def _interval(journal: Journal, book: Position) -> Interval:
    return Interval(journal.interval_of(book.strategy, book.symbol) or Interval.H1)


def _sweep_dust(desk: Desk, prices: Prices) -> None:
    """Close the trades of exits that ended with a remainder too small to sell."""
    for book in desk.journal.positions():
        if not book.is_open or book.level > 0.0 or book.symbol not in prices:
            continue
        ended = desk.journal.last_exit(book.strategy, book.symbol)
        if ended is not None and ended.settled:
            close_dust(desk, ended, prices[book.symbol])


def _report(
    desk: Desk,
    seen: Reconciliation,
    outcomes: Sequence[Outcome],
    cleared: Cleared,
) -> TickReport:
    told = (note for done in outcomes for note in done.notes)
    notes = (*seen.notes, *desk.notes, *told, *cleared.notes)
    return TickReport(
        server_time=desk.now,
        state=desk.journal.trading_state(),
        decisions=tuple(done.decision for done in outcomes if done.decision is not None),
        orders=tuple(order for done in outcomes for order in done.orders),
        refused=tuple(refused for done in outcomes for refused in done.refused),
        fills=tuple(desk.booked),
        notes=tuple(dict.fromkeys(notes)),
        uncertain=cleared.uncertain,
    )


def _finish(desk: Desk, report: TickReport, prices: Mapping[str, Decimal]) -> TickReport:
    mark = mark_of(desk.journal, prices, desk.now)
    whole = replace(report, equity=mark.equity, prices=held_at(desk.journal, prices))
    desk.journal.record_tick(mark, whole.as_dict())
    return whole
