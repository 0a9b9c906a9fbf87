"""What a proposal gave, and which of many is chosen.

Add here: a rule of choice. Keep out: proposing, evaluating, Optuna.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from thunes_core.domain.parameters import Value

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one proposal gave: the objectives (higher is better) and by how much rules are broken.

    `objective` is the first, `others` the further ones of a search with several. `violation` above
    0 makes the trial infeasible, in whatever unit the rule has. A trial that was pruned is not
    `complete`: its objective is that of the parts it was run on.
    """

    objective: float
    violation: float = 0.0
    figures: Mapping[str, float] = field(default_factory=dict)
    others: tuple[float, ...] = ()
    complete: bool = True

    @property
    def feasible(self) -> bool:
        """True when every rule is kept and the trial was run to its end."""
        return self.complete and self.violation <= 0


@dataclass(frozen=True, slots=True)
class Tried:
    """One finished trial; `outcome` is None when the combination makes no sense."""

    number: int
    values: Mapping[str, Value]
    outcome: Outcome | None


def best(tried: Sequence[Tried]) -> Tried | None:
    """Return the feasible trial of highest objective, else the one least in breach, else None.

    With several objectives it is the trial of the feasible Pareto front that is nearest to the
    ideal point, each objective scaled to [0, 1] over the front. The earliest wins a tie, so that
    the answer does not depend on the order of equals.
    """
    done = [(t, t.outcome) for t in tried if t.outcome is not None]
    if not done:
        return None
    feasible = [(t, o) for t, o in done if o.feasible]
    if feasible and feasible[0][1].others:
        return _balanced(feasible)
    ranked = min(
        done,
        key=lambda pair: (not pair[1].complete, max(pair[1].violation, 0.0), -pair[1].objective),
    )
    return ranked[0]


def _balanced(feasible: Sequence[tuple[Tried, Outcome]]) -> Tried:
    """Return the point of the Pareto front nearest to its ideal."""
    values = np.array([(o.objective, *o.others) for _, o in feasible])
    front = values[_undominated(values)]
    low, high = front.min(axis=0), front.max(axis=0)
    scaled = (values - low) / np.where(high > low, high - low, 1.0)
    distance = np.where(_undominated(values), ((1.0 - scaled) ** 2).sum(axis=1), np.inf)
    return feasible[int(distance.argmin())][0]


def _undominated(values: Floats) -> npt.NDArray[np.bool_]:
    """Return which rows (trials, objectives) no other row is at least equal to and better once."""
    at_least = (values[:, None] >= values[None]).all(axis=-1)
    better = (values[:, None] > values[None]).any(axis=-1)
    return np.asarray(~(at_least & better).any(axis=0))
