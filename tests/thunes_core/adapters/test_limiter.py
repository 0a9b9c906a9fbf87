"""One budget for all processes: counted, corrected, obeyed."""

from __future__ import annotations

import multiprocessing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from thunes_core.adapters.binance.bulk import SHARE, pages
from thunes_core.adapters.binance.limited import KLINES_WEIGHT
from thunes_core.adapters.limiter import (
    ORDERS_HEADER,
    ORDERS_SPAN_MS,
    RESERVE,
    WEIGHT_PER_MINUTE,
    Ration,
    WeightLimiter,
)
from thunes_core.domain.bars import Interval
from thunes_core.domain.window import Window
from thunes_core.errors import ExchangeUnavailable, StoreFailed

NOON = 1_700_000_040_000  # the start of a minute
MINUTE = 60_000
YEAR = datetime(2024, 1, 1, tzinfo=UTC)


class Clock:
    """A clock in milliseconds that sleeping moves."""

    def __init__(self) -> None:
        self.now = NOON
        self.slept: list[float] = []

    def read(self) -> int:
        """Return the time."""
        return self.now

    def sleep(self, seconds: float) -> None:
        """Move the time."""
        self.slept.append(seconds)
        self.now += round(seconds * 1000)


@pytest.fixture
def clock() -> Clock:
    """Return a clock at the start of a minute."""
    return Clock()


def limiter(path: Path, clock: Clock, limit: int = 100) -> WeightLimiter:
    """Return a limiter of `limit` a minute."""
    made = WeightLimiter(path / "budget", now_ms=clock.read, sleep=clock.sleep)
    made.limit(limit)
    return made


def test_within_the_budget_nobody_waits(tmp_path: Path, clock: Clock) -> None:
    """The whole limit can be used in a minute, by several limiters of one file."""
    one, two = limiter(tmp_path, clock), limiter(tmp_path, clock)
    for _ in range(5):
        one.wait(10)
        two.wait(10)
    assert clock.slept == []
    assert one.ration().used == 100


def test_beyond_the_budget_the_next_minute_is_awaited(tmp_path: Path, clock: Clock) -> None:
    """The request over the limit waits for the turn of the minute and a little more."""
    budget = limiter(tmp_path, clock)
    budget.wait(100)
    clock.now += 55_000
    budget.wait(10)
    assert clock.slept == [5.1]
    assert budget.ration().used == 10


def test_a_share_leaves_the_rest_to_others(tmp_path: Path, clock: Clock) -> None:
    """Background work stops at four fifths; a tick still gets through."""
    budget = limiter(tmp_path, clock)
    assert budget.reserve(80, share=0.8) == 0
    assert budget.reserve(2, share=0.8, patience=90) > 0
    assert budget.reserve(20, share=1.0) == 0


def test_a_request_heavier_than_the_limit_still_goes_alone(tmp_path: Path, clock: Clock) -> None:
    """It waits for an unused minute and then is sent, else it would wait for ever."""
    budget = limiter(tmp_path, clock)
    assert budget.reserve(500) == 0
    assert budget.reserve(1, patience=90) > 0


def test_the_exchange_s_count_corrects_ours(tmp_path: Path, clock: Clock) -> None:
    """Another program on the same address used most of it: we learn that from the header."""
    budget = limiter(tmp_path, clock)
    budget.wait(10)
    budget.heard(200, {"X-MBX-USED-WEIGHT-1M": "95"})
    assert budget.reserve(10, patience=90) > 0
    budget.heard(200, {"X-MBX-USED-WEIGHT-1M": "20"})
    assert budget.ration().used == 95


def test_retry_after_makes_every_process_wait(tmp_path: Path, clock: Clock) -> None:
    """After 429 nothing is sent for as long as it says, not even what weighs nothing."""
    limiter(tmp_path, clock).heard(429, {"Retry-After": "7"})
    other = limiter(tmp_path, clock)
    other.wait(0)
    assert clock.slept == [7.0]


def test_a_long_wait_is_told_instead_of_slept(tmp_path: Path, clock: Clock) -> None:
    """Beyond the caller's patience the answer is an error with the time."""
    budget = limiter(tmp_path, clock)
    budget.heard(429, {"Retry-After": "30"})
    with pytest.raises(ExchangeUnavailable, match="budget is used up until 2023-11-14 22:14:30"):
        budget.wait(1)
    assert clock.slept == []


def test_a_ban_stops_everyone_at_once(tmp_path: Path, clock: Clock) -> None:
    """418 is never waited for; when it is over, requests go again."""
    limiter(tmp_path, clock).heard(418, {"Retry-After": "3"})
    with pytest.raises(ExchangeUnavailable, match=r"banned until .* UTC"):
        limiter(tmp_path, clock).wait(1)
    clock.now += 3_000
    limiter(tmp_path, clock).wait(1)
    assert clock.slept == []


def test_an_answer_without_retry_after_still_blocks(tmp_path: Path, clock: Clock) -> None:
    """A minute is waited where the exchange does not say how long."""
    budget = limiter(tmp_path, clock)
    budget.heard(429, {})
    assert budget.reserve(1, patience=90) == 60


def test_a_shorter_block_never_lifts_a_longer_one(tmp_path: Path, clock: Clock) -> None:
    """The later end counts, and a ban stays a ban."""
    budget = limiter(tmp_path, clock)
    budget.heard(418, {"Retry-After": "60"})
    budget.heard(429, {"Retry-After": "5"})
    with pytest.raises(ExchangeUnavailable, match="banned"):
        budget.wait(1)


def test_a_broken_file_begins_anew(tmp_path: Path, clock: Clock) -> None:
    """Half a state is no state; the exchange's next answer corrects it."""
    budget = limiter(tmp_path, clock)
    budget.path.write_bytes(b"half")
    budget.wait(1)
    assert budget.ration().used == 1


def spend(path: str, times: int) -> None:
    """Take weight 1 so many times; runs in a process of its own."""
    budget = WeightLimiter(Path(path), now_ms=lambda: NOON)
    for _ in range(times):
        budget.wait(1)


def test_processes_lose_no_weight(tmp_path: Path) -> None:
    """Three processes at once: every single weight is counted."""
    path = tmp_path / "budget"
    spawn = multiprocessing.get_context("spawn")
    workers = [spawn.Process(target=spend, args=(str(path), 200)) for _ in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert WeightLimiter(path, now_ms=lambda: NOON).ration().used == 600


@given(
    requests=st.lists(st.tuples(st.integers(0, 20_000), st.integers(0, 40)), max_size=60),
    limit=st.integers(40, 200),
)
def test_no_minute_ever_exceeds_its_limit(requests: list[tuple[int, int]], limit: int) -> None:
    """Whatever is asked when, what passes in one minute fits the limit."""
    ration, now, passed = Ration(limit=limit), NOON, dict[int, int]()
    for pause, weight in requests:
        now += pause
        ration = ration.at(now)
        while delay := ration.delay_ms(now, weight, 1.0):
            now += delay
            ration = ration.at(now)
        ration = ration.taking(weight)
        passed[now // MINUTE] = passed.get(now // MINUTE, 0) + weight
    assert all(used <= limit for used in passed.values())


@pytest.mark.parametrize("second", [0, 17, 59])
@pytest.mark.parametrize("symbols", [10, 100])
def test_a_backfill_stays_near_what_the_weight_allows(
    tmp_path: Path, symbols: int, second: int
) -> None:
    """A year of minutes for so many symbols, begun anywhere in a minute: within 1.3 of the bound.

    History may use four fifths of the budget, so 1.25 is the price of what is left to ticks.
    """
    clock = Clock()
    clock.now += second * 1000
    began = clock.now
    budget = WeightLimiter(tmp_path / "budget", now_ms=clock.read, sleep=clock.sleep)
    window = Window("BTCUSDT", Interval.M1, YEAR, YEAR + timedelta(days=365))
    requests = symbols * len(list(pages(window)))
    ration = budget.ration()
    for _ in range(requests):
        while delay := ration.at(clock.now).delay_ms(clock.now, KLINES_WEIGHT, SHARE):
            clock.now += delay
        ration = ration.at(clock.now).taking(KLINES_WEIGHT)
    bound_ms = requests * KLINES_WEIGHT / WEIGHT_PER_MINUTE * MINUTE
    assert bound_ms > MINUTE
    assert clock.now - began <= 1.3 * bound_ms


def test_orders_have_a_budget_of_their_own_with_a_reserve(tmp_path):
    """90 of 100 in ten seconds are for entries; the last ten for what protects; then all wait."""
    clock = [NOON + 1000]
    orders = WeightLimiter(tmp_path / "w", now_ms=lambda: clock[0]).of_orders()
    for _ in range(30):
        assert orders.reserve(3, 1.0 - RESERVE) == 0
    assert orders.reserve(3, 1.0 - RESERVE) > 0
    assert orders.reserve(10) == 0
    assert orders.reserve(1) > 0
    clock[0] += ORDERS_SPAN_MS
    assert orders.reserve(1, 1.0 - RESERVE) == 0


def test_the_exchanges_count_of_orders_is_believed(tmp_path):
    """It counts what other programs placed."""
    orders = WeightLimiter(tmp_path / "w", now_ms=lambda: NOON + 1000).of_orders()
    orders.heard(200, {ORDERS_HEADER: "95"})
    assert orders.reserve(1, 1.0 - RESERVE) > 0
    assert orders.reserve(5) == 0


def test_a_budget_that_cannot_be_kept_is_one_clear_error_and_loses_no_answer(tmp_path):
    """Nothing is sent without it; but what came back of a request that was sent counts."""
    (tmp_path / "file").touch()
    limiter = WeightLimiter(tmp_path / "file" / "weights")
    with pytest.raises(StoreFailed, match=r"request budget: expected .* to be writable"):
        limiter.wait(1)
    limiter.heard(429, {"Retry-After": "3"})
