"""SIGTERM and SIGINT at every named point of `thunes tick`: parked, exit code 1, stops stay."""

from __future__ import annotations

import signal

import pytest

from tests.crash.points import LIFE
from tests.crash.trials import assert_agrees_afterwards, assert_guarded, strike

NOT_DONE = 1


@pytest.mark.parametrize("point", LIFE, ids=str)
def test_a_command_told_to_end_at_any_point_ends_by_itself_and_leaves_its_stops(trial, point):
    """Every other point hears Ctrl-C; the next ticks agree with the exchange."""
    number = signal.SIGINT if LIFE.index(point) % 2 else signal.SIGTERM
    assert strike(trial, point, number, command=True) == {"exit": NOT_DONE}
    if point.stage != "entry" and point.method != "cancel":
        assert_guarded(trial)
    assert_agrees_afterwards(trial, point)


def test_a_command_that_is_let_be_ends_with_zero(trial):
    """The same tick by the same command, unharmed."""
    assert trial.tick(41, command=True) == {"exit": 0}
