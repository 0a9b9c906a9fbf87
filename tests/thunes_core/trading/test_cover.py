"""How long a position stood bare, on spans whose answer fits in the head."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest

from tests.worlds import START
from thunes_core.domain.orders import Leg, OrderRequest, OrderStatus, OrderType, Side
from thunes_core.domain.records import OrderRecord
from thunes_core.trading.cover import Held, covers


def at(seconds: float):
    """Return a moment so many seconds after the start."""
    return START + timedelta(seconds=seconds)


def stop(start: float, end: float | None, symbol: str = "BTCUSDT", leg: Leg = Leg.STOP):
    """Return the record of a stop that rested from `start` to `end`, or still does."""
    kind = OrderType.STOP_LOSS
    request = OrderRequest(symbol, Side.SELL, kind, Decimal(1), f"s{start}", leg, reduces=True)
    status = OrderStatus.NEW if end is None else OrderStatus.CANCELED
    updated = at(start if end is None else end)
    return OrderRecord(
        request, "s", START, status, at(start), updated_at=updated, rested_at=at(start)
    )


HELD = Held("s", "BTCUSDT", at(10), at(100))


@pytest.mark.parametrize(
    ("stops", "bare"),
    [
        ([stop(10, 100)], 0),
        ([stop(5, None)], 0),
        ([stop(12, 100)], 2),
        ([stop(10, 50), stop(50, 100)], 0),
        ([stop(10, 50), stop(53, 99)], 4),
        ([stop(10, 80), stop(20, 40)], 20),
        ([stop(10, 20), stop(200, None)], 80),
    ],
)
def test_what_no_stop_covers_is_bare(stops, bare):
    """From the entry to the exit, in seconds."""
    (found,) = covers([HELD], stops, at(500))
    assert found.bare_seconds == bare


def test_a_position_that_no_stop_was_placed_for_is_left_out():
    """Another symbol's stop and a target are none."""
    others = [stop(10, 100, "ETHUSDT"), stop(10, 100, leg=Leg.TARGET), stop(200, None)]
    assert covers([HELD], others, at(500)) == []


@pytest.mark.parametrize(
    ("stops", "moves", "moving"),
    [
        ([stop(12, 90)], 0, 0),
        ([stop(12, 50), stop(50, 90)], 1, 0),
        ([stop(12, 50), stop(53, 70), stop(71, 90)], 2, 4),
        ([stop(12, 90), stop(20, 60)], 0, 0),
        ([stop(12, 90), stop(13, 90), stop(14, 90), stop(15, 90)], 0, 0),
        ([stop(12, 50), stop(13, 51), stop(50, 90), stop(51, 90)], 2, 0),
        ([stop(12, 50), stop(50, 90), stop(51, 90)], 1, 0),
        ([stop(12, 50), stop(13, 51), stop(51, 90)], 1, 0),
        ([stop(12, 12), stop(13, 90)], 1, 1),
        ([stop(12, 90), stop(90, 90)], 1, 0),
    ],
)
def test_gaps_between_two_stops_are_counted_apart(stops, moves, moving):
    """What was bare before the first and after the last is no move's."""
    (found,) = covers([HELD], stops, at(500))
    assert (found.moves, found.moving_seconds) == (moves, moving)
    assert found.bare_seconds == 12 + moving
