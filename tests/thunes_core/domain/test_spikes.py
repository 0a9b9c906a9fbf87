"""Closes that move too far are flagged, and make entries wait."""

from __future__ import annotations

from datetime import timedelta

from tests.thunes_core.adapters.bars.frames import START, bars_of
from thunes_core.domain.spikes import CLEARING_BARS, entry_hold, spikes

CALM = [100.0 + i % 2 for i in range(60)]
HOUR = timedelta(hours=1)


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


def test_a_spike_holds_entries_until_three_calm_bars_have_closed() -> None:
    """The reason names the bar; after enough calm bars there is none."""
    jump = CALM[-1] + 30
    after = [jump, jump + 1, jump, jump + 1]
    holds = [entry_hold(bars_of([*CALM, *after[:n]])) for n in range(5)]
    assert holds[0] is None
    assert "2024-02-03 08:00" in str(holds[1])
    assert all(holds[1 : 1 + CLEARING_BARS])
    assert holds[4] is None


def test_a_person_can_clear_a_spike() -> None:
    """Cleared up to its open time, it holds nothing back."""
    bars = bars_of([*CALM, CALM[-1] + 30])
    assert entry_hold(bars, cleared_until=START + 59 * HOUR)
    assert entry_hold(bars, cleared_until=START + 60 * HOUR) is None
