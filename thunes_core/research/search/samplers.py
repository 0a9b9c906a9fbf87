"""Samplers by name, their seeds, and how a space looks to Optuna.

Add here: a sampler. Keep out: the loop that asks it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from thunes_core.domain.parameters import Choice, FloatRange, IntRange, ParameterSpace, Value
from thunes_core.errors import BadInput
from thunes_core.research.neighbours import from_unit
from thunes_core.research.search.generations import next_generation
from thunes_core.research.search.trials import Tried

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution
    from optuna.samplers import BaseSampler

SAMPLERS = ("tpe", "random", "qmc", "nsgaii", "cmaes")
AT_ONCE = ("random", "qmc", "nsgaii", "cmaes")
"""Samplers whose proposals of one block do not depend on each other: they are run in one sweep."""
BLOCK_TRIALS = 10
"""Trials that are claimed, run and persisted together; for CMA-ES a generation."""
_CANDIDATES = 8
"""Points that TPE compares for one proposal: a third of Optuna's default costs a quarter less time
and finds as good an optimum on the flat tops that backtests have."""
_POPULATION = 20


def require_sampler(name: str, objectives: int = 1) -> None:
    """Raise `BadInput` unless there is such a sampler and it can follow so many objectives."""
    if name not in SAMPLERS:
        why = " (it needs torch, which THUNES does not bring)" if name == "gp" else ""
        raise BadInput(
            f"sampler: expected one of {', '.join(SAMPLERS)}; it was {name!r}{why}; give one"
        )
    if name == "cmaes" and objectives > 1:
        raise BadInput(
            f"sampler: expected one objective with cmaes; there are {objectives}; "
            "name one, or use tpe or nsgaii"
        )


def sampler_of(name: str, seed: int, first: int) -> BaseSampler:
    """Make the sampler of the block whose first trial is `first`."""
    from optuna import samplers

    mixed = _block_seed(seed, first)
    if name == "tpe":
        return samplers.TPESampler(seed=mixed, n_ei_candidates=_CANDIDATES, constant_liar=False)
    if name == "nsgaii":
        return samplers.NSGAIISampler(seed=mixed, population_size=_POPULATION)
    return samplers.RandomSampler(seed=mixed)


def given_points(
    name: str, space: ParameterSpace, seed: int, block: range, known: Sequence[Tried]
) -> Sequence[Mapping[str, Value]]:
    """Return the proposals of a block that are made at once: of Sobol and CMA-ES, else none.

    `known` are the finished trials that CMA-ES learns from.
    """
    if name == "qmc":
        return _sobol(space, seed, block.start, len(block))
    if name == "cmaes":
        mixed = _block_seed(seed, block.start)
        points = next_generation(space, known, seed=mixed, first=block.start, size=BLOCK_TRIALS)
        return points[: len(block)]
    return ()


def _sobol(
    space: ParameterSpace, seed: int, first: int, count: int
) -> Sequence[Mapping[str, Value]]:
    from scipy.stats.qmc import Sobol

    sequence = Sobol(len(space.dimensions), rng=np.random.default_rng(_block_seed(seed, 0)))
    if first:
        sequence.fast_forward(first)
    return [
        {n: from_unit(d, float(u)) for (n, d), u in zip(space.dimensions.items(), row, strict=True)}
        for row in np.vstack([sequence.random(1) for _ in range(count)])
    ]


def distributions_of(space: ParameterSpace) -> dict[str, BaseDistribution]:
    """Return the space as Optuna's distributions."""
    return {name: _distribution(d) for name, d in space.dimensions.items()}


def _block_seed(seed: int, first: int) -> int:
    """Mix seed and trial number into 32 bits, so that neighbours share nothing."""
    return int.from_bytes(hashlib.sha256(f"{seed}/{first}".encode()).digest()[:4])


def _distribution(dimension: IntRange | FloatRange | Choice) -> BaseDistribution:
    from optuna import distributions as d

    match dimension:
        case IntRange(low, high, step, log):
            return d.IntDistribution(low, high, log=log, step=step)
        case FloatRange(low, high, step, log):
            return d.FloatDistribution(low, high, log=log, step=step)
        case Choice(options):
            return d.CategoricalDistribution(options)
