"""Closes that move too far are flagged, by the past alone."""

from __future__ import annotations

from tests.thunes_core.adapters.bars.frames import bars_of
from thunes_core.domain.spikes import spikes

CALM = [100.0 + i % 2 for i in range(60)]


def test_a_move_of_more_than_twenty_times_the_usual_is_a_spike() -> None:
    """The usual move is 1: a move of 20 is none, of 21 is one; the calm back is judged anew."""
    assert not spikes(bars_of([*CALM, CALM[-1] + 20])).any()
    flagged = spikes(bars_of([*CALM, CALM[-1] + 21]))
    assert flagged.to_list() == [False] * 60 + [True]


def test_too_little_history_flags_nothing() -> None:
    """Without twenty moves nobody knows what is usual."""
    assert not spikes(bars_of([*CALM[:20], 1000.0])).any()
    assert spikes(bars_of([*CALM[:21], 1000.0]))[-1]


def test_a_bar_is_judged_by_the_past_alone() -> None:
    """What comes later changes no flag."""
    bars = bars_of([*CALM, 200.0, 100.0, 300.0, 101.0])
    flags = spikes(bars).to_list()
    assert all(spikes(bars.head(n)).to_list() == flags[:n] for n in range(1, bars.height + 1))
