"""Splits cut time and nothing else."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from thunes_core.errors import BadInput
from thunes_core.research.splits import combinatorial_splits, walk_forward_plan


@given(
    bars=st.integers(400, 5000),
    folds=st.integers(1, 8),
    purge=st.integers(0, 60),
    anchored=st.booleans(),
)
def test_tests_tile_the_span_and_train_ends_a_purge_before(bars, folds, purge, anchored):
    """Tests follow each other without a hole, and training ends exactly a purge before its test."""
    plan = walk_forward_plan(bars, folds=folds, train_share=0.3, purge=purge, anchored=anchored)
    edges = [(s.test.start, s.test.stop) for s in plan.splits]
    assert [stop for _, stop in edges[:-1]] == [start for start, _ in edges[1:]]
    assert edges[-1][1] == bars
    assert all(s.train.stop + purge == s.test.start for s in plan.splits)
    assert all(s.train.start >= 0 for s in plan.splits)


def test_rolling_windows_keep_their_length_and_anchored_ones_their_start():
    """Rolling training windows are equally long; anchored ones all begin at the first bar."""
    rolling = walk_forward_plan(1000, folds=4, train_share=0.4, purge=10)
    anchored = walk_forward_plan(1000, folds=4, train_share=0.4, purge=10, anchored=True)
    assert {len(s.train) for s in rolling.splits} == {400}
    assert {s.train.start for s in anchored.splits} == {0}
    assert (rolling.newest.start, rolling.newest.stop) == (600, 1000)
    assert (anchored.newest.start, anchored.newest.stop) == (0, 1000)


@pytest.mark.parametrize(
    ("bars", "folds", "purge"), [(50, 6, 0), (300, 6, 200), (300, 0, 0), (300, 6, -1)]
)
def test_too_short_a_history_is_refused_with_what_to_do(bars, folds, purge):
    """Windows too small to mean anything are refused, and the message says what to give."""
    with pytest.raises(BadInput, match="give a longer history or fewer folds"):
        walk_forward_plan(bars, folds=folds, purge=purge)


def test_combinatorial_splits_cover_every_choice_and_keep_their_distance():
    """Every pair of blocks is tested once, and no training row is near a tested one."""
    splits = list(combinatorial_splits(600, groups=6, tested=2, purge=5, embargo=7))
    assert len(splits) == 15
    for trains, tests in splits:
        tested = {row for t in tests for row in range(t.start - 5, t.stop + 12)}
        assert not tested & {row for t in trains for row in range(t.start, t.stop)}
        assert sum(len(t) for t in tests) == 200
