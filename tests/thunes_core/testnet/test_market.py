"""Candles and prices of replayed and generated markets."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import numpy as np
import polars as pl
import pytest

from tests.shared_data import shared
from tests.thunes_core.testnet.markets import (
    HOUR_MS,
    RISING,
    START_MS,
    ZERO_HOUR,
    bars,
    market,
)
from thunes_core.clock import to_millis
from thunes_core.domain.bars import Interval, problems, resample
from thunes_core.errors import BadInput
from thunes_core.testnet.candles import read_candles
from thunes_core.testnet.market import DEMO_START, Market, generated_market, replayed_market
from thunes_core.testnet.refusals import Refused
from thunes_core.testnet.series import frame_of

LATE = START_MS + 10 * HOUR_MS


def opens(on: Market, now_ms: int, interval: str = "1h", **bounds: int) -> list[int]:
    """Return the hours, from the first on, at which the candles found open."""
    found = on.klines("BTCUSDT", interval, now_ms, **bounds)
    return [(c.open_ms - START_MS) // HOUR_MS for c in found]


def test_klines_without_bounds_are_the_newest() -> None:
    """The limit cuts the oldest."""
    assert opens(market(RISING), LATE, limit=2) == [2, 3]


def test_klines_from_a_start_are_the_oldest() -> None:
    """The limit cuts the newest, so that paging by startTime goes forward."""
    assert opens(market(RISING), LATE, start_ms=START_MS + HOUR_MS, limit=2) == [1, 2]


def test_kline_bounds_are_inclusive_on_the_open_time() -> None:
    """A start one millisecond late skips the candle; an end exactly on an open time keeps it."""
    on = market(RISING)
    assert opens(on, LATE, start_ms=START_MS + 1, end_ms=START_MS + 2 * HOUR_MS) == [1, 2]
    assert opens(on, LATE, end_ms=START_MS + 2 * HOUR_MS - 1) == [0, 1]


def test_klines_never_show_the_future() -> None:
    """At an open time the new candle is there with its open alone."""
    on = market(RISING)
    assert opens(on, START_MS + HOUR_MS) == [0, 1]
    newest = on.klines("BTCUSDT", "1h", START_MS + HOUR_MS)[-1]
    assert (newest.open, newest.high, newest.low, newest.close) == (103.0,) * 4
    assert newest.volume == 0


def test_coarse_candles_are_resampled_and_the_running_one_is_partial() -> None:
    """Two hours into four: open of the first, extremes of both."""
    found = market(RISING).klines("BTCUSDT", "4h", START_MS + 2 * HOUR_MS - 1)
    assert len(found) == 1
    candle = found[0]
    assert (candle.open, candle.high, candle.low, candle.close) == (100.0, 110.0, 98.0, 109.0)


@pytest.mark.parametrize("interval", ["30m", "7h", "1s", ""])
def test_intervals_that_cannot_be_made_are_refused(interval: str) -> None:
    """Finer than the candles or unknown: -1120."""
    with pytest.raises(Refused, match=r"Invalid interval\."):
        market(RISING).klines("BTCUSDT", interval, LATE)


def test_price_at_a_boundary_is_the_open() -> None:
    """So that a market order at a bar boundary fills at the backtest's price."""
    on = market(RISING)
    for hour, row in enumerate(RISING):
        assert on.price("BTCUSDT", START_MS + hour * HOUR_MS) == Decimal(str(row[0]))


def test_generated_candles_do_not_depend_on_what_is_asked_first() -> None:
    """One market asked late then early, one early then late: the same candles."""
    late, early = generated_market(("BTCUSDT",)), generated_market(("BTCUSDT",))
    far, near = to_millis(DEMO_START) + 200 * 24 * HOUR_MS, to_millis(DEMO_START)
    first = late.klines("BTCUSDT", "1h", far, limit=1000)
    early.klines("BTCUSDT", "1d", near)
    early.klines("BTCUSDT", "1h", near, limit=1000)
    assert early.klines("BTCUSDT", "1h", far, limit=1000) == first


def test_generated_symbols_do_not_depend_on_their_neighbours() -> None:
    """The same symbol alone or beside another, and another seed is another market."""
    now = to_millis(DEMO_START)
    alone = generated_market(("BTCUSDT",)).klines("BTCUSDT", "1h", now)
    assert generated_market(("ETHUSDT", "BTCUSDT")).klines("BTCUSDT", "1h", now) == alone
    assert generated_market(("BTCUSDT",), seed=8).klines("BTCUSDT", "1h", now) != alone


@pytest.mark.parametrize("interval", [Interval.H1, Interval.M5])
def test_generated_candles_are_valid_bars_on_the_tick(interval: Interval) -> None:
    """Two years keep semantics §1, without gaps, in a sane range."""
    now = to_millis(DEMO_START)
    on = generated_market(("BTCUSDT", "ETHUSDT"), interval=interval)
    for symbol in on.symbols:
        series = on.find(symbol).series_until(now)
        frame = frame_of(series, symbol)
        assert problems(frame, interval) == []
        assert len(series.close) >= 730 * 1440 // interval.minutes
        assert set(np.diff(series.open_ms)) == {interval.minutes * 60_000}
        assert series.high.max() / series.low.min() < 30


def test_a_crossover_finds_something_in_a_generated_market() -> None:
    """The trend regimes are long enough for averages of one and four days."""
    close = generated_market(("BTCUSDT",)).find("BTCUSDT").series_until(0).close
    fast, slow = (np.convolve(close, np.ones(n) / n, "valid") for n in (24, 96))
    holds = (fast[-len(slow) :] > slow)[:-1]
    returns = np.diff(np.log(close[-len(slow) :]))
    assert returns[holds].sum() > 2 * abs(returns.sum())


def test_replay_of_real_hours_gives_the_file_back() -> None:
    """A real year of BTC through the market equals the file, at 1h and resampled to 4h."""
    path = shared("data/bars/binance_spot__BTCUSDT__1h__finom__to2025H1.parquet")
    frame = read_candles(path).tail(2000)
    on = replayed_market([frame])
    now = to_millis(frame["open_time"][-1]) + HOUR_MS
    for interval, wanted in (("1h", frame), ("4h", resample(frame, Interval.H4))):
        found = on.klines("BTCUSDT", interval, now, limit=300)
        assert [c.close for c in found] == wanted["close"].tail(300).to_list()
        assert [c.volume for c in found] == wanted["volume"].tail(300).to_list()


def test_tick_follows_the_decimals_of_foreign_candles() -> None:
    """A symbol nobody knows gets a tick that its own prices lie on."""
    rows = [(0.1234, 0.1301, 0.12, 0.125)] * 2
    on = replayed_market([bars(rows, "XYZUSDT")], start=ZERO_HOUR)
    assert on.listing("XYZUSDT").tick == Decimal("0.0001")
    assert on.price("XYZUSDT", START_MS) == Decimal("0.1234")


@pytest.mark.parametrize(
    ("frames", "start", "message"),
    [
        ([], None, "candles of at least one symbol"),
        ([RISING, RISING], None, "BTCUSDT came twice"),
        ([RISING], ZERO_HOUR - timedelta(hours=1), "within the candles"),
        ([RISING], ZERO_HOUR + timedelta(hours=4), "within the candles"),
    ],
)
def test_replays_that_cannot_be_are_bad_input(frames: list, start: object, message: str) -> None:
    """No candles, a symbol twice, or a start outside of them."""
    with pytest.raises(BadInput, match=message):
        replayed_market([bars(rows) for rows in frames], start=start)


def test_replay_begins_where_candles_remain() -> None:
    """Without a start the clock begins three quarters through."""
    frame = pl.concat([bars(RISING * 25)])
    assert replayed_market([frame]).start == ZERO_HOUR + timedelta(hours=75)


@pytest.mark.parametrize("interval", ["1h", "4h"])
def test_a_running_candle_has_prices_that_could_be_traded_at(interval: str) -> None:
    """On the tick at any moment, and its close is the last price."""
    on = market(RISING)
    tick = on.listing("BTCUSDT").tick
    for since_ms in (7, 1_234_567, 2_500_001, HOUR_MS + 777_777):
        now_ms = START_MS + since_ms
        running = on.klines("BTCUSDT", interval, now_ms)[-1]
        prices = (running.open, running.high, running.low, running.close)
        assert all(Decimal(str(price)) % tick == 0 for price in prices)
        assert Decimal(str(running.close)) == on.price("BTCUSDT", now_ms)
