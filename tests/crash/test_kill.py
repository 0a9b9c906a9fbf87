"""SIGKILL at every named point of an order's life, then a restart: the ledger equals the exchange.

Each trial trades a wave of prices on a local testnet: some ticks, one tick that is killed at the
point, then ticks until the position is sold again.
"""

from __future__ import annotations

import pytest

from tests.crash.points import AT_ENTRY, PAIR, POINTS, TRAIL, WITH_LIST
from tests.crash.trials import (
    BUY_AT,
    SELL_AT,
    assert_flat_and_equal,
    assert_ledger_is_the_exchange,
)
from thunes_core.adapters.ledger import open_ledger


@pytest.mark.parametrize(("method", "when"), POINTS)
@pytest.mark.parametrize("bar", [BUY_AT, SELL_AT], ids=["entry", "exit"])
def test_a_kill_at_any_point_neither_loses_nor_doubles_an_order(trial, bar, method, when):
    """One decision, at most one order; after the restart ledger and exchange are equal."""
    trial.tick(41)
    if bar == SELL_AT:
        trial.tick(BUY_AT)
    assert trial.tick(bar, method=method, when=when, nth=1) == {"signal": 9}
    for minute in (1, 2):
        assert trial.tick(bar, minute) == {"exit": 0}
    for later in sorted({bar + 1, SELL_AT, SELL_AT + 1} - {bar}):
        assert trial.tick(later) == {"exit": 0}
    ledger = open_ledger(trial.url)
    sides = [order.asked.side for order in trial.sent()]
    assert sides == ["BUY", "SELL"]
    assert ledger.trades().height == 1
    assert_ledger_is_the_exchange(ledger, trial.net)
    ledger.close()


@pytest.mark.parametrize(("kind", "method", "when", "nth"), AT_ENTRY)
def test_a_kill_while_protection_is_placed_leaves_one_that_fits(trial, kind, method, when, nth):
    """Within three ticks exactly the wanted orders rest, and the exit sells everything once."""
    trial.protection, trial.lists = kind, False
    trial.tick(41)
    assert trial.tick(BUY_AT, method=method, when=when, nth=nth) == {"signal": 9}
    for minute in (1, 2, 3):
        assert trial.tick(BUY_AT, minute) == {"exit": 0}
    wanted = ["LIMIT_MAKER", "STOP_LOSS"] if kind is PAIR else ["STOP_LOSS"]
    assert sorted(trial.resting()) == wanted
    for later in (SELL_AT, SELL_AT + 1):
        assert trial.tick(later) == {"exit": 0}
    assert_flat_and_equal(trial)


@pytest.mark.parametrize("kind", [PAIR, TRAIL], ids=["pair", "trail"])
@pytest.mark.parametrize(("method", "when"), WITH_LIST)
def test_a_kill_while_an_entry_goes_out_with_its_protection_leaves_both_or_none(
    trial, kind, method, when
):
    """One list at most; after the next bar what is held is protected, and is sold once."""
    trial.protection = kind
    trial.tick(41)
    assert trial.tick(BUY_AT, method=method, when=when) == {"signal": 9}
    held = bool(trial.resting())
    for minute in (1, 2):
        assert trial.tick(BUY_AT, minute) == {"exit": 0}
        assert bool(trial.resting()) == held
    assert trial.tick(BUY_AT + 1) == {"exit": 0}
    wanted = ["LIMIT_MAKER", "STOP_LOSS"] if kind is PAIR else ["STOP_LOSS"]
    assert sorted(trial.resting()) == wanted
    for later in (SELL_AT, SELL_AT + 1):
        assert trial.tick(later) == {"exit": 0}
    assert_flat_and_equal(trial)


@pytest.mark.parametrize(("method", "when"), [("replace", "before"), ("replace", "after")])
def test_a_kill_while_a_stop_is_moved_leaves_one_stop(trial, method, when):
    """Either the old or the new one rests; the next ticks put it where it belongs."""
    trial.protection = TRAIL
    trial.tick(41)
    trial.tick(BUY_AT)
    assert trial.tick(BUY_AT + 1, method=method, when=when) == {"signal": 9}
    assert trial.resting() == ["STOP_LOSS"]
    for minute in (1, 2, 3):
        assert trial.tick(BUY_AT + 1, minute) == {"exit": 0}
        assert trial.resting() == ["STOP_LOSS"]
    for later in (SELL_AT, SELL_AT + 1):
        assert trial.tick(later) == {"exit": 0}
    assert_flat_and_equal(trial)


@pytest.mark.parametrize("kind", [PAIR, TRAIL], ids=["pair", "trail"])
@pytest.mark.parametrize("when", ["before", "after"])
def test_a_kill_around_the_exit_that_releases_its_protection_still_exits(trial, kind, when):
    """One request cancels and sells, or neither: the next ticks know which."""
    trial.protection = kind
    trial.tick(41)
    trial.tick(BUY_AT)
    assert trial.tick(SELL_AT, method="replace", when=when) == {"signal": 9}
    for minute in (1, 2):
        assert trial.tick(SELL_AT, minute) == {"exit": 0}
    assert trial.tick(SELL_AT + 1) == {"exit": 0}
    assert_flat_and_equal(trial)
