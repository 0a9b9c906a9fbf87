"""Parameter sets across a space and around one of its points, without a search.

Add here: another way to lay out points. Keep out: running them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from thunes_core.domain.parameters import Choice, Dimension, IntRange, ParameterSpace, Value


def to_unit(dimension: Dimension, value: Value) -> float:
    """Place a value on its dimension's scale from 0 (low) to 1 (high)."""
    if isinstance(dimension, Choice):
        return dimension.options.index(value) / max(len(dimension.options) - 1, 1)
    low, high, at = float(dimension.low), float(dimension.high), float(value)
    if dimension.log:
        low, high, at = math.log(low), math.log(high), math.log(at)
    return (at - low) / (high - low) if high > low else 0.0


def from_unit(dimension: Dimension, unit: float) -> Value:
    """Return the value nearest to `unit` in [0, 1] on the dimension's scale.

    >>> from_unit(IntRange(5, 60), 0.6)
    38
    """
    if isinstance(dimension, Choice):
        return dimension.options[
            min(int(unit * len(dimension.options)), len(dimension.options) - 1)
        ]
    low, high = float(dimension.low), float(dimension.high)
    if dimension.log:
        value = math.exp(math.log(low) + unit * (math.log(high) - math.log(low)))
    else:
        value = low + unit * (high - low)
    if isinstance(dimension, IntRange):
        steps = round((value - dimension.low) / dimension.step)
        most = (dimension.high - dimension.low) // dimension.step
        return dimension.low + min(steps, most) * dimension.step
    return min(max(value, dimension.low), dimension.high)


def even_sample(space: ParameterSpace, count: int, seed: int) -> list[dict[str, Value]]:
    """Return `count` points spread evenly over the space (a Latin hypercube), seeded.

    Combinations that a strategy would refuse are among them.
    """
    rng = np.random.default_rng(seed)
    units = {
        name: (rng.permutation(count) + rng.random(count)) / count for name in space.dimensions
    }
    return [
        {name: from_unit(d, float(units[name][i])) for name, d in space.dimensions.items()}
        for i in range(count)
    ]


def neighbours(
    space: ParameterSpace, values: Mapping[str, Value], reaches: Sequence[float] = (0.05, 0.1)
) -> list[dict[str, Value]]:
    """Return the points beside `values`: one dimension moved at a time, by shares of its range.

    A choice among options has no beside: it stays. Points that fall on `values` are left out.
    """
    found: list[dict[str, Value]] = []
    for name, dimension in space.dimensions.items():
        if isinstance(dimension, Choice):
            continue
        at = to_unit(dimension, values[name])
        for reach in reaches:
            for unit in (at - reach, at + reach):
                moved = {**values, name: from_unit(dimension, min(max(unit, 0.0), 1.0))}
                if moved[name] != values[name] and moved not in found:
                    found.append(moved)
    return found
