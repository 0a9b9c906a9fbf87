"""Weeks begin on Monday, on every path; months are refused with the reason."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from tests.thunes_core.adapters.bars.frames import bars_of
from thunes_core.adapters.bars.ingest import ingest_window
from thunes_core.adapters.bars.sift import sift
from thunes_core.adapters.bars.store import BarStore
from thunes_core.adapters.binance.market import BinanceMarket
from thunes_core.domain.bars import Interval, gaps, parse_interval, problems, require_valid
from thunes_core.errors import UnknownName
from thunes_core.testnet.app import serve_in_thread
from thunes_core.testnet.market import replayed_market

MONDAY = datetime(2024, 1, 1, tzinfo=UTC)
DAY = timedelta(days=1)


@pytest.mark.parametrize("day", range(7))
def test_a_moment_belongs_to_the_week_of_its_monday(day):
    """Whatever the weekday and the hour."""
    moment = MONDAY + timedelta(days=day, hours=23, minutes=59)
    assert Interval.W1.floor(moment) == MONDAY


def test_weeks_that_open_on_another_day_are_off_the_grid():
    """Valid on Mondays; refused on Thursdays, where the epoch's own weeks begin."""
    good = bars_of([1, 2, 3], start=MONDAY, interval=Interval.W1)
    assert require_valid(good, Interval.W1) is good
    bad = bars_of([1, 2, 3], start=MONDAY + 3 * DAY, interval=Interval.W1)
    assert [p.kind for p in problems(bad, Interval.W1)] == ["off_grid"]
    assert set(sift(bad, Interval.W1).refused["reason"]) == {"off_grid"}


def test_a_missing_week_is_a_gap():
    """Found from content as at any interval."""
    holed = bars_of([1, 2, 3, 4], start=MONDAY, interval=Interval.W1, skip=[2])
    (gap,) = gaps(holed, Interval.W1)
    assert (gap.start, gap.bars) == (MONDAY + 14 * DAY, 1)


def test_weeks_are_ingested_from_the_exchange_and_built_from_days(tmp_path):
    """Both ways give the same bars; a week that runs is left out."""
    days = bars_of([100.0 + i % 11 for i in range(60)], start=MONDAY, interval=Interval.D1)
    now = MONDAY + 38 * DAY
    with serve_in_thread(replayed_market([days]), start=now) as net:
        market = BinanceMarket(net.url)
        weeks, by_day = BarStore(tmp_path / "weeks"), BarStore(tmp_path / "days")
        ingest_window(market, weeks, "BTCUSDT", Interval.W1, MONDAY - 9 * DAY, now)
        ingest_window(market, by_day, "BTCUSDT", Interval.D1, MONDAY, now)
        market.close()
    own = weeks.read("BTCUSDT", Interval.W1)
    assert own["open_time"].to_list() == [MONDAY + 7 * w * DAY for w in range(5)]
    assert by_day.read("BTCUSDT", Interval.W1).equals(own)


@pytest.mark.parametrize(("name", "why"), [("1M", "months differ in length"), ("1s", "seconds")])
def test_months_and_seconds_are_refused_with_the_reason(name, why):
    """One sentence, with the intervals there are."""
    with pytest.raises(UnknownName, match=why) as refused:
        parse_interval(name)
    assert "1m, 3m" in str(refused.value)
