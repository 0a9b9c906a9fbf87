"""When a search has found what there is to find: nothing better for long, or little left to gain.

Add here: a stopping rule. Keep out: proposing.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from thunes_core.errors import BadInput
from thunes_core.research.search.trials import Tried

CONFIDENCE = 0.9
LEAST_TRIALS = 20


@dataclass(frozen=True, slots=True)
class Stopping:
    """Rules that end a search early; 0 switches a rule off.

    `stagnation`: so many trials in a row without a better feasible one (with several objectives:
    without one that the front lacked). `regret`: what is left to gain, in the one objective's unit,
    is with 90 % confidence at most so much.
    """

    stagnation: int = 0
    regret: float = 0.0


def is_over(tried: Sequence[Tried], rules: Stopping, dimensions: int) -> bool:
    """Say whether a search that tried this (in order) has to stop."""
    if rules.stagnation and stagnant_for(tried) >= rules.stagnation:
        return True
    return rules.regret > 0 and regret_bound(tried, dimensions) <= rules.regret


def stagnant_for(tried: Sequence[Tried]) -> int:
    """Count the trials since the best feasible one; all of them when none was feasible.

    With several objectives: since one was found that no other feasible trial equals or beats in
    all of them.
    """
    front, since = list[tuple[float, ...]](), 0
    for one in tried:
        since += 1
        if one.outcome is None or not one.outcome.feasible:
            continue
        found = (one.outcome.objective, *one.outcome.others)
        if not any(_covers(known, found) for known in front):
            front, since = [found, *(k for k in front if not _covers(found, k))], 0
    return since


def _covers(one: tuple[float, ...], other: tuple[float, ...]) -> bool:
    return all(mine >= theirs for mine, theirs in zip(one, other, strict=True))


def require_one_objective(rules: Stopping, objectives: int) -> None:
    """Raise `BadInput` for a rule that several objectives have no meaning for."""
    if rules.regret > 0 and objectives > 1:
        raise BadInput(
            "search: expected one objective where a search ends by regret; there are "
            f"{objectives}; name one, or end it by stagnation"
        )


def regret_bound(tried: Sequence[Tried], dimensions: int) -> float:
    """Bound what the best of the space may lie above the best found; infinite below 20 trials.

    With y1 > y2 the two best distinct objectives of points drawn at random, the maximum of a
    function of d numbers, smooth around it, lies below y1 + (y1 − y2) / (p^(−2 / d) − 1) with
    confidence p. A sampler that crowds the optimum makes the bound smaller than it is at random.

    Source: L. de Haan, "Estimation of the Minimum of a Function Using Order Statistics", JASA 76
    (1981).
    """
    outcomes = [t.outcome.objective for t in tried if t.outcome is not None and t.outcome.feasible]
    values = sorted(set(outcomes), reverse=True)
    if len(outcomes) < LEAST_TRIALS or len(values) < 2:
        return math.inf
    share: float = CONFIDENCE ** (-2.0 / max(dimensions, 1)) - 1.0
    return (values[0] - values[1]) / share
