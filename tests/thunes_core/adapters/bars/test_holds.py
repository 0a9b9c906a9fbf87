"""Holds on entries are placed, read and lifted; a tick is never stopped by them."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from tests.thunes_core.adapters.bars.frames import START, bars_of
from thunes_core.adapters.bars.holds import Holds
from thunes_core.domain.bars import Interval
from thunes_core.errors import StoreFailed, UnknownName
from thunes_core.indicators.columns import columns_of

CALM = columns_of(bars_of([100.0 + i % 2 for i in range(60)])).arrays
SPIKY = columns_of(bars_of([*(100.0 + i % 2 for i in range(60)), 200.0])).arrays


def test_a_hold_stands_until_its_source_lifts_it(tmp_path: Path) -> None:
    """Each source has its own; another process sees it at once."""
    holds, other = Holds(tmp_path), Holds(tmp_path)
    assert other("BTCUSDT", Interval.H1)(CALM) is None
    holds.place("BTCUSDT", "foreign_venue", "closes differ")
    holds.place("BTCUSDT", "cross_interval", "4h differs")
    holds.lift("BTCUSDT", "foreign_venue")
    assert other("BTCUSDT", Interval.H1)(CALM) == "cross_interval: 4h differs"
    assert other("ETHUSDT", Interval.H1)(CALM) is None
    holds.lift("BTCUSDT", "cross_interval")
    holds.lift("BTCUSDT", "nobody")
    assert other.on("BTCUSDT") == {}


def test_the_bars_themselves_raise_a_doubt_too(tmp_path: Path) -> None:
    """A spike holds entries back until a person clears it."""
    holds = Holds(tmp_path)
    assert "moved more than 20 times" in str(holds("BTCUSDT", Interval.H1)(SPIKY))
    holds.clear_spikes("BTCUSDT", START + timedelta(hours=60))
    assert holds("BTCUSDT", Interval.H1)(SPIKY) is None
    assert holds.on("BTCUSDT") == {}


def test_holds_that_cannot_be_read_hold_and_never_raise(tmp_path: Path) -> None:
    """A tick goes on to its exits; the sentence says what to do. Checks are told."""
    holds = Holds(tmp_path)
    holds.place("BTCUSDT", "a", "b")
    (tmp_path / "holds" / "BTCUSDT.json").write_bytes(b"{half")
    assert "remove it and run the checks again" in str(holds("BTCUSDT", Interval.H1)(CALM))
    with pytest.raises(StoreFailed):
        holds.place("BTCUSDT", "a", "c")


def test_a_symbol_never_leaves_the_folder(tmp_path: Path) -> None:
    """Only capital letters and digits become a file's name."""
    with pytest.raises(UnknownName):
        Holds(tmp_path).place("../x", "a", "b")
