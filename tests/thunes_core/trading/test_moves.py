"""A stop beside a target moves by halves, so that one of them rests, on the local testnet."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any

import pytest

from tests.thunes_core.trading.test_entry import Stand
from tests.worlds import START, STUDY, WIDE, Champions, bars_of, wave
from thunes_core.adapters.binance.broker import BinanceBroker
from thunes_core.adapters.binance.market import BinanceMarket
from thunes_core.adapters.ledger import open_ledger
from thunes_core.domain.limits import Protection
from thunes_core.domain.orders import Leg
from thunes_core.settings import LOCAL_KEY, LOCAL_SECRET
from thunes_core.testnet.app import serve_in_thread
from thunes_core.testnet.faults import Fault, FaultKind
from thunes_core.testnet.market import replayed_market
from thunes_core.trading.world import TradingPlan, World
from thunes_pipelines.cli.trading_view import cover_facts

ENTERED = 49
TRAILED = Protection(trailing_stop=0.04, take_profit=0.5)
WIDELY = Protection(trailing_stop=0.3, take_profit=0.5)
CANCEL, PLACE = "DELETE /api/v3/order", "POST /api/v3/orderList/oco"
SWAP = "POST /api/v3/order/cancelReplace"
PAIRS = ["LIMIT_MAKER", "LIMIT_MAKER", "STOP_LOSS", "STOP_LOSS"]
LOT = Decimal("0.00001")
FULL = "Filter failure: MAX_NUM_ALGO_ORDERS"
SOME = Decimal("0.1")
"""Worth ten: less could not be protected."""


@dataclass
class Covered:
    """What of the held coins has a stop after each request, as a share."""

    stand: Stand
    shares: list[Decimal] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.stand.world.broker.client.session.hooks["response"].append(self._look)

    def _look(self, *_: Any, **__: Any) -> None:
        held = self.stand.net.exchange.wallet.total("BTC")
        if held > SOME:
            self.shares.append(sum(o.quantity - o.executed for o in stops(self.stand)) / held)


class Told:
    """A port that tells each of its calls before it is made."""

    def __init__(self, inner: Any, events: list[str]) -> None:
        self._inner, self._events = inner, events

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._inner, name)
        if not callable(found) or name.startswith("_"):
            return found

        def call(*given: Any, **named: Any) -> Any:
            self._events.append(name)
            answer = found(*given, **named)
            return Told(answer, self._events) if name == "under" else answer

        return call


def tell(events: list[str]):
    """Return a hook that tells each request that was answered."""

    def hook(response: Any, *_given: Any, **_named: Any) -> None:
        asked = response.request
        path = asked.url.split("?")[0].split("/", 3)[3]
        events.append(f"{asked.method} /{path}")

    return hook


@pytest.fixture()
def moving(tmp_path) -> Iterator[tuple[Stand, list[str]]]:
    """Hold a position under a trail and a target; return what is asked of exchange and ledger."""
    events: list[str] = []
    market = replayed_market([bars_of(wave())], start=START)
    with serve_in_thread(market, cash=2000) as net:
        public, broker = BinanceMarket(net.url), BinanceBroker(net.url, LOCAL_KEY, LOCAL_SECRET)
        for port in (public, broker):
            port.client.session.hooks["response"].append(tell(events))
        ledger = open_ledger(f"sqlite:///{tmp_path / 'l.db'}", synchronous="OFF")
        plan = TradingPlan((STUDY,), 1000, WIDE, TRAILED)
        stand = Stand(net, World(public, broker, Told(ledger, events), Champions()), plan)
        stand.tick_at(ENTERED - 1)
        stand.tick_at(ENTERED)
        assert resting(stand) == ["LIMIT_MAKER", "STOP_LOSS"]
        events.clear()
        yield stand, events
        for one in (public, broker, ledger):
            one.close()


def resting(stand: Stand) -> list[str]:
    """Return the types of the orders that are open at the exchange."""
    return sorted(str(o.asked.type) for o in stand.net.exchange.records.open_orders())


def stop_price(stand: Stand) -> float:
    """Return where all stops stand."""
    (price,) = {o.asked.stop_price for o in stops(stand)}
    return float(price)


def stops(stand: Stand) -> list[Any]:
    """Return the stops that are open at the exchange."""
    return [o for o in stand.net.exchange.records.open_orders() if o.asked.is_stop]


def is_covered(stand: Stand) -> bool:
    """True when every lot that is held has its stop and its target."""
    (book,) = stand.world.journal.positions()
    held = book.quantity - book.quantity % LOT
    rests = stand.net.exchange.records.open_orders()
    sums = [sum(o.quantity for o in rests if o.asked.is_stop is one) for one in (True, False)]
    return sums == [held, held]


def changes(events: list[str]) -> list[str]:
    """Return the requests that change orders."""
    return [one for one in events if one in {SWAP, CANCEL, PLACE}]


def fail(stand: Stand, kind: FaultKind, on: str, **more: Any) -> None:
    """Let one request fail."""
    stand.net.exchange.faults.add(Fault(kind, on=on, **more))


def test_one_half_has_its_stop_at_every_moment_of_every_move(moving):
    """At first the stop of a half takes the place of all; then each moves while the other rests."""
    stand, events = moving
    covered, before = Covered(stand), stop_price(stand)
    moved = []
    for bar in range(ENTERED + 1, ENTERED + 6):
        events.clear()
        report = stand.tick_at(bar)
        assert not any("ALARM" in note for note in report.notes)
        assert is_covered(stand)
        moved.append(changes(events))
    assert stop_price(stand) > before
    assert moved == [[SWAP, PLACE, CANCEL, PLACE], *[[CANCEL, PLACE, CANCEL, PLACE]] * 4]
    assert min(covered.shares) > Decimal("0.49")


def test_nothing_is_asked_or_written_between_the_cancel_and_the_pair(moving):
    """Intents and claim of both legs stand before the first leaves; then two requests, no third."""
    stand, events = moving
    stand.tick_at(ENTERED + 1)
    before = stop_price(stand)
    events.clear()
    stand.tick_at(ENTERED + 2)
    assert stop_price(stand) > before
    first, second = events.index(CANCEL), events.index(PLACE)
    assert second == first + 1
    assert events[:first].count("record_intents") == 1
    assert events[:first].count("claim") == 1
    last = len(events[:second]) - 1 - events[:second][::-1].index("claim")
    assert events[last:second] == ["claim", CANCEL]


def test_an_exit_after_a_move_is_one_sale_that_takes_the_place_of_the_last_half(moving):
    """One decision, one order: the other half is cancelled before, and one rests until the sale."""
    stand, events = moving
    stand.plan = replace(stand.plan, protection=WIDELY)
    stand.tick_at(ENTERED + 1)
    assert resting(stand) == PAIRS
    covered = Covered(stand)
    sold = False
    for bar in range(ENTERED + 2, ENTERED + 40):
        events.clear()
        orders = stand.tick_at(bar).orders
        sold = any(one.request.leg is Leg.EXIT for one in orders)
        if sold:
            break
    assert sold
    assert len(stand.orders("MARKET")) == 1
    assert changes(events) == [CANCEL, SWAP]
    assert resting(stand) == []
    assert min(covered.shares) > Decimal("0.49")


def test_more_of_a_position_gets_a_pair_beside_the_one_there_is(moving):
    """What rests is not taken away for it."""
    stand, events = moving
    journal = stand.world.journal
    (book,) = journal.positions()
    more = book.quantity / 4 - book.quantity / 4 % LOT
    stand.net.exchange.wallet.add("BTC", more)
    journal.save_position(replace(book, quantity=book.quantity + more))
    events.clear()
    stand.tick_at(ENTERED, 1)
    assert changes(events) == [PLACE]
    assert is_covered(stand)


def limited(stand: Stand, name: str, **facts: Any) -> None:
    """Give the exchange's filter other figures; they are read at the next tick."""
    rules = stand.net.exchange.market.listing("BTCUSDT").filters
    rules[name] = rules.get(name, {"filterType": name}) | facts


@pytest.mark.parametrize(
    ("name", "facts", "told"),
    [
        ("NOTIONAL", {"minNotional": "600.00000000"}, True),
        ("NOTIONAL", {"minNotional": "600.00000000"}, False),
        ("MAX_NUM_ALGO_ORDERS", {"maxNumAlgoOrders": 1}, True),
    ],
    ids=["halves too small", "too small, learnt by a refusal", "no room for two"],
)
def test_a_pair_that_cannot_move_by_halves_moves_whole(moving, name, facts, told):
    """Two requests back to back: there is no other way."""
    stand, events = moving
    limited(stand, name, **facts)
    if told:
        stand.world.broker._own.forget()
    before = stop_price(stand)
    report = stand.tick_at(ENTERED + 1)
    assert not any("ALARM" in note for note in report.notes)
    assert changes(events)[-2:] == [CANCEL, PLACE]
    assert (SWAP in events) is not told
    assert resting(stand) == ["LIMIT_MAKER", "STOP_LOSS"]
    assert stop_price(stand) > before


def test_stops_that_we_do_not_know_of_may_take_the_room_for_halves(moving):
    """The exchange says so by refusing the half, and keeps the pair: it moves whole, no alarm."""
    stand, events = moving
    fail(stand, FaultKind.REFUSE, SWAP, code=-2010, message=FULL)
    before = stop_price(stand)
    report = stand.tick_at(ENTERED + 1)
    assert not any("ALARM" in note for note in report.notes)
    assert changes(events) == [SWAP, CANCEL, PLACE]
    assert resting(stand) == ["LIMIT_MAKER", "STOP_LOSS"]
    assert stop_price(stand) > before


def test_where_only_the_second_half_finds_no_room_the_stop_of_the_first_becomes_a_pair(moving):
    """The half that was placed is given up for a pair of all, with nothing between; no alarm."""
    stand, events = moving
    fail(stand, FaultKind.REFUSE, PLACE, code=-2010, message=FULL)
    report = stand.tick_at(ENTERED + 1)
    assert not any("ALARM" in note for note in report.notes)
    assert changes(events) == [SWAP, PLACE, CANCEL, PLACE]
    assert resting(stand) == ["LIMIT_MAKER", "STOP_LOSS"]
    assert is_covered(stand)


def test_a_refused_pair_closes_the_position_with_an_alarm(moving):
    """What stands bare is sold at once, the half that has a stop follows: better flat than bare."""
    stand, _events = moving
    for _ in range(2):
        fail(stand, FaultKind.REFUSE, PLACE, code=-2010)
    report = stand.tick_at(ENTERED + 1)
    assert any(note.startswith("ALARM BTCUSDT: protection was refused") for note in report.notes)
    assert len(stops(stand)) == 1
    stand.tick_at(ENTERED + 1, 1)
    assert resting(stand) == []
    (book,) = stand.world.journal.positions()
    assert not book.is_open


def test_a_pair_refused_once_is_restored_in_the_same_tick(moving):
    """It is asked for once more at once."""
    stand, events = moving
    fail(stand, FaultKind.REFUSE, PLACE, code=-2010)
    stand.tick_at(ENTERED + 1)
    assert is_covered(stand)
    assert events.count(PLACE) == 3


@pytest.mark.parametrize("kind", [FaultKind.ERROR_AFTER, FaultKind.DROP_AFTER])
def test_a_lost_answer_to_the_cancel_is_restored_in_the_same_tick(moving, kind):
    """The pair did not follow, for it was not sure; what became of it is asked, a new one rests."""
    stand, events = moving
    covered = Covered(stand)
    fail(stand, kind, CANCEL, status=504)
    report = stand.tick_at(ENTERED + 1)
    assert is_covered(stand)
    assert events.count(PLACE) == 2
    assert min(covered.shares) > Decimal("0.49")
    assert not any("ALARM" in note for note in report.notes)


def test_a_refused_cancel_leaves_the_stop_of_that_half_and_sends_none_beside_it(moving):
    """It stands where it should already; its target follows at the next tick."""
    stand, events = moving
    fail(stand, FaultKind.REFUSE, CANCEL, code=-2011)
    stand.tick_at(ENTERED + 1)
    assert resting(stand) == ["LIMIT_MAKER", "STOP_LOSS", "STOP_LOSS"]
    assert events.count(PLACE) == 1
    stand.tick_at(ENTERED + 1, 10)
    assert is_covered(stand)


@pytest.mark.parametrize("kind", [FaultKind.DROP, FaultKind.DROP_AFTER])
def test_a_pair_of_unknown_outcome_is_asked_after_while_the_other_half_rests(moving, kind):
    """Never sent again before that is known: for minutes half of the position has its stop."""
    stand, _events = moving
    covered = Covered(stand)
    fail(stand, kind, PLACE)
    for minute in (0, 1, 2, 3):
        last = stand.tick_at(ENTERED + 1, minute)
    assert is_covered(stand)
    assert min(covered.shares) > Decimal("0.49")
    found = cover_facts(stand.world.journal, last.server_time)
    assert found["unprotected_seconds"] == 0.0
