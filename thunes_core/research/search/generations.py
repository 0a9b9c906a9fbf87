"""CMA-ES a block at a time: every block of trials is one generation of the evolution.

What the strategy has learnt is told anew from the finished trials before each block. So a resumed
search proposes what one without a break would have, and nothing of it has to be stored: Optuna's
own sampler keeps it pickled in the study, where a worker would load whatever it finds.

Source: Hansen, "The CMA Evolution Strategy: A Tutorial" (2016); the package `cmaes`.

Add here: what concerns generations. Keep out: other samplers.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from thunes_core.domain.parameters import ParameterSpace, Value
from thunes_core.research.neighbours import from_unit, to_unit
from thunes_core.research.search.trials import Outcome, Tried

_FIRST_SPREAD = 1 / 6
"""Deviation of the first generation around the middle, as a share of each range (Optuna's)."""
_ATTEMPTS = 10
"""Draws outside the space that are drawn again, per dimension, before one is moved inside."""


def next_generation(
    space: ParameterSpace, known: Sequence[Tried], *, seed: int, first: int, size: int
) -> list[dict[str, Value]]:
    """Return the `size` points of the generation whose first trial has the place `first`.

    `known`: finished trials; those of whole generations before `first` are learnt from, in order.
    A choice among options is a line on which the options lie in their order.
    """
    from cmaes import CMA

    dimensions = space.dimensions
    evolution = CMA(
        mean=np.full(len(dimensions), 0.5),
        sigma=_FIRST_SPREAD,
        bounds=np.tile([0.0, 1.0], (len(dimensions), 1)),
        n_max_resampling=_ATTEMPTS * len(dimensions),
        seed=seed,
        population_size=size,
    )
    for generation in _whole(known, first, size):
        evolution.tell(_ranked(space, generation))
    points = (evolution.ask() for _ in range(size))
    return [
        {n: from_unit(d, float(u)) for (n, d), u in zip(dimensions.items(), point, strict=True)}
        for point in points
    ]


def _whole(known: Sequence[Tried], first: int, size: int) -> Iterator[list[Tried]]:
    by_place = {tried.number: tried for tried in known}
    for start in range(0, first, size):
        generation = [by_place[n] for n in range(start, start + size) if n in by_place]
        if len(generation) == size:
            yield generation


def _ranked(
    space: ParameterSpace, generation: Sequence[Tried]
) -> list[tuple[np.ndarray[tuple[int], np.dtype[np.float64]], float]]:
    """Return each point with its rank, 0 the best: the strategy looks at nothing but the order."""
    order = sorted(generation, key=lambda tried: (_worth(tried.outcome), tried.number))
    return [
        (np.array([to_unit(d, t.values[n]) for n, d in space.dimensions.items()]), float(rank))
        for rank, t in enumerate(order)
    ]


def _worth(outcome: Outcome | None) -> tuple[bool, bool, float, float]:
    """Return what sorts outcomes from good to bad: kept rules first, refused combinations last."""
    if outcome is None:
        return True, True, 0.0, 0.0
    return False, not outcome.complete, max(outcome.violation, 0.0), -outcome.objective
