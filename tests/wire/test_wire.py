"""A connection that breaks around an order: one order per decision, ledger equal, protected."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

import pytest

from tests.crash.trials import BUY_AT, SELL_AT, assert_ledger_is_the_exchange
from tests.wire.proxy import Break
from tests.wire.trials import PAIR, STOP, TRAIL, TRAILED_PAIR, Trial, trial_in
from thunes_core.domain.limits import LimitEntry, Protection
from thunes_core.domain.orders import OrderStatus

ORDER = "POST /api/v3/order"
CANCEL = "DELETE /api/v3/order"
SWAP = "POST /api/v3/order/cancelReplace"
LIST = "POST /api/v3/orderList/"


@dataclass(frozen=True)
class Stage:
    """A request of an order's life: in which tick it is sent, and how one trades to get there."""

    request: str
    bar: int = BUY_AT
    protection: Protection = TRAIL
    lists: tuple[str, ...] = ()
    nth: int = 1
    replaces: bool = True

    def stays_guarded(self, kind: Break) -> bool:
        """True when no moment need pass without a stop, though the request is broken so.

        What arrives late of a pair that moves by halves leaves the stop of one until the next look.
        """
        late = self.protection is TRAILED_PAIR and kind is Break.DELAY
        released = self.request == ORDER or self.request.startswith(LIST)
        return self.bar > BUY_AT and not released and not late


HALF = Decimal("4.5")
"""Half of what is bought in these trials: it has its stop, whatever becomes of the other."""

STAGES = {
    "entry": Stage(ORDER),
    "protection": Stage(ORDER, nth=2),
    "exit": Stage(SWAP, SELL_AT),
    "move": Stage(SWAP, BUY_AT + 1),
    "pair": Stage(f"{LIST}oco", protection=PAIR),
    "half_of_pair": Stage(SWAP, BUY_AT + 1, TRAILED_PAIR),
    "other_half": Stage(f"{LIST}oco", BUY_AT + 1, TRAILED_PAIR),
    "moved_pair": Stage(f"{LIST}oco", BUY_AT + 1, TRAILED_PAIR, nth=2),
    "release_of_pair": Stage(CANCEL, BUY_AT + 1, TRAILED_PAIR),
    "release": Stage(CANCEL, SELL_AT, replaces=False),
    "exit_alone": Stage(ORDER, SELL_AT, replaces=False),
    "oto": Stage(f"{LIST}oto", protection=STOP, lists=("OTO",)),
    "otoco": Stage(f"{LIST}otoco", protection=PAIR, lists=("OTO",)),
    "opo": Stage(f"{LIST}opo", protection=STOP, lists=("OPO",)),
    "opoco": Stage(f"{LIST}opoco", protection=PAIR, lists=("OPO",)),
}


@pytest.fixture()
def trial(tmp_path: Path) -> Iterator[Trial]:
    """Put unmodified clients behind a wire."""
    with trial_in(tmp_path) as made:
        yield made


@pytest.mark.parametrize("kind", Break)
@pytest.mark.parametrize("stage", STAGES.values(), ids=STAGES)
def test_a_broken_connection_around_an_order_is_asked_after_and_never_sent_again(
    trial, stage, kind
):
    """One order per decision; the clean ticks find it, protect what is held, and sell it once."""
    trial.protection, trial.broker.entry_lists = stage.protection, stage.lists
    trial.market.replaces = stage.replaces
    if stage.bar > BUY_AT:
        trial.tick(BUY_AT)
        assert trial.is_guarded()
    trial.wire.strike(kind, stage.request, stage.nth)
    trial.tick(stage.bar)
    assert trial.wire.is_over()
    assert trial.wire.struck == [stage.request]
    assert trial.is_honest()
    assert trial.is_guarded() or not stage.stays_guarded(kind)
    assert stage.protection is not TRAILED_PAIR or trial.stopped() >= HALF
    for minute in (1, 2):  # what never arrived is looked for twice
        trial.tick(stage.bar, minute)
    assert_ledger_is_the_exchange(trial.ledger, trial.net)
    assert trial.is_guarded()
    if stage.bar < SELL_AT:
        trial.tick(BUY_AT + 2)
        assert trial.is_guarded()
        trial.tick(SELL_AT)
    assert trial.decided() == ["BUY", "SELL"]
    assert trial.resting() == []
    assert trial.ledger.trades().height == 1
    assert_ledger_is_the_exchange(trial.ledger, trial.net)


@pytest.mark.parametrize("kind", Break)
def test_a_broken_cancel_of_a_resting_entry_leaves_no_entry_behind(trial, kind):
    """The entry is withdrawn when the target changes, however the first cancel ended."""
    trial.entry = LimitEntry(0.1, timeout_bars=100)
    trial.tick(BUY_AT)
    assert trial.resting() == ["LIMIT"]
    trial.wire.strike(kind, CANCEL)
    trial.tick(SELL_AT)
    assert trial.wire.is_over()
    assert trial.is_honest()
    trial.tick(SELL_AT, 1)
    assert trial.resting() == trial.decided() == []
    assert_ledger_is_the_exchange(trial.ledger, trial.net)


def test_a_cancel_that_nobody_answers_is_shown_as_unknown_and_nothing_goes_beside_it(trial):
    """What rests stays; when it can be asked after, all goes its way."""
    stage = STAGES["release_of_pair"]
    trial.protection = stage.protection
    trial.tick(BUY_AT)
    trial.wire.strike(Break.RESET_BEFORE, CANCEL)
    trial.tick(stage.bar)
    assert trial.wire.is_over()
    assert trial.wire.struck == [CANCEL]
    shown = [one.status is OrderStatus.UNKNOWN for one in trial.ledger.open_orders()]
    assert any(shown)
    assert trial.decided() == ["BUY"]
    assert trial.is_guarded()
    trial.tick(stage.bar, 1)
    assert trial.is_guarded()
    trial.tick(SELL_AT, 2)
    assert trial.decided() == ["BUY", "SELL"]
    assert trial.resting() == []
    assert_ledger_is_the_exchange(trial.ledger, trial.net)
