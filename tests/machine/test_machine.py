"""Whatever signals, faults, kills and pauses come in whatever order, the promise holds.

Two hundred examples run always; `THUNES_SOAK_EXAMPLES` asks for thousands (`make nightly`).
"""

from __future__ import annotations

import os
from datetime import timedelta
from decimal import Decimal
from typing import ClassVar

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from tests.machine.bench import SYMBOL, Bench
from tests.machine.broken import PATCHES
from tests.worlds import wave
from thunes_core.domain.limits import LimitEntry, Protection
from thunes_core.domain.portfolio import TradingState
from thunes_core.testnet.faults import Fault, FaultKind
from thunes_core.testnet.liquidity import Depth
from thunes_pipelines.services.mortal import Fate

EXAMPLES = int(os.environ.get("THUNES_SOAK_EXAMPLES", "200"))
MUTANT_EXAMPLES = 200
BOUND_SECONDS = 6 * max(EXAMPLES, MUTANT_EXAMPLES)
"""A busy machine needs a second for an example."""
STRUCK = (
    FaultKind.ERROR_AFTER,
    FaultKind.DROP_AFTER,
    FaultKind.ERROR,
    FaultKind.DROP,
    FaultKind.LATE,
    FaultKind.GARBAGE,
    FaultKind.REFUSE,
)
PLACES = ("POST /api/v3/order", "DELETE /api/v3/order", "GET /api/v3")
CONDITIONS = (
    FaultKind.LAG,
    FaultKind.SKEW,
    FaultKind.MAINTENANCE,
    FaultKind.BAN,
    FaultKind.STATUS,
)
POINTS = (
    "record_decision",
    "record_intents",
    "claim",
    "submit",
    "submit_pair",
    "submit_entry",
    "replace",
    "replace_by_pair",
    "cancel",
    "record_outcome",
    "change_order",
    "fills",
    "record_fill",
)
PROTECTIONS = (
    Protection(),
    Protection(stop_loss=0.04),
    Protection(trailing_stop=0.03, stop_loss=0.05),
    Protection(stop_loss=0.04, take_profit=0.06, cooldown_minutes=60),
    Protection(stop_loss=0.05, take_profit=0.3, trailing_stop=0.03),
    Protection(stop_loss=0.05, trailing_stop=0.03, trailing_activation=0.02),
)
ENTRIES = (None, LimitEntry(offset=0.01, timeout_bars=3), LimitEntry(timeout_bars=2))
LIMITS = ("300", "200", "600", "100000")
"""What one order may move, in quote units, of positions of about 1,000."""
THIN = Depth(seed=3, pause_ms=8 * 60_000)
"""Resting orders fill in parts, minutes apart: some ticks see a part."""


class Trading(RuleBasedStateMachine):
    """A strategy that wants this and that, on an exchange that fails like this and that."""

    bench: Bench
    protections: ClassVar[tuple[Protection, ...]] = PROTECTIONS
    entries: ClassVar[tuple[LimitEntry | None, ...]] = ENTRIES
    limits: ClassVar[bool] = False
    parted: ClassVar[bool] = False
    foreign: ClassVar[tuple[int, ...]] = (0, 50)

    @initialize(
        number=st.integers(0, len(PROTECTIONS) - 1),
        period=st.sampled_from((8, 14, 30)),
        waits=st.integers(0, 2),
        thin=st.booleans(),
        native=st.booleans(),
        apart=st.booleans(),
        told=st.booleans(),
        foreign=st.integers(0, 1),
    )
    def begin(self, number, period, waits, thin, native, apart, told, foreign):
        protection = self.protections[number % len(self.protections)]
        entry = self.entries[waits % len(self.entries)]
        depth = THIN if thin and entry is not None else None
        closes = wave(period=period, bars=80)
        coins = Decimal(self.foreign[foreign % len(self.foreign)])
        terms = {"native": native, "apart": apart or self.parted, "foreign": coins}
        self.bench = Bench(protection, closes, entry, depth, **terms)
        self.bench.tick()
        if self.limits:
            self.bench.hold_large(LIMITS[0], told=told)

    @precondition(lambda self: self.bench.bar < self.bench.last_bar - 2)
    @rule(wanted=st.sampled_from((0.0, 0.5, 1.0)))
    def a_bar_closes(self, wanted):
        self.bench.want(wanted)
        self.bench.tick()

    @rule(minutes=st.integers(1, 15))
    def time_passes(self, minutes):
        self.bench.pass_time(timedelta(minutes=minutes))
        self.bench.tick()

    @rule(
        kind=st.sampled_from(STRUCK),
        on=st.sampled_from(PLACES),
        skip=st.integers(0, 3),
        seconds=st.floats(0.5, 4.5),
        status=st.sampled_from((500, 502, 503, 504)),
    )
    def a_request_will_fail(self, kind, on, skip, seconds, status):
        self.bench.strike(Fault(kind, on=on, skip=skip, seconds=seconds, status=status))

    @precondition(lambda self: self.bench.bar < self.bench.last_bar - 3)
    @rule(
        wanted=st.sampled_from((1.0, 1.0, 0.0)),
        kind=st.sampled_from(STRUCK),
        skip=st.sampled_from((0, 0, 1)),
        seconds=st.floats(0.5, 4.5),
    )
    def a_turn_fails(self, wanted, kind, skip, seconds):
        """Stand on the other side first, so that there is an order to fail."""
        self.bench.want(1.0 - wanted)
        self.bench.tick()
        self.bench.strike(Fault(kind, skip=skip, seconds=seconds))
        self.bench.want(wanted)
        self.bench.tick()

    @rule(
        kind=st.sampled_from(CONDITIONS),
        seconds=st.sampled_from((1.0, 4.0, 60.0)),
        minutes=st.integers(1, 10),
    )
    def the_exchange_is_unwell(self, kind, seconds, minutes):
        self.bench.strike(Fault(kind, seconds=seconds, for_seconds=60.0 * minutes, symbol=SYMBOL))

    @precondition(lambda self: self.limits)
    @rule(most=st.sampled_from(LIMITS), told=st.booleans())
    def one_order_may_carry_only_so_much(self, most, told):
        self.bench.limit(most, told=told)

    @rule(call=st.integers(1, 45), after=st.booleans())
    def a_tick_is_killed(self, call, after):
        self.bench.tick(Fate(call, after))

    @precondition(lambda self: self.bench.bar < self.bench.last_bar - 2)
    @rule(
        wanted=st.sampled_from((0.0, 1.0)),
        only=st.sampled_from(POINTS),
        nth=st.integers(1, 2),
        after=st.booleans(),
    )
    def a_deciding_tick_is_killed(self, wanted, only, nth, after):
        self.bench.want(wanted)
        self.bench.tick(Fate(nth, after, only))

    @precondition(lambda self: self.bench.bar < self.bench.last_bar - 2)
    @rule(state=st.sampled_from(TradingState), wanted=st.sampled_from((0.0, 1.0)))
    def a_person_intervenes_for_a_bar(self, state, wanted):
        self.bench.set_state(state)
        self.bench.want(wanted)
        self.bench.tick()
        self.bench.set_state(TradingState.ACTIVE)

    @invariant()
    def nothing_is_bought_twice(self):
        if hasattr(self, "bench"):
            assert not self.bench.overspent()
            assert not self.bench.oversold

    def teardown(self):
        if not hasattr(self, "bench"):
            return
        try:
            self.bench.calm_down()
            assert not self.bench.oversold
            found = self.bench.verdict()
            assert (found.lost, found.doubled, found.unknown_left) == (0, 0, 0)
            assert found.discrepancies == []
            assert found.audit_whole
            assert not self.bench.overspent()
            assert not self.bench.bare()
            assert not self.bench.unsold()
        finally:
            self.bench.close()


def run(examples: int, *phases: Phase, machine: type[Trading] = Trading) -> None:
    """Run the machine."""
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=examples,
            stateful_step_count=8,
            deadline=None,
            derandomize=True,
            database=None,
            report_multiple_bugs=False,
            phases=phases or (Phase.generate, Phase.shrink),
            suppress_health_check=list(HealthCheck),
        ),
    )


@pytest.mark.slow
@pytest.mark.timeout(BOUND_SECONDS)
def test_the_promise_holds_whatever_happens():
    """At most one order a decision; nothing lost; ledger and exchange equal; held is covered."""
    run(EXAMPLES)


@pytest.mark.slow
@pytest.mark.timeout(BOUND_SECONDS)
def test_it_holds_where_one_order_may_not_carry_a_position():
    """In parts, with limits that come and go, told or not."""
    run(EXAMPLES // 4, machine=Large)


class Bare(Trading):
    """Positions that nothing protects: an entry is one plain order."""

    protections = (Protection(),)
    entries = (None,)


class Covered(Trading):
    """Positions with a stop, or with stop and target."""

    protections = PROTECTIONS[1:]
    entries = (None,)


class Stopped(Trading):
    """Positions with a stop alone: what breaks those is found soonest."""

    protections = (Protection(stop_loss=0.04),)
    entries = (None,)


class Parted(Stopped):
    """Cancel and sale are two requests, and other people's coins lie in the account.

    Only requests fail: what else may happen makes the examples fewer that matter.
    """

    parted = True
    foreign = (50,)
    a_tick_is_killed = a_deciding_tick_is_killed = the_exchange_is_unwell = None
    a_person_intervenes_for_a_bar = time_passes = None


class Large(Trading):
    """Positions that one order may not carry, from their entry on."""

    limits = True


MUTANTS: dict[str, type[Trading]] = {
    "sends again what is unknown": Bare,
    "takes unknown for rejected": Stopped,
    "never asks what became of an order": Bare,
    "covers a sale in doubt though other coins lie there": Parted,
    "forgets fees in base": Bare,
    "never protects": Covered,
}
"""Each with the machine that finds it soonest."""


@pytest.mark.slow
@pytest.mark.timeout(BOUND_SECONDS)
@pytest.mark.parametrize("name", MUTANTS)
def test_a_broken_executor_is_caught(name, monkeypatch):
    """The machine finds an example that breaks the promise."""
    for module, attribute, broken in PATCHES[name]:
        monkeypatch.setattr(module, attribute, broken)
    with pytest.raises(AssertionError):
        run(MUTANT_EXAMPLES, Phase.generate, machine=MUTANTS[name])
