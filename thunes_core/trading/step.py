"""The tick: one pass over the account, from lease to equity mark (semantics §7).

lease → reconcile → state → every study (look, decide, gate, intent, submit, fills) → mark.

Add here: a step that the whole account shares. Keep out: what one study does (`trade`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from decimal import Decimal

from thunes_core.domain.orders import ZERO
from thunes_core.domain.portfolio import Position, TradingState
from thunes_core.domain.records import EquityMark, StateRecord
from thunes_core.errors import BreakerOpen, ExchangeUnavailable
from thunes_core.risk.daily_loss import day_of, state_after
from thunes_core.trading.ports import Journal
from thunes_core.trading.reconcile import Desk, Reconciliation, close_dust, reconcile
from thunes_core.trading.trade import Floor, Outcome, trade
from thunes_core.trading.world import Study, TickReport, TradingPlan, World, parse_study

RECONCILER = "reconcile"


def tick(world: World, plan: TradingPlan) -> TickReport:
    """Run one tick and return what it saw and did.

    Raises `LeaseHeld` while another tick runs, `BreakerOpen` when there is nothing to look after
    and the exchange failed before, `ExchangeUnavailable` when it cannot be read at all,
    `StoreFailed`. Running it again is always safe.
    """
    studies = tuple(parse_study(key) for key in plan.studies)
    with leased(world) as journal:
        breaker_open = journal.breaker_open()
        _require_worth(journal, breaker_open)
        try:
            report = _run(world, plan, journal, studies, breaker_open)
        except ExchangeUnavailable:
            journal.heard_exchange(answered=False)
            raise
        journal.heard_exchange(answered=True)
        return report


def _run(
    world: World,
    plan: TradingPlan,
    journal: Journal,
    studies: Sequence[Study],
    breaker_open: bool,
) -> TickReport:
    desk = open_desk(world, plan, journal, studies)
    seen = reconcile(desk)
    _open_books(journal, plan, studies)
    prices = {symbol: world.market.price(symbol) for symbol in desk.instruments}
    _sweep_dust(desk, prices)
    state = _next_state(desk, plan, seen, equity_of(journal, prices))
    floor = Floor(world, plan, desk, state, seen.account, prices, seen.unresolved, breaker_open)
    outcomes = [_one(floor, study) for study in studies]
    _sweep_dust(desk, prices)
    return _finish(desk, state, seen, outcomes, prices)


def _require_worth(journal: Journal, breaker_open: bool) -> None:
    """Raise `BreakerOpen` when it is open and there is nothing to look after."""
    if not breaker_open:
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
    """Bind ports, instruments and terms to this moment of the exchange's clock."""
    held = {book.symbol for book in journal.positions() if book.holding}
    symbols = sorted({study.symbol for study in studies} | held)
    return Desk(
        market=world.market,
        broker=world.broker,
        journal=journal,
        instruments=world.market.instruments(symbols),
        now=world.market.server_time(),
        cooldown=timedelta(minutes=plan.protection.cooldown_minutes),
        intervals={(study.strategy, study.symbol): study.interval for study in studies},
    )


def equity_of(journal: Journal, prices: dict[str, Decimal]) -> Decimal:
    """Value all books at `prices`, quote units."""
    return sum((_value(book, prices) for book in journal.positions()), ZERO)


def _value(book: Position, prices: dict[str, Decimal]) -> Decimal:
    return book.equity(prices.get(book.symbol, ZERO))


def _open_books(journal: Journal, plan: TradingPlan, studies: Sequence[Study]) -> None:
    for study in studies:
        if journal.position(study.strategy, study.symbol) is None:
            fresh = Position(study.strategy, study.symbol, cash=plan.allotment_quote)
            journal.save_position(fresh)


def _one(floor: Floor, study: Study) -> Outcome:
    book = floor.desk.journal.position(study.strategy, study.symbol)
    if book is None:
        raise AssertionError("books are opened before the studies run")
    return trade(floor, study, book)


def _sweep_dust(desk: Desk, prices: dict[str, Decimal]) -> None:
    """Close the trades of exits that ended with a remainder too small to sell."""
    for book in desk.journal.positions():
        if not book.is_open or book.level > 0.0:
            continue
        ended = desk.journal.last_exit(book.strategy, book.symbol)
        if ended is not None and ended.settled:
            close_dust(desk, ended, prices[book.symbol])


def _next_state(
    desk: Desk, plan: TradingPlan, seen: Reconciliation, equity: Decimal
) -> StateRecord:
    record = desk.journal.trading_state()
    following = state_after(record, _day_start(desk, equity), equity, plan.limits, desk.now)
    if seen.failed and record.state is not TradingState.HALTED:
        following = StateRecord(TradingState.HALTED, seen.failed, RECONCILER, desk.now)
    if following != record:
        desk.journal.set_trading_state(
            following.state,
            reason=following.reason,
            author=following.author,
            since=following.since,
        )
    return following


def _day_start(desk: Desk, equity: Decimal) -> Decimal:
    day = day_of(desk.now)
    start = desk.journal.day_start(day)
    if start is None:
        desk.journal.set_day_start(day, equity)
        return equity
    return start


def _finish(
    desk: Desk,
    state: StateRecord,
    seen: Reconciliation,
    outcomes: Sequence[Outcome],
    prices: dict[str, Decimal],
) -> TickReport:
    mark = _mark(desk.journal, prices, desk.now)
    report = TickReport(
        server_time=desk.now,
        state=state,
        decisions=tuple(done.decision for done in outcomes if done.decision is not None),
        orders=tuple(order for done in outcomes for order in done.orders),
        refused=tuple(refused for done in outcomes for refused in done.refused),
        fills=tuple(desk.booked),
        equity=mark.equity,
        notes=(*seen.notes, *(note for done in outcomes for note in done.notes)),
    )
    desk.journal.record_tick(mark, report.as_dict())
    return report


def _mark(journal: Journal, prices: dict[str, Decimal], now: datetime) -> EquityMark:
    books = journal.positions()
    cash = sum((book.cash for book in books), ZERO)
    exposure = sum((book.holding * prices.get(book.symbol, ZERO) for book in books), ZERO)
    return EquityMark(now, cash + exposure, cash, exposure)
