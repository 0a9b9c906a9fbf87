"""From lines to states, and arrays that remember."""

from __future__ import annotations

import numpy as np
import pytest

from tests.thunes_core.strategies.frames import bars_of
from thunes_core.domain.bars import empty
from thunes_core.errors import UnknownName
from thunes_core.indicators import Columns, above, columns_of, ema, latched, sma


def flags(text: str):
    """Read 'x' as True."""
    return np.array([letter == "x" for letter in text])


def test_above_ignores_rounding_and_nan():
    """A last bit is not above, a millionth of a tick of a real price is, NaN never."""
    price = 100_000.0
    line = np.array([price + 2e-11, price + 1e-7, price - 1, np.nan, price])
    other = np.array([price, price, price, price, np.nan])
    assert above(line, other).tolist() == [False, True, False, False, False]


def test_above_works_on_negative_lines():
    """The margin widens away from the other line, whatever its sign."""
    assert above(np.array([-1.0, -3.0]), np.array([-2.0, -2.0])).tolist() == [True, False]


@pytest.mark.parametrize(
    ("enter", "leave", "memory", "expected"),
    [
        ("..x....", ".....x.", 9, "..xxx.."),
        ("..x....", ".......", 2, "..xxx.."),
        ("..x.x..", ".......", 2, "..xxxxx"),
        ("x......", "x......", 9, "......."),
        ("x.x....", ".x.....", 9, "x.xxxxx"),
        ("", "", 9, ""),
    ],
)
def test_latched_holds_from_enter_to_leave_within_its_memory(enter, leave, memory, expected):
    """Entering begins or renews, leaving wins on the same bar, memory ends what is old."""
    assert latched(flags(enter), flags(leave), memory).tolist() == flags(expected).tolist()


def test_columns_compute_each_indicator_once():
    """The same formula with the same arguments is the same array."""
    columns = columns_of(bars_of([1, 2, 3, 4]))
    assert columns.of(ema, "close", 2) is columns.of(ema, "close", 2)
    assert columns.of(ema, "close", 2) is not columns.of(ema, "close", 3)
    np.testing.assert_array_equal(columns.sma(2), sma(columns.close, 2))
    assert columns.sma(2) is columns.sma(2)


def test_columns_forget_the_oldest_when_full():
    """What is remembered stays within its bound, whatever a sweep asks."""
    close = np.arange(1.0, 101.0)
    columns = Columns(close.astype(int), close, close, close, close, close, memory_bytes=2500)
    first = columns.of(ema, "close", 2)
    for span in range(3, 30):
        columns.of(ema, "close", span)
    assert sum(line.nbytes for line in columns.remembered.values()) <= 2500
    assert columns.of(ema, "close", 2) is not first


def test_columns_do_not_copy_prices():
    """A column of a contiguous frame is a view of it."""
    bars = bars_of([1, 2, 3])
    assert np.shares_memory(columns_of(bars).close, bars["close"].to_numpy())


def test_columns_know_the_length_of_a_bar():
    """From the bars' own interval; no bars, no answer."""
    assert columns_of(bars_of([1], interval="4h")).bar_minutes == 240
    with pytest.raises(UnknownName, match="interval: expected one of"):
        _ = columns_of(empty()).bar_minutes
