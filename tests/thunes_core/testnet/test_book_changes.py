"""A book kept by the changes of its stream is the book that REST shows."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest

from tests.thunes_core.testnet.calls import get
from tests.thunes_core.testnet.markets import RISING, exchange, step
from thunes_core.testnet.conditions import give
from thunes_core.testnet.faults import Fault, FaultKind
from thunes_core.testnet.liquidity import Depth
from thunes_core.testnet.market_events import events_between
from thunes_core.testnet.matching import Exchange
from thunes_core.testnet.options import Options
from thunes_core.testnet.streams import parse_stream

BTC = {"symbol": "BTCUSDT"}
HOURS = (0.0005, 0.01, 0.01, 1.0, 0.3, 0.00025, 0.5)
Side = dict[Decimal, Decimal]


class Kept:
    """A client's own book, by the eight steps of Binance's page."""

    def __init__(self, snapshot: Any) -> None:
        self.last_id = snapshot["lastUpdateId"]
        self.bids, self.asks = (side_of(snapshot[name]) for name in ("bids", "asks"))

    def take(self, event: Any) -> None:
        """Apply one event, which must follow on what came before."""
        assert event["U"] == self.last_id + 1
        assert event["u"] >= event["U"]
        self.last_id = event["u"]
        for side, changes in ((self.bids, event["b"]), (self.asks, event["a"])):
            side.update(side_of(changes))
            for price in [p for p, quantity in side.items() if not quantity]:
                del side[price]


def side_of(levels: Any) -> Side:
    """Return quantities by price."""
    return {Decimal(price): Decimal(quantity) for price, quantity in levels}


def changes(on: Exchange, hours: tuple[float, ...]) -> Iterator[Any]:
    """Yield the events of the book's stream, one look after each step."""
    stream = parse_stream("btcusdt@depth@100ms", on)
    assert stream is not None
    told_ms = on.present_ms
    for one in hours:
        step(on, one)
        for event in events_between(on, stream, told_ms, on.present_ms):
            told_ms = on.present_ms
            yield event


@pytest.mark.parametrize("depth", [None, Depth(seed=4)])
def test_a_book_kept_by_its_changes_is_the_one_rest_shows(depth: Depth | None) -> None:
    """From one snapshot on, over small steps and leaps: same levels, same quantities, same id."""
    on = exchange(RISING, Options(depth=depth))
    kept = Kept(get(on, "depth", **BTC, limit=5000))
    for event in changes(on, HOURS):
        kept.take(event)
        shown = get(on, "depth", **BTC, limit=5000)
        assert kept.bids == side_of(shown["bids"])
        assert kept.asks == side_of(shown["asks"])
        assert kept.last_id == shown["lastUpdateId"]


def test_a_small_move_changes_few_levels() -> None:
    """A level keeps its quantity while the price moves beside it."""
    on = exchange(RISING)
    before = on.market.price("BTCUSDT", on.present_ms)
    (event,) = changes(on, (0.005,))
    ticks = int(abs(on.market.price("BTCUSDT", on.present_ms) - before) / Decimal("0.01"))
    assert 0 < ticks < 20
    assert len(event["b"]) == len(event["a"]) == 2 * ticks


def test_a_book_that_stands_tells_nothing() -> None:
    """While the symbol is halted the price stands, and with it an endless book."""
    on = exchange(RISING)
    give(on, Fault(FaultKind.STATUS, symbol="BTCUSDT"))
    assert list(changes(on, (0.1, 0.1))) == []


@pytest.mark.parametrize(
    ("name", "period_ms"),
    [
        ("btcusdt@depth", 1000),
        ("btcusdt@depth@100ms", 100),
        ("btcusdt@depth5", 1000),
        ("btcusdt@depth20@100ms", 100),
        ("btcusdt@ticker", 1000),
        ("btcusdt@ticker_1h", 1000),
        ("btcusdt@avgPrice", 1000),
        ("!miniTicker@arr", 1000),
        ("btcusdt@bookTicker", 0),
        ("btcusdt@trade", 0),
    ],
)
def test_streams_keep_their_published_pace(name: str, period_ms: int) -> None:
    """At most once a period of the exchange's clock; 0: whenever something happens."""
    stream = parse_stream(name, exchange(RISING))
    assert stream is not None
    assert stream.period_ms == period_ms
    told = {stream.known_until(now) for now in range(0, 3000, 25)}
    assert sorted(told) == list(range(0, 3000, period_ms or 25))


@pytest.mark.parametrize("name", ["btcusdt@depth@250ms", "btcusdt@trade@100ms", "btcusdt@depth7"])
def test_paces_that_are_not_offered_are_no_streams(name: str) -> None:
    """Only depth comes faster, and only every 100 ms."""
    assert parse_stream(name, exchange(RISING)) is None


def test_streams_of_all_symbols_tell_only_what_changed() -> None:
    """One event of those whose price moved; none when nothing did."""
    on = exchange(RISING)
    stream = parse_stream("!ticker@arr", on)
    assert stream is not None
    before = on.present_ms
    step(on, 0.5)
    (event,) = events_between(on, stream, before, on.present_ms)
    assert [one["s"] for one in event] == ["BTCUSDT"]
    give(on, Fault(FaultKind.STATUS, symbol="BTCUSDT"))
    before = on.present_ms
    step(on, 0.5)
    assert list(events_between(on, stream, before, on.present_ms)) == []
