"""One study in one tick: look, decide, ask the gate, make the intent durable, send, book.

Add here: a step between looking and booking. Keep out: what the whole account shares (`step`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from decimal import Decimal

from thunes_core.domain.bars import Interval
from thunes_core.domain.orders import ApprovedOrder, RefusedOrder
from thunes_core.domain.portfolio import Account, Position
from thunes_core.domain.records import DecisionContext, OrderRecord, StateRecord
from thunes_core.domain.signal import Decision
from thunes_core.errors import BadInput, ExchangeRejected, ExchangeUnavailable, NoChampion
from thunes_core.risk.facts import RiskFacts
from thunes_core.risk.gate import judge
from thunes_core.trading.decide import View, decide, exit_request
from thunes_core.trading.guard import guard, release, resting_orders
from thunes_core.trading.look import Sight, look
from thunes_core.trading.protect import NO_EXIT, watch_bars, watch_price
from thunes_core.trading.reconcile import Desk, book_new_fills
from thunes_core.trading.resolve import drop, drop_lost, resolve
from thunes_core.trading.send import intent_of, send
from thunes_core.trading.stops import wanted
from thunes_core.trading.world import Study, TradingPlan, World

Verdict = ApprovedOrder | RefusedOrder
SOLD_ALREADY = "sold_already"
CLEAR_UP_ROUNDS = 4
A_MOMENT = timedelta(seconds=1)


@dataclass(frozen=True, slots=True)
class Floor:
    """What all studies of one tick share."""

    world: World
    plan: TradingPlan
    desk: Desk
    state: StateRecord
    account: Account
    prices: Mapping[str, Decimal]
    unresolved: Mapping[str, str] = field(default_factory=dict)
    breaker_open: bool = False


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one study did in one tick."""

    decision: Decision | None = None
    orders: tuple[OrderRecord, ...] = ()
    refused: tuple[RefusedOrder, ...] = ()
    notes: tuple[str, ...] = ()


def trade(floor: Floor, study: Study, book: Position) -> Outcome:
    """Decide on the newest closed bar of `study` if that was not done, act on it, protect."""
    try:
        done = _look_and_act(floor, study, book)
    except (NoChampion, BadInput, ExchangeRejected, ExchangeUnavailable) as error:
        done = Outcome(notes=(f"{study.key}: {error}",))
    return replace(done, notes=(*done.notes, *_protect(floor, study), *_clear_up(floor, study)))


def _look_and_act(floor: Floor, study: Study, book: Position) -> Outcome:
    sight = look(floor.world, floor.desk.journal, study, book, floor.desk.now)
    said = (sight.note,) if sight.note else ()
    if sight.bar is None:
        return Outcome(notes=(*said, f"{study.key}: no closed bars"))
    if book.last_bar is not None and sight.bar <= book.last_bar:
        done = _between_bars(floor, study, book, book.last_bar)
    else:
        done = _new_bar(floor, study, book, sight, sight.bar)
    return replace(done, notes=(*said, *done.notes))


def _protect(floor: Floor, study: Study) -> list[str]:
    """Make what rests at the exchange fit the book as it is now."""
    book = floor.desk.journal.position(study.strategy, study.symbol)
    if book is None:
        return []
    instrument = floor.desk.instruments[study.symbol]
    protected = wanted(book, floor.plan.protection, instrument)
    facts = _facts(floor, study)
    return guard(floor.desk, study.strategy, study.symbol, protected, lambda one: judge(one, facts))


def _clear_up(floor: Floor, study: Study) -> list[str]:
    """Wait, ask and protect again until nothing of the study is unclear, a few times at most.

    Until outcome and fills are known, a position may be held that nothing protects.
    """
    pause, desk, notes = floor.world.pause, floor.desk, list[str]()
    for _ in range(CLEAR_UP_ROUNDS):
        if pause is None or not _is_unclear(desk, study):
            break
        pause(desk.broker.settle_time / 2 + A_MOMENT)
        now = desk.market.server_time()
        notes += resolve(desk.broker, desk.journal, now)
        book_new_fills(desk, [study.symbol])
        notes += drop_lost(desk.broker, desk.journal, now)
        notes += _protect(floor, study)
    return notes


def _is_unclear(desk: Desk, study: Study) -> bool:
    return any(
        record.status.is_in_flight or record.status.is_final
        for record in desk.journal.open_orders()
        if (record.strategy, record.request.symbol) == (study.strategy, study.symbol)
    )


def _new_bar(floor: Floor, study: Study, book: Position, sight: Sight, bar: datetime) -> Outcome:
    watch = watch_bars(book, sight.bars, floor.plan.protection)
    price = floor.prices[study.symbol]
    reason = watch.reason or watch_price(watch.position, float(price), floor.plan.protection)
    instrument = floor.desk.instruments[study.symbol]
    view = View(study.interval, bar, sight.targets, price, instrument, floor.plan.costs, reason)
    decision = _signed(decide(watch.position, view), sight)
    facts = replace(
        _facts(floor, study),
        stale=_is_stale(bar, study.interval, floor),
        bad_bars=_doubt(floor, study, sight),
    )
    verdicts = [judge(request, facts) for request in decision.orders]
    context = _context(study, sight, floor.desk.now)
    records = _records(verdicts, study, bar, floor.desk.now)
    if not floor.desk.journal.record_decision(decision, context, records):
        return Outcome(notes=(f"{study.key}: {bar.isoformat()} was decided before",))
    return _send_all(floor, study, verdicts, decision)


def _between_bars(floor: Floor, study: Study, book: Position, bar: datetime) -> Outcome:
    """Leave where protection asks for it now, or where this bar's exit did not go through."""
    records = floor.desk.journal.orders_of(study.strategy, study.symbol, bar)
    at_once = [record for record in records if not record.request.rests]
    reason = _exit_due(floor, study, book, at_once)
    if not reason or any(not record.status.is_final for record in at_once):
        return Outcome()
    instrument = floor.desk.instruments[study.symbol]
    request = exit_request(book, bar, instrument, reason, attempt=len(records))
    verdicts = [judge(request, _facts(floor, study))]
    floor.desk.journal.record_intents(book, _records(verdicts, study, bar, floor.desk.now))
    return _send_all(floor, study, verdicts, None)


def _exit_due(floor: Floor, study: Study, book: Position, at_once: Sequence[OrderRecord]) -> str:
    if not book.is_open or study.symbol in floor.unresolved:
        return NO_EXIT
    exits = [record.request for record in at_once if record.request.level == 0.0]
    if exits:
        return exits[-1].reason
    if resting_orders(floor.desk, study.strategy, study.symbol):
        return NO_EXIT  # the exchange watches the price
    return watch_price(book, float(floor.prices[study.symbol]), floor.plan.protection)


def _send_all(
    floor: Floor, study: Study, verdicts: Sequence[Verdict], decision: Decision | None
) -> Outcome:
    desk = floor.desk
    notes = [
        note
        for verdict in verdicts
        if isinstance(verdict, ApprovedOrder)
        for note in _send_one(floor, study, verdict)
    ]
    ids = [verdict.request.client_order_id for verdict in verdicts]
    known = [desk.journal.order(client_order_id) for client_order_id in ids]
    return Outcome(
        decision=decision,
        orders=tuple(record for record in known if record is not None),
        refused=tuple(v for v in verdicts if isinstance(v, RefusedOrder)),
        notes=tuple(notes),
    )


def _send_one(floor: Floor, study: Study, approved: ApprovedOrder) -> list[str]:
    """Send one order; what protects a position is released before the position is sold."""
    desk, request, notes = floor.desk, approved.request, list[str]()
    if request.reduces:
        notes += release(desk, study.strategy, study.symbol)
        book = desk.journal.position(study.strategy, study.symbol)
        if book is None or book.quantity < request.quantity:
            why = "its protection sold it first"
            drop(desk.journal, request.client_order_id, desk.now, SOLD_ALREADY, why)
            return [*notes, f"{request.client_order_id}: {why}"]
    note = send(desk.broker, desk.journal, approved, desk.market.server_time())
    book_new_fills(desk, [study.symbol])
    return [*notes, note] if note else notes


def _doubt(floor: Floor, study: Study, sight: Sight) -> str:
    doubts = floor.world.doubts
    return (doubts(study.symbol, study.interval, sight.bars) or "") if doubts else ""


def _facts(floor: Floor, study: Study) -> RiskFacts:
    desk = floor.desk
    return RiskFacts(
        state=floor.state,
        limits=floor.plan.limits,
        instrument=desk.instruments[study.symbol],
        price=floor.prices[study.symbol],
        now=desk.now,
        positions=tuple(desk.journal.positions()),
        strategy=study.strategy,
        prices=floor.prices,
        account=floor.account,
        unresolved=floor.unresolved,
        armed=floor.plan.armed and floor.plan.identity in {"", floor.account.identity},
        breaker_open=floor.breaker_open,
    )


def _records(
    verdicts: Sequence[Verdict], study: Study, bar: datetime, now: datetime
) -> list[OrderRecord]:
    return [intent_of(verdict, study.strategy, bar, now) for verdict in verdicts]


def _signed(decision: Decision, sight: Sight) -> Decision:
    """Name the parameter set that a flat book will be entered with."""
    if decision.position.is_open:
        return decision
    parameters = sight.champion.parameters.fingerprint
    return replace(decision, position=replace(decision.position, parameters=parameters))


def _context(study: Study, sight: Sight, now: datetime) -> DecisionContext:
    champion = sight.champion
    return DecisionContext(
        interval=str(study.interval),
        parameters=champion.parameters.fingerprint,
        version=champion.version,
        run_id=champion.run_id,
        bars_fingerprint=sight.fingerprint,
        decided_at=now,
    )


def _is_stale(bar: datetime, interval: Interval, floor: Floor) -> bool:
    grace = timedelta(seconds=floor.plan.limits.bar_grace_seconds)
    return floor.desk.now > bar + 2 * interval.duration + grace
