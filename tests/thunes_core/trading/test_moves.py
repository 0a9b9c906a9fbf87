"""A stop beside a target is moved by two requests with nothing between, on the local testnet."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.thunes_core.trading.test_entry import Stand
from tests.worlds import START, STUDY, WIDE, Champions, bars_of, wave
from thunes_core.adapters.binance.broker import BinanceBroker
from thunes_core.adapters.binance.market import BinanceMarket
from thunes_core.adapters.ledger import open_ledger
from thunes_core.domain.limits import Protection
from thunes_core.settings import LOCAL_KEY, LOCAL_SECRET
from thunes_core.testnet.app import serve_in_thread
from thunes_core.testnet.faults import Fault, FaultKind
from thunes_core.testnet.market import replayed_market
from thunes_core.trading.world import TradingPlan, World
from thunes_pipelines.cli.trading_view import cover_facts

ENTERED = 49
TRAILED = Protection(trailing_stop=0.04, take_profit=0.5)
CANCEL, PLACE = "DELETE /api/v3/order", "POST /api/v3/orderList/oco"


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
    """Return where the one stop stands."""
    (stop,) = [o for o in stand.net.exchange.records.open_orders() if o.asked.is_stop]
    return float(stop.asked.stop_price)


def fail(stand: Stand, kind: FaultKind, on: str, **more: Any) -> None:
    """Let one request fail."""
    stand.net.exchange.faults.add(Fault(kind, on=on, **more))


def test_nothing_is_asked_or_written_between_the_cancel_and_the_pair(moving):
    """Intents and claim of both legs stand before the first leaves; then two requests, no third."""
    stand, events = moving
    before = stop_price(stand)
    stand.tick_at(ENTERED + 1)
    assert stop_price(stand) > before
    first, second = events.index(CANCEL), events.index(PLACE)
    assert second == first + 1
    assert events[:first].count("record_intents") == 1
    assert events[:first].count("claim") == 1
    last = len(events) - 1 - events[::-1].index("claim")
    assert events[last:second] == ["claim", CANCEL]


def test_a_refused_pair_closes_the_position_with_an_alarm(moving):
    """The old one is gone and the new one is not taken, twice: better flat than bare."""
    stand, _events = moving
    for _ in range(2):
        fail(stand, FaultKind.REFUSE, PLACE, code=-2010)
    report = stand.tick_at(ENTERED + 1)
    assert any(note.startswith("ALARM BTCUSDT: protection was refused") for note in report.notes)
    assert resting(stand) == []
    (book,) = stand.world.journal.positions()
    assert not book.is_open


def test_a_pair_refused_once_is_restored_in_the_same_tick(moving):
    """It is asked for once more at once."""
    stand, events = moving
    fail(stand, FaultKind.REFUSE, PLACE, code=-2010)
    stand.tick_at(ENTERED + 1)
    assert resting(stand) == ["LIMIT_MAKER", "STOP_LOSS"]
    assert events.count(PLACE) == 2


@pytest.mark.parametrize("kind", [FaultKind.ERROR_AFTER, FaultKind.DROP_AFTER])
def test_a_lost_answer_to_the_cancel_is_restored_in_the_same_tick(moving, kind):
    """The pair did not follow, for it was not sure; what became of it is asked, a new one rests."""
    stand, events = moving
    fail(stand, kind, CANCEL, status=504)
    report = stand.tick_at(ENTERED + 1)
    assert resting(stand) == ["LIMIT_MAKER", "STOP_LOSS"]
    assert events.count(PLACE) == 1
    assert not any("ALARM" in note for note in report.notes)


def test_a_refused_cancel_leaves_the_old_pair_and_sends_none(moving):
    """Protection is where it was."""
    stand, events = moving
    before = stop_price(stand)
    fail(stand, FaultKind.REFUSE, CANCEL, code=-2011)
    stand.tick_at(ENTERED + 1)
    assert stop_price(stand) == before
    assert PLACE not in events
    stand.tick_at(ENTERED + 1, 10)
    assert stop_price(stand) > before


@pytest.mark.parametrize("kind", [FaultKind.DROP, FaultKind.DROP_AFTER])
def test_a_pair_of_unknown_outcome_is_asked_after_and_its_gap_is_told(moving, kind):
    """Never sent again before that is known; `thunes status` tells the seconds the move cost."""
    stand, _events = moving
    fail(stand, kind, PLACE)
    stand.tick_at(ENTERED + 1)
    for minute in (1, 2, 3):
        last = stand.tick_at(ENTERED + 1, minute)
    assert resting(stand) == ["LIMIT_MAKER", "STOP_LOSS"]
    found = cover_facts(stand.world.journal, last.server_time)
    lost = kind is FaultKind.DROP
    assert found["moves"] == 1
    assert found["moving_unprotected_seconds"] == (120.0 if lost else 0.0)
    assert found["unprotected_seconds"] == found["moving_unprotected_seconds"]
