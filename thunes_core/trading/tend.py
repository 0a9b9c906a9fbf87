"""Look after what is held between two ticks: learn what happened, keep it protected. No decision.

What the account's events wake, and a start after a crash: a fill that was not protected yet, or a
stop that is gone, is found at once and not by the next tick.

Add here: something that must not wait for a tick. Keep out: deciding, entering.
"""

from __future__ import annotations

from dataclasses import dataclass

from thunes_core.domain.orders import Fill
from thunes_core.trading.clear_up import clear_up
from thunes_core.trading.floor import Floor
from thunes_core.trading.step import leased, open_desk, prices_of, reconciled, untraded
from thunes_core.trading.trade import protect
from thunes_core.trading.world import TradingPlan, World, parse_study


@dataclass(frozen=True, slots=True)
class Tended:
    """What was booked and said; `uncertain` as in `TickReport`."""

    fills: tuple[Fill, ...]
    notes: tuple[str, ...]
    uncertain: tuple[str, ...] = ()


def tend(world: World, plan: TradingPlan) -> Tended:
    """Reconcile, and make what rests at the exchange fit what is held.

    Errors as `thunes_core.trading.step.tick`; running it again is always safe.
    """
    studies = tuple(parse_study(key) for key in plan.studies)
    with leased(world) as journal:
        desk = open_desk(world, plan, journal, studies)
        seen = reconciled(desk, world.pause)
        floor = Floor(world, plan, desk, seen.account, prices_of(desk), seen.unresolved)
        held = untraded(floor, ())
        notes = [note for study in held for note in protect(floor, study)]
        cleared = clear_up(floor, held)
        return Tended(
            fills=tuple(desk.booked),
            notes=tuple(dict.fromkeys((*seen.notes, *desk.notes, *notes, *cleared.notes))),
            uncertain=cleared.uncertain,
        )
