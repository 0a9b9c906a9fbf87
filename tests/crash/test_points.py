"""SIGTERM at every named point, SIGKILL at those between: nothing is lost, stops stay."""

from __future__ import annotations

import signal
from itertools import chain
from typing import Any

import pytest

from tests.crash import points
from tests.crash.points import BESIDE, BOOKKEEPING, LIFE, READS
from tests.crash.trials import assert_agrees_afterwards, assert_guarded, strike
from tests.crash.zygote import INTERRUPTED
from thunes_core.trading.ports import Broker, Journal


def methods_of(protocol: Any) -> set[str]:
    """Return the public methods of a port."""
    named = chain.from_iterable(vars(one) for one in protocol.__mro__[:-1])
    return {
        name for name in named if not name.startswith("_") and callable(getattr(protocol, name))
    }


def killed_at() -> set[str]:
    """Return the methods around which a process is killed."""
    return {
        *(method for method, _ in points.POINTS),
        *(method for _, method, _, _ in points.AT_ENTRY),
        *(method for method, _ in points.WITH_LIST),
        "replace",
        *(point.method for point in BOOKKEEPING),
    }


def test_both_signals_strike_every_method_that_writes_or_sends():
    """A new method of a port is a named point, or is said to be none and why."""
    writes = (methods_of(Journal) | methods_of(Broker)) - READS - BESIDE.keys()
    assert writes <= killed_at()
    assert {point.method for point in LIFE} == killed_at()


@pytest.mark.parametrize("point", LIFE, ids=str)
def test_an_interrupt_at_any_point_ends_the_process_and_leaves_its_stops(trial, point):
    """It ends by itself; stops that rested still do, and the next ticks agree with the exchange."""
    assert strike(trial, point, signal.SIGTERM) == {"exit": INTERRUPTED}
    if point.stage != "entry" and point.method != "cancel":
        assert_guarded(trial)
    assert_agrees_afterwards(trial, point)


@pytest.mark.parametrize("point", BOOKKEEPING, ids=str)
def test_a_kill_between_bookings_loses_nothing(trial, point):
    """What is written beside the order is written again, or was."""
    assert strike(trial, point, signal.SIGKILL) == {"signal": signal.SIGKILL}
    assert_agrees_afterwards(trial, point)
