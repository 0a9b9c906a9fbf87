"""Public trades add up to the candles, candles of every length to each other."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

import numpy as np
import pytest

from tests.thunes_core.testnet.calls import get, send
from tests.thunes_core.testnet.markets import HOUR_MS, RISING, START_MS, exchange, market, step
from thunes_core.clock import to_millis
from thunes_core.testnet.market import Market, generated_market
from thunes_core.testnet.refusals import Refused

BTC = {"symbol": "BTCUSDT"}
DAY_MS = 86_400_000


def test_the_tape_of_each_candle_is_the_candle() -> None:
    """First, highest, lowest and last price, number and volume of seven trades an hour."""
    traded = market(RISING).find("BTCUSDT")
    tape = traded.tape_until(START_MS + 4 * HOUR_MS)
    for hour, (opened, high, low, close) in enumerate(RISING):
        trades = list(tape.trades(hour * 7, hour * 7 + 7))
        prices = [float(t.price) for t in trades]
        assert (prices[0], max(prices), min(prices), prices[-1]) == (opened, high, low, close)
        assert sum(t.quantity for t in trades) == Decimal(10)
        assert sum(not t.is_buyer_maker for t in trades) in (3, 4)
        times = [t.time_ms - START_MS - hour * HOUR_MS for t in trades]
        assert times == sorted(times)
        assert (times[0], times[-1]) == (0, HOUR_MS - 1)


def test_trades_are_counted_as_the_clock_passes_them() -> None:
    """A trade is there from its millisecond on, and ids go on from candle to candle."""
    traded = market(RISING).find("BTCUSDT")
    tape = traded.tape_until(START_MS + 4 * HOUR_MS)
    for one in tape.trades(0, 28):
        assert tape.count_until(one.time_ms) == one.trade_id + 1
        assert tape.count_until(one.time_ms - 1) == one.trade_id
    assert traded.trade_count(START_MS - 1) == 0
    assert list(tape.trades(27, 99))[-1].trade_id == 27


def test_trades_are_found_by_id_time_and_newest() -> None:
    """trades, historicalTrades and aggTrades tell of the same tape."""
    on = exchange(RISING)
    step(on, 2)
    assert [t["id"] for t in get(on, "trades", **BTC, limit=3)] == [12, 13, 14]
    assert [t["id"] for t in get(on, "historicalTrades", **BTC, fromId=12)] == [12, 13, 14]
    assert [t["a"] for t in get(on, "aggTrades", **BTC, fromId=3, limit=2)] == [3, 4]
    start, end = START_MS + HOUR_MS, START_MS + 2 * HOUR_MS - 1
    within = get(on, "aggTrades", **BTC, startTime=start, endTime=end)
    assert [t["a"] for t in within] == list(range(7, 14))
    assert get(on, "aggTrades", **BTC, endTime=START_MS - 1) == []
    assert get(on, "aggTrades", **BTC, fromId=1, startTime=1)["code"] == -1128
    one = get(on, "trades", **BTC, limit=1)[0]
    assert Decimal(one["quoteQty"]) == Decimal(one["price"]) * Decimal(one["qty"])


def year() -> Market:
    """Return a market of hours that has run for two years."""
    return generated_market(("BTCUSDT",), seed=5, start=datetime(2025, 1, 1, tzinfo=UTC))


@pytest.mark.parametrize("interval", ["3d", "1w", "1M"])
def test_long_candles_join_the_days(interval: str) -> None:
    """Extremes, first open, last close and sums of the days they cover; the last one partial."""
    on, now = year(), to_millis(datetime(2025, 1, 1, 12, tzinfo=UTC))
    days = on.klines("BTCUSDT", "1d", now, limit=1000)
    for long in on.klines("BTCUSDT", interval, now, limit=20)[-12:]:
        inside = [d for d in days if long.open_ms <= d.open_ms <= long.close_ms]
        assert long.open == inside[0].open
        assert long.close == inside[-1].close
        assert (long.high, long.low) == (max(d.high for d in inside), min(d.low for d in inside))
        assert long.volume == pytest.approx(sum(d.volume for d in inside))
        assert long.trades == sum(d.trades for d in inside)


def millis(hour: str) -> int:
    """Return a time such as 2025-01-01T08 in milliseconds."""
    return to_millis(datetime.fromisoformat(f"{hour}:00+00:00"))


@pytest.mark.parametrize(
    ("interval", "zone", "opened", "closed"),
    [
        ("1w", None, "2024-12-30T00", "2025-01-06T00"),
        ("1M", None, "2025-01-01T00", "2025-02-01T00"),
        ("3d", None, "2024-12-31T00", "2025-01-03T00"),
        ("1d", "8", "2024-12-31T16", "2025-01-01T16"),
        ("1d", "-1:00", "2025-01-01T01", "2025-01-02T01"),
        ("1M", "+08:00", "2024-12-31T16", "2025-01-31T16"),
    ],
)
def test_long_candles_lie_on_their_grid(
    interval: str, zone: str | None, opened: str, closed: str
) -> None:
    """Weeks from Monday, months of the calendar, three days from 1970, days of a time zone."""
    on = exchange(RISING)
    on.market = year()
    on.clock.move_to(to_millis(datetime(2025, 1, 1, 12, tzinfo=UTC)))
    on.advance()
    more = {} if zone is None else {"timeZone": zone}
    row = get(on, "klines", **BTC, interval=interval, limit=1, **more)[0]
    assert row[0] == millis(opened)
    assert row[6] == millis(closed) - 1


@pytest.mark.parametrize("zone", ["x", "15", "-12:30", "5:3", "8:00:00"])
def test_time_zones_that_are_none_are_refused(zone: str) -> None:
    """-1130 with the parameter's name."""
    answer = get(exchange(RISING), "klines", **BTC, interval="1d", timeZone=zone)
    assert answer == {"code": -1130, "msg": "Data sent for parameter 'timeZone' is not valid."}


def test_zones_that_cut_candles_are_refused() -> None:
    """Hours cannot be put together to days that begin at half past."""
    with pytest.raises(Refused, match="Invalid interval"):
        market(RISING).klines("BTCUSDT", "1d", START_MS, offset_ms=HOUR_MS // 2)


@pytest.mark.parametrize("hours", [0.5, 1, 1.25, 3])
def test_a_window_is_what_the_path_did_in_it(hours: float) -> None:
    """Open, extremes and last of the rolling window are those of the path, minute by minute."""
    on = exchange(RISING)
    step(on, 3.5)
    now, start = on.present_ms, on.present_ms - int(hours * HOUR_MS)
    shown = get(on, "ticker", **BTC, windowSize=f"{int(hours * 60)}m" if hours < 1 else "1h")
    traded = on.market.find("BTCUSDT")
    seen = traded.between(start, now)
    path = [traded._series.price_at(t) for t in np.arange(start, now + 1, 1000)]
    assert seen.open == pytest.approx(path[0])
    assert seen.close == pytest.approx(path[-1])
    assert seen.high == pytest.approx(max(path), rel=1e-3)
    assert seen.low == pytest.approx(min(path), rel=1e-3)
    assert seen.volume == pytest.approx(10 * hours)
    assert Decimal(shown["lastPrice"]) == traded.price(now)


def test_the_trading_day_begins_at_midnight() -> None:
    """Of the time zone; it closes at its end, and its trades are those since."""
    on = exchange(RISING)
    step(on, 2)
    day = get(on, "ticker/tradingDay", **BTC)
    assert (day["openTime"], day["closeTime"]) == (START_MS, START_MS + DAY_MS - 1)
    assert (day["firstId"], day["lastId"], day["count"]) == (0, 14, 15)
    assert day["openPrice"] == "100.00000000"
    east = get(on, "ticker/tradingDay", **BTC, timeZone="8")
    assert east["openTime"] == START_MS - 8 * HOUR_MS
    assert get(on, "ticker/tradingDay")["code"] == -1102


@pytest.mark.parametrize("size", ["60m", "24h", "8d", "0m", "x", "1w"])
def test_windows_that_are_none_are_refused(size: str) -> None:
    """-1130: 1m to 59m, 1h to 23h, 1d to 7d."""
    assert get(exchange(RISING), "ticker", **BTC, windowSize=size)["code"] == -1130


@pytest.mark.parametrize(
    ("path", "parameters", "weight"),
    [
        ("depth", {**BTC, "limit": 100}, 5),
        ("depth", {**BTC, "limit": 101}, 25),
        ("depth", {**BTC, "limit": 1000}, 50),
        ("depth", {**BTC, "limit": 5000}, 250),
        ("trades", BTC, 25),
        ("aggTrades", BTC, 4),
        ("ticker/24hr", {}, 80),
        ("ticker/24hr", {"symbols": '["BTCUSDT"]'}, 2),
        ("ticker", BTC, 4),
        ("klines", {**BTC, "interval": "1h"}, 2),
    ],
)
def test_requests_weigh_what_they_weigh_on_the_exchange(
    path: str, parameters: dict[str, object], weight: int
) -> None:
    """Shown in the headers."""
    answer = send(exchange(RISING), "GET", path, **parameters)
    assert (answer.status, answer.headers["x-mbx-used-weight-1m"]) == (200, str(weight))


def test_symbols_are_chosen_by_name_and_status() -> None:
    """A list, one status, and the refusals of what cannot be."""
    on = exchange(RISING)
    assert [t["symbol"] for t in get(on, "ticker/price", symbols='["BTCUSDT"]')] == ["BTCUSDT"]
    assert get(on, "ticker/price", symbolStatus="HALT") == []
    for asked, code in (
        ({**BTC, "symbolStatus": "HALT"}, -1220),
        ({"symbolStatus": "GONE"}, -1122),
        ({"symbols": "[]"}, -1100),
        ({"symbols": '["BTCUSDT","BTCUSDT"]'}, -1151),
        ({"symbols": '["BTCUSDT"]', **BTC}, -1128),
        ({"symbols": "[1]"}, -1100),
    ):
        assert get(on, "ticker/price", **asked)["code"] == code, asked
