"""From lines to yes and no: strictly above, and latched on between two events.

Add here: a way of turning indicators into states. Keep out: thresholds of a strategy.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from thunes_core.indicators.averages import Line, parts

Flags = npt.NDArray[np.bool_]

ROUNDING = 1e-14
"""Relative noise of a mean of float64 prices; real prices on ticks differ by 1e-12 or more."""

SEED = 1e-7
"""Relative weight of the beginning in a recursive average after its warm-up."""


def above(line: Line, other: Line, tolerance: float = ROUNDING) -> Flags:
    """Tell where `line` exceeds `other` by more than `tolerance` × |other|; NaN is not above.

    Equal means that were rounded differently are equal: on a constant price nothing crosses.
    """
    flags = np.empty(len(line), np.bool_)
    for part in parts(len(line)):
        margin = np.abs(other[part])
        margin *= tolerance
        margin += other[part]
        np.greater(line[part], margin, out=flags[part])
    return flags


def latched(enter: Flags, leave: Flags, memory: int) -> Flags:
    """Tell where the last `enter` was at most `memory` bars ago, with no `leave` at or after it.

    The bound makes the state a function of a finite past, so that a process that starts today
    agrees with one that ran for years (semantics §2).
    """
    bar = np.arange(len(enter))
    entered = np.maximum.accumulate(np.where(enter, bar, -1 - memory))
    left = np.maximum.accumulate(np.where(leave, bar, -1 - memory))
    return (entered > left) & (bar - entered <= memory)
