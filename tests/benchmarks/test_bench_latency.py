"""The figures of the latency benchmark have the right shape; how large they are is its own page."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

import pytest

from tests.benchmarks import latency_alone, latency_inside
from tests.benchmarks.bench_latency import HEADS, RUN_HEADS, inside_rows, run_rows
from tests.benchmarks.latency_runs import RunTimes
from tests.benchmarks.stopwatch import REST, Stopwatch, Taken
from thunes_core.domain.bars import Interval
from thunes_core.testnet.app import RunningTestnet, serve_in_thread
from thunes_core.testnet.market import generated_market
from thunes_pipelines.resources import wiring

OWN = {"strategy", "decision", "risk gate", latency_inside.READS}
"""Parts that every order has, however it is measured."""


@pytest.fixture()
def running() -> Iterator[RunningTestnet]:
    """A stepped market of minutes with a day of history."""
    market = generated_market(
        list(latency_inside.SYMBOLS),
        start=latency_inside.START,
        interval=Interval.M1,
        history_days=1,
    )
    with serve_in_thread(market, clock="stepped") as served:
        yield served


def parts_of(found: Taken) -> set[str]:
    """Return the parts of the only stretch that was split, the client's among them."""
    (whole,), (split,) = found.whole, found.split
    assert {REST} <= set(whole.wall) <= {REST, *latency_inside.APART}
    assert any(name.startswith("python-binance") for name in split.wall)
    return set(split.wall)


def test_orders_of_real_ticks_are_split_into_their_parts(tmp_path, running):
    """The stretch saw the strategy, the ledger, the exchange's clock and python-binance."""

    def step() -> None:
        running.exchange.clock.move_to(running.exchange.clock.now_ms() + 60_000)
        running.exchange.advance()

    settings = latency_inside.trading_settings(tmp_path, running.url)
    found = latency_inside.measure(settings, step, orders=1, warm_up=0)
    assert {*OWN, *latency_inside.APART} <= parts_of(found)
    rows = inside_rows(found)
    assert {len(row) for row in rows} == {len(HEADS)}
    assert float(rows[0][1]) <= float(rows[1][1])


@pytest.mark.parametrize("stop_loss", ["0", "0.02"])
def test_the_path_alone_writes_nothing_and_sends_nothing(tmp_path, running, stop_loss):
    """It has every part of its own, and leaves ledger and exchange as they were."""
    settings = latency_inside.trading_settings(tmp_path, running.url, stop_loss=stop_loss)
    parts = parts_of(latency_alone.measure(settings, orders=1, warm_up=0))
    assert parts >= OWN
    assert not {latency_inside.COMMITS, latency_inside.WAITED} & parts
    assert not running.exchange.records.open_orders()
    with closing(wiring.ledger(settings)) as ledger:
        assert ledger.orders().is_empty() and ledger.decisions().is_empty()


def test_every_moment_of_a_run_has_its_row():
    """Median and worst are those of the runs."""
    slow, quick = RunTimes(2, 3, 4, 5, 6, 2, 3), RunTimes(1, 2, 3, 4, 5, 1, 2)
    rows = run_rows([slow, quick, quick])
    assert {len(row) for row in rows} == {len(RUN_HEADS)}
    assert [(row[1], row[2]) for row in rows][:2] == [("1.00", "2.00"), ("2.00", "3.00")]


def test_time_belongs_to_the_innermost_part_and_is_counted_once():
    """A part within a part is not counted in both, and a failure leaves the outer one in force."""
    watch = Stopwatch()

    def fail() -> None:
        raise KeyError

    inner = watch.part("inner", fail)

    def work() -> None:
        with pytest.raises(KeyError):
            inner()

    watch.start()
    watch.part("outer", work)()
    watch.stop()
    (split,) = watch.splits
    assert set(split.wall) == {REST, "outer", "inner"}


def test_parts_that_are_not_asked_for_belong_to_what_runs_around_them():
    """Looking at the clock less often loses no time."""
    watch = Stopwatch()
    watch.only = {"outer"}
    watch.start()
    watch.part("outer", watch.part("inner", lambda: None))()
    watch.stop()
    (split,) = watch.splits
    assert set(split.wall) == {REST, "outer"}


def test_a_stretch_that_never_stops_is_not_kept():
    """A bar that asks for no order leaves no figure."""
    watch = Stopwatch()
    watch.start()
    watch.start()
    watch.stop()
    watch.stop()
    assert len(watch.splits) == 1
