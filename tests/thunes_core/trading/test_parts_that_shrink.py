"""Where an order may carry less than before, parts are moved with as little bare as can be."""

from __future__ import annotations

from itertools import pairwise

import pytest

from tests.thunes_core.trading import test_unprotected
from tests.thunes_core.trading.test_exit_by_parts import after_each_answer, bare, in_parts
from tests.thunes_core.trading.test_parts import TRAIL, alarms, entered, held, limit, stopped

watched = test_unprotected.watched


@pytest.mark.parametrize("most", ["345", "520"])
def test_a_rising_price_shrinks_parts_by_crumbs(watched, most):
    """A limit in the quote asset buys less of a dearer coin: no part is split in halves for it."""
    bar = in_parts(watched, TRAIL, most)
    seen = after_each_answer(watched, lambda: bare(watched))
    levels = []
    for later in range(bar + 1, bar + 8):
        watched.tick_at(later)
        assert alarms(watched) == []
        assert sum(stopped(watched)) == held(watched)
        (level,) = {one.asked.stop_price for one in watched.stops()}
        levels.append(level)
    assert all(one < other for one, other in pairwise(levels))
    assert 0 < max(seen) < held(watched) / 100


@pytest.mark.parametrize("limits", [("600", "300"), ("1000", "700", "500", "350")])
def test_a_limit_that_falls_leaves_bare_what_one_part_gives_up_at_most(watched, limits):
    """It is covered by the next request, before another part is moved."""
    bar = entered(watched, TRAIL)
    limit(watched, limits[0])
    for later, most in enumerate(limits, bar + 1):
        limit(watched, most)
        seen, largest = after_each_answer(watched, lambda: bare(watched)), max(stopped(watched))
        watched.tick_at(later)
        assert alarms(watched) == []
        assert sum(stopped(watched)) == held(watched)
        assert 0 < max(seen) <= largest - max(stopped(watched))


def test_where_no_more_stops_are_taken_one_part_stands_bare_at_most(watched):
    """Five are taken, and Binance counts the old one beside the new: it is cancelled before."""
    bar = in_parts(watched, TRAIL, "255")
    seen = after_each_answer(watched, lambda: bare(watched))
    for later in range(bar + 1, bar + 8):
        watched.tick_at(later)
        assert alarms(watched) == []
        assert sum(stopped(watched)) == held(watched)
    assert len(stopped(watched)) == 5
    assert 0 < max(seen) < held(watched) / 3
