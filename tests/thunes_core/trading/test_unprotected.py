"""No second without a stop while the exchange answers, watched by the exchange itself."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from tests.worlds import HOUR, START, STUDY, WIDE, Champions, bars_of, wave
from thunes_core.adapters.binance.broker import BinanceBroker
from thunes_core.adapters.binance.market import BinanceMarket
from thunes_core.adapters.ledger import open_ledger
from thunes_core.clock import to_millis
from thunes_core.domain.limits import Protection
from thunes_core.domain.orders import Side
from thunes_core.errors import ExchangeUnavailable
from thunes_core.settings import LOCAL_KEY, LOCAL_SECRET
from thunes_core.testnet.app import RunningTestnet, serve_in_thread
from thunes_core.testnet.bare import BareWatch
from thunes_core.testnet.faults import Fault, FaultKind
from thunes_core.testnet.market import replayed_market
from thunes_core.trading.clear_up import WITHIN
from thunes_core.trading.step import tick
from thunes_core.trading.tend import tend
from thunes_core.trading.world import TickReport, TradingPlan, World

BOOK = ("sma_crossover", "BTCUSDT")
LISTS = "POST /api/v3/orderList/o"
SWAP = "POST /api/v3/order/cancelReplace"
OCO = "POST /api/v3/orderList/oco"


@dataclass
class Watched:
    """A testnet whose exchange watches what stands bare; ticks pause on its clock."""

    net: RunningTestnet
    watch: BareWatch
    plan: TradingPlan
    market: BinanceMarket
    broker: BinanceBroker
    ledger: object
    paused: list[timedelta] = field(default_factory=list)
    pauses: bool = True

    @property
    def world(self) -> World:
        pause = self.pause if self.pauses else None
        return World(self.market, self.broker, self.ledger, Champions(), pause=pause)

    def pause(self, length: timedelta) -> None:
        """Let the exchange's clock move on."""
        self.paused.append(length)
        self.move(self.net.exchange.clock.now_ms() + length // timedelta(milliseconds=1))

    def move(self, to_ms: int) -> None:
        exchange = self.net.exchange
        with exchange.lock:
            exchange.clock.move_to(max(to_ms, exchange.clock.now_ms()))
            exchange.advance()

    def tick_at(self, bar: int) -> TickReport:
        self.move(to_millis(START + bar * HOUR))
        return tick(self.world, self.plan)

    def enter(self) -> int:
        """Tick until something was bought; return that bar."""
        for bar in range(41, 90):
            if any(fill.side is Side.BUY for fill in self.tick_at(bar).fills):
                return bar
        raise AssertionError("nothing was bought")

    def leave(self, bar: int) -> TickReport:
        """Tick until all was sold, or an exit failed; return that tick."""
        for later in range(bar + 1, 120):
            report = self.tick_at(later)
            if any(order.request.side is Side.SELL for order in report.orders):
                return report
        raise AssertionError("nothing was sold")

    def fail(self, kind: FaultKind, on: str, **facts: object) -> None:
        """Let the exchange fail."""
        self.net.exchange.faults.add(Fault(kind, on=on, **facts))

    @property
    def bare_seconds(self) -> float:
        now = self.net.exchange.clock.now_ms()
        return sum(one.seconds for one in self.watch.all_until(now))

    def stops(self) -> list[object]:
        """Return what rests at the exchange."""
        return self.net.exchange.records.open_orders()

    @property
    def is_open(self) -> bool:
        return self.ledger.position(*BOOK).is_open


@pytest.fixture
def watched(tmp_path: Path) -> Iterator[Watched]:
    """Trade a wave with stop and target, with twice the money that is allotted."""
    market = replayed_market([bars_of(wave())], start=START)
    with serve_in_thread(market, cash=2000) as net:
        public, broker = BinanceMarket(net.url), BinanceBroker(net.url, LOCAL_KEY, LOCAL_SECRET)
        ledger = open_ledger(f"sqlite:///{tmp_path / 'l.db'}", synchronous="OFF")
        protection = Protection(stop_loss=0.05, take_profit=0.5)
        plan = TradingPlan((STUDY,), Decimal(1000), WIDE, protection)
        yield Watched(net, BareWatch(net.exchange), plan, public, broker, ledger)
        for one in (public, broker, ledger):
            one.close()


def test_reads_that_lag_do_not_make_us_cancel_our_own_protection(watched):
    """The fill of an entry is not shown yet: what rests for it stays."""
    watched.net.exchange.conditions.lag_ms = 3_000
    bar = next(b for b in range(41, 90) if watched.tick_at(b).orders)
    assert watched.is_open
    assert len(watched.stops()) == 2
    assert watched.bare_seconds == 0
    assert sum(watched.paused, timedelta(0)) <= timedelta(seconds=7)
    watched.net.exchange.conditions.lag_ms = 0
    watched.leave(bar)
    assert watched.bare_seconds == 0


def test_a_pair_is_not_moved_for_one_lot_of_dust(watched):
    """What an earlier trade left makes one lot more: nobody could sell it, nothing is cancelled."""
    bar = watched.enter()
    book = watched.ledger.position(*BOOK)
    watched.ledger.save_position(replace(book, quantity=book.quantity + Decimal("0.00001")))
    watched.tick_at(bar + 1)
    assert [str(one.status) for one in watched.stops()] == ["NEW", "NEW"]
    assert {one.quantity for one in watched.stops()} != {Decimal(0)}
    assert watched.bare_seconds == 0


def test_an_exit_of_unknown_outcome_leaves_the_stop_where_it_is(watched):
    """The request that cancels and sells in one was lost: until that is known, the pair rests."""
    bar = watched.enter()
    watched.fail(FaultKind.DROP, SWAP)
    watched.leave(bar)
    watched.pause(timedelta(minutes=1))
    tick(watched.world, watched.plan)
    assert not watched.is_open
    assert watched.bare_seconds == 0


def test_an_exit_that_is_refused_is_asked_for_again_in_the_same_tick(watched):
    """With the cancel in it once more: protected until it is sold."""
    bar = watched.enter()
    watched.fail(FaultKind.REFUSE, SWAP)
    watched.leave(bar)
    assert not watched.is_open
    assert watched.bare_seconds == 0
    sold = [o for o in watched.net.exchange.records.orders("BTCUSDT") if not o.is_buy]
    assert sum(str(o.asked.type) == "MARKET" for o in sold) == 1


def test_an_exit_that_is_refused_twice_is_made_one_by_one(watched):
    """An exit is never given up: what protects is cancelled, then it is sold."""
    bar = watched.enter()
    watched.fail(FaultKind.REFUSE, SWAP, times=2)
    watched.leave(bar)
    watched.pause(timedelta(minutes=1))
    tick(watched.world, watched.plan)
    assert not watched.is_open


def test_protection_whose_answer_was_lost_is_placed_as_soon_as_that_is_known(watched):
    """Where stops hold no coins: the settle time and a moment, not the next schedule."""
    watched.broker.locks_coins = False
    watched.fail(FaultKind.REFUSE, LISTS, times=2)
    watched.fail(FaultKind.ERROR, OCO, skip=0, status=504)
    watched.enter()
    assert len(watched.stops()) == 2
    settle = watched.broker.settle_time.total_seconds()
    assert settle < watched.bare_seconds <= settle + 2


def test_protection_without_an_answer_is_given_up_within_a_minute(watched):
    """No list for an entry, and no answer to any pair after it: sold, with an alarm."""
    watched.fail(FaultKind.REFUSE, LISTS, times=2)
    watched.fail(FaultKind.ERROR, OCO, times=50, status=504)
    watched.enter()
    notes = watched.ledger.last_tick()["notes"]
    assert not watched.is_open, notes
    assert any(
        note.startswith("ALARM BTCUSDT: protection was not answered 3 times") for note in notes
    )
    settle = watched.broker.settle_time.total_seconds()
    assert watched.bare_seconds <= 3 * (settle + 2)


def test_what_is_still_bare_after_its_time_is_sold_with_an_alarm(watched):
    """Nothing was ever sent: no connection to the order door for longer than we wait."""
    watched.fail(FaultKind.REFUSE, LISTS, times=2)
    honest = watched.broker.submit_pair
    watched.broker.submit_pair = _unreachable
    watched.enter()
    watched.broker.submit_pair = honest
    notes = watched.ledger.last_tick()["notes"]
    assert not watched.is_open, notes
    why = f"not protected within {WITHIN.total_seconds():g} s, the position is closed"
    assert f"ALARM BTCUSDT: {why}" in notes
    assert watched.bare_seconds <= WITHIN.total_seconds()


def test_a_fill_that_a_crash_left_bare_is_protected_without_a_tick(watched):
    """What the account's events wake finds it: no decision, no entry, a pair."""
    watched.fail(FaultKind.REFUSE, LISTS, times=2)
    honest = watched.broker.submit_pair
    watched.broker.submit_pair = _dies
    with pytest.raises(KeyboardInterrupt):
        watched.enter()
    watched.broker.submit_pair = honest
    assert watched.stops() == []
    before = watched.ledger.position(*BOOK).last_bar
    watched.pause(timedelta(seconds=1))
    done = tend(watched.world, watched.plan)
    assert len(watched.stops()) == 2
    assert done.uncertain == ()
    assert watched.ledger.position(*BOOK).last_bar == before


def test_tending_to_what_is_protected_sends_nothing(watched):
    """It may be woken at every event."""
    watched.enter()
    before = watched.ledger.orders().height
    done = tend(watched.world, watched.plan)
    assert (done.fills, done.uncertain) == ((), ())
    assert watched.ledger.orders().height == before


def test_a_tick_tells_what_is_not_certain_yet(watched):
    """Without a pause it cannot wait: the next tick should come soon."""
    watched.fail(FaultKind.DROP, LISTS)
    hasty = replace(watched.world, pause=None)
    for bar in range(41, 90):
        watched.move(to_millis(START + bar * HOUR))
        report = tick(hasty, watched.plan)
        if report.orders:
            break
    assert report.uncertain == ("BTCUSDT",)
    assert report.as_dict()["uncertain"] == ["BTCUSDT"]


def _unreachable(*_: object) -> None:
    raise ExchangeUnavailable("no connection")


def _dies(*_: object) -> None:
    raise KeyboardInterrupt
