"""The breaker opens after repeated failures and always closes again."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.worlds import START, BarsMarket, bars_of, small_world, wave
from thunes_core.adapters.ledger import open_ledger
from thunes_core.clock import FixedClock
from thunes_core.errors import AskedToWait, BreakerOpen, ExchangeUnavailable
from thunes_core.risk.breaker import FAILURES, OPEN_FOR, Breaker
from thunes_core.trading.step import tick

DOWN = ExchangeUnavailable("planted")


def failed(times: int) -> Breaker:
    """Return a breaker after so many failures in a row."""
    breaker = Breaker()
    for _ in range(times):
        breaker = breaker.failed(START)
    return breaker


def test_it_opens_with_the_fifth_failure_in_a_row():
    """Four are not enough."""
    assert not failed(FAILURES - 1).is_open(START)
    assert failed(FAILURES).is_open(START)


def test_a_success_in_between_starts_the_count_again():
    """In a row means in a row."""
    assert not failed(FAILURES - 1).succeeded().failed(START).is_open(START)


def test_it_is_half_open_after_a_minute_and_a_failed_probe_opens_it_again():
    """The next real call is the probe."""
    later = START + OPEN_FOR
    assert not failed(FAILURES).is_open(later)
    assert failed(FAILURES).failed(later).is_open(later)


@given(st.lists(st.booleans(), max_size=40))
def test_whatever_happened_a_minute_and_a_success_close_it(answers):
    """It never stays open for good."""
    breaker, now = Breaker(), START
    for answered in answers:
        breaker = breaker.succeeded() if answered else breaker.failed(now)
        now += timedelta(seconds=7)
    assert not breaker.is_open(now + OPEN_FOR)
    assert not breaker.succeeded().is_open(now)


@pytest.fixture()
def small(tmp_path):
    """Return a world whose ledger has a clock that the test moves."""
    made = small_world(tmp_path, BarsMarket(bars_of(wave())))
    made.ledger.close()
    clock = FixedClock(START)
    made.ledger = open_ledger(f"sqlite:///{tmp_path / 'ledger.db'}", clock=clock)
    made.clock = clock
    yield made
    made.ledger.close()


def fail(small, times: int) -> None:
    """Tick so often while the exchange is down."""
    honest, small.market.server_time = small.market.server_time, raise_down
    for _ in range(times):
        with pytest.raises(ExchangeUnavailable):
            tick(small.world, small.plan)
    small.market.server_time = honest


def raise_down():
    """Stand for an exchange that cannot be reached."""
    raise DOWN


def test_ticks_are_skipped_while_it_is_open_and_the_next_one_probes(small):
    """Skipped, not crashed; after a minute a tick runs and closes it."""
    fail(small, FAILURES)
    with pytest.raises(BreakerOpen, match="this tick is skipped"):
        tick(small.world, small.plan)
    small.clock.advance(OPEN_FOR)
    tick(small.world, small.plan)
    assert not small.ledger.breaker_open()
    told = [e["body"]["open"] for e in small.ledger.audit() if e["event"] == "breaker"]
    assert told == [True, False]


def test_another_process_sees_it_open(small, tmp_path):
    """The state is in the ledger, not in a process."""
    fail(small, FAILURES)
    other = open_ledger(f"sqlite:///{tmp_path / 'ledger.db'}", clock=FixedClock(START))
    assert other.breaker_open()
    other.close()


def test_an_open_breaker_never_holds_back_an_exit(small):
    """Something is held: the tick runs, and its exit goes through."""
    bar = 41
    while not any(book.is_open for book in small.ledger.positions()):
        small.market.stand_at(bar)
        tick(small.world, small.plan)
        bar += 1
    fail(small, FAILURES)
    assert small.ledger.breaker_open()
    for later in range(bar, 75):
        for _ in range(FAILURES):
            small.ledger.heard_exchange(answered=False)
        small.market.stand_at(later)
        tick(small.world, small.plan)
        if not any(book.is_open for book in small.ledger.positions()):
            return
    raise AssertionError("the position was never sold")


def test_being_asked_to_wait_at_an_order_opens_it_too(small):
    """The tick itself is answered; yet all others wait, and so do its own further entries."""
    bar, wait = 41, AskedToWait("HTTP 429")
    while not small.broker.sent:
        small.broker.script = [("before", wait)]
        small.market.stand_at(bar)
        tick(small.world, small.plan)
        bar += 1
    assert small.ledger.breaker_open()
    with pytest.raises(BreakerOpen):
        tick(small.world, small.plan)
    small.clock.advance(OPEN_FOR)
    tick(small.world, small.plan)
    assert not small.ledger.breaker_open()


def test_being_asked_to_wait_at_a_studys_reads_opens_it_too(small):
    """Bars that are put off leave the tick whole, and the breaker open."""
    honest = small.market.klines

    def wait(*_args):
        raise AskedToWait("HTTP 429")

    small.market.stand_at(60)
    tick(small.world, small.plan)
    small.market.klines = wait
    small.market.stand_at(61)
    tick(small.world, small.plan)
    assert small.ledger.breaker_open()
    small.market.klines = honest


def test_being_asked_to_wait_opens_it_at_once(small):
    """429 or 418: no other process asks either; the next tick after a minute closes it."""
    honest = small.market.server_time

    def wait():
        raise AskedToWait("HTTP 429")

    small.market.server_time = wait
    with pytest.raises(AskedToWait):
        tick(small.world, small.plan)
    assert small.ledger.breaker_open()
    small.market.server_time = honest
    small.clock.advance(OPEN_FOR)
    tick(small.world, small.plan)
    assert not small.ledger.breaker_open()
