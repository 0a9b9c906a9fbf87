"""SIGTERM at every named point, SIGKILL at those between: nothing is lost, stops stay."""

from __future__ import annotations

import signal
from itertools import chain
from typing import Any

import pytest

from tests.crash import points
from tests.crash.points import BESIDE, BOOKKEEPING, LIFE, READS, Point
from tests.crash.trials import (
    BUY_AT,
    SELL_AT,
    Trial,
    assert_flat_and_equal,
    assert_ledger_is_the_exchange,
)
from tests.crash.zygote import INTERRUPTED
from thunes_core.adapters.ledger import open_ledger
from thunes_core.testnet.faults import Fault, FaultKind
from thunes_core.trading.ports import Broker, Journal

STRUCK = {"entry": BUY_AT, "move": BUY_AT + 1, "exit": SELL_AT}


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


def strike(trial: Trial, point: Point, number: int) -> dict[str, int]:
    """Run the tick of the point, and send its process the signal there."""
    trial.protection, trial.lists = dict(point.protection), point.lists
    if point.stage != "entry":
        assert trial.tick(BUY_AT) == {"exit": 0}
    if point.unanswered:
        trial.net.exchange.faults.add(Fault(FaultKind.DROP_AFTER))
    return trial.tick(STRUCK[point.stage], **point.strike, signal=number)


def assert_guarded(trial: Trial) -> None:
    """Whatever is held has its stop at the exchange."""
    held = trial.net.exchange.wallet.total("BTC") >= 0.001
    assert not held or "STOP_LOSS" in trial.resting()


def assert_agrees_afterwards(trial: Trial, point: Point) -> None:
    """The next tick settles what was parked; held is protected; all is bought and sold once.

    Where nothing left and no order was written, the next tick alone shows that.
    """
    bar = STRUCK[point.stage]
    assert trial.tick(bar, 1) == {"exit": 0}
    if point.is_between:
        ledger = open_ledger(trial.url)
        assert_ledger_is_the_exchange(ledger, trial.net)
        ledger.close()
        return
    for later in sorted({BUY_AT + 1, SELL_AT} - set(range(bar + 1))) or [SELL_AT + 1]:
        assert trial.tick(later) == {"exit": 0}
        if point.protection:
            assert_guarded(trial)
    assert_flat_and_equal(trial)


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
