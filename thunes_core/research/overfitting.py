"""How likely a choice is luck: probability of backtest overfitting, spread of the choices.

Add here: a measure of overfitting. Keep out: thresholds, verdicts (evidence).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, islice

import numpy as np
import numpy.typing as npt

from thunes_core.domain.parameters import Choice, Dimension, ParameterSpace, Value
from thunes_core.errors import BadInput
from thunes_core.research.neighbours import to_unit
from thunes_core.research.splits import combinatorial_splits

Floats = npt.NDArray[np.float64]
_SPLITS_AT_ONCE = 512


@dataclass(frozen=True, slots=True)
class Overfitting:
    """What CSCV says of choosing the best: how often it is overfitted, how often it then loses.

    `probability`: share of splits in which the in-sample best is at or below the median out of
    sample. `loss`: share in which it earns nothing or less there.
    """

    probability: float
    loss: float


def pbo(returns: npt.ArrayLike, blocks: int = 12) -> float:
    """Return the probability of backtest overfitting; see `overfitting`."""
    return overfitting(returns, blocks).probability


def overfitting(returns: npt.ArrayLike, blocks: int = 12) -> Overfitting:
    """Return the probability of backtest overfitting by CSCV (semantics §5), and that of loss.

    `returns`: (periods, trials), one column per trial. Rows are cut into `blocks` (even) runs of
    equal length, as near as possible; each choice of half of them is once the sample in which the
    trial of highest Sharpe is chosen, and its rank among N in the other half gives
    ω = rank / (N + 1); the answer is the share of logit(ω) <= 0. A trial without spread has
    Sharpe 0; trials that tie share the mean rank. Raises `BadInput` for an odd number of blocks,
    fewer than two trials, fewer than two rows a block, or values that are not finite.

    Source: Bailey, Borwein, López de Prado, Zhu, "The Probability of Backtest Overfitting" (2015).
    """
    values = np.asarray(returns, dtype=float)
    _require_matrix(values, blocks)
    edges = np.linspace(0, len(values), blocks + 1).astype(int)
    sums = np.add.reduceat(values, edges[:-1], axis=0)
    squares = np.add.reduceat(values**2, edges[:-1], axis=0)
    counts = np.diff(edges).astype(float)
    below = lost = total = 0
    for chosen in _halves(blocks):
        inside = _sharpe(chosen @ counts, chosen @ sums, chosen @ squares)
        rest = 1.0 - chosen
        outside = _sharpe(rest @ counts, rest @ sums, rest @ squares)
        best = np.take_along_axis(outside, inside.argmax(axis=1)[:, None], axis=1)
        below += int((_relative_rank(best, outside) <= 0.5).sum())
        lost += int((best <= 0).sum())
        total += len(chosen)
    return Overfitting(below / total, lost / total)


def _require_matrix(values: Floats, blocks: int) -> None:
    fits = values.ndim == 2 and values.shape[1] >= 2 and np.isfinite(values).all()
    if blocks < 2 or blocks % 2 or not fits or len(values) < 2 * blocks:
        raise BadInput(
            "pbo: expected a matrix of finite returns with at least two trials, an even number of "
            f"blocks and two rows a block; it was {values.shape} in {blocks} blocks; correct them"
        )


def _halves(blocks: int) -> Iterator[Floats]:
    """Yield arrays (splits, blocks) of 0 and 1: all ways to choose half, some at a time."""
    every = combinations(range(blocks), blocks // 2)
    while some := list(islice(every, _SPLITS_AT_ONCE)):
        chosen = np.zeros((len(some), blocks))
        np.put_along_axis(chosen, np.array(some), 1.0, axis=1)
        yield chosen


def _sharpe(counts: Floats, sums: Floats, squares: Floats) -> Floats:
    """Return mean / std(ddof=1) from sums, (splits, trials); 0 where there is no spread."""
    n = counts[:, None]
    mean = sums / n
    variance = np.maximum(squares - n * mean**2, 0.0) / (n - 1.0)
    flat = variance <= 1e-12 * np.maximum(squares / n, 1e-300)
    return np.asarray(np.where(flat, 0.0, mean / np.sqrt(np.where(flat, 1.0, variance))))


def _relative_rank(best: Floats, outside: Floats) -> Floats:
    """Return ω of `best` (splits, 1) among `outside`, per split."""
    below = (outside < best).sum(axis=1)
    equal = (outside == best).sum(axis=1)
    rank = below + (equal + 1.0) / 2.0
    return np.asarray(rank / (outside.shape[1] + 1.0))


def cross_validated(
    returns: npt.ArrayLike, *, groups: int = 6, tested: int = 2, purge: int = 1, embargo: int = 0
) -> Floats:
    """Return the out-of-sample Sharpe (per period) of every combinatorial purged split.

    `returns`: (periods, trials). For each choice of `tested` of `groups` blocks the trial of
    highest Sharpe outside them, `purge` periods apart and `embargo` more after them, is measured
    inside them. Raises `BadInput` when a side of a split has fewer than two periods.

    Source: López de Prado, "Advances in Financial Machine Learning" (2018), ch. 7 and 12.
    """
    values = np.asarray(returns, dtype=float)
    outcomes = []
    for trains, tests in combinatorial_splits(
        len(values), groups=groups, tested=tested, purge=purge, embargo=embargo
    ):
        if min(sum(map(len, trains)), sum(map(len, tests))) < 2:
            raise BadInput(
                f"cross-validation: expected periods to train on beside {tested} of {groups} "
                f"groups, {purge} of purge and {embargo} of embargo; {len(values)} periods leave "
                "none; give a longer history, or fewer groups"
            )
        inside = _sharpe_of(np.concatenate([values[t.start : t.stop] for t in trains]))
        outside = _sharpe_of(np.concatenate([values[t.start : t.stop] for t in tests]))
        outcomes.append(outside[int(inside.argmax())])
    return np.array(outcomes)


def _sharpe_of(values: Floats) -> Floats:
    ones = np.array([float(len(values))])
    sums, squares = values.sum(axis=0)[None], (values**2).sum(axis=0)[None]
    return np.asarray(_sharpe(ones, sums, squares)[0])


def parameter_spread(space: ParameterSpace, choices: Sequence[Mapping[str, Value]]) -> float:
    """Return how far the chosen values scatter over folds: 0 all equal, 1 as far as can be.

    The mean over dimensions of the population standard deviation of the values, on a scale where
    the dimension runs from 0 to 1, over the largest there can be (0.5). For a choice among options
    it is the share of folds that differ from the commonest. NaN without choices.
    """
    if not choices:
        return math.nan
    return float(
        np.mean([_spread(d, [c[name] for c in choices]) for name, d in space.dimensions.items()])
    )


def _spread(dimension: Dimension, values: Sequence[Value]) -> float:
    if isinstance(dimension, Choice):
        return 1.0 - max(values.count(v) for v in set(values)) / len(values)
    scaled = [to_unit(dimension, value) for value in values]
    return float(np.std(scaled)) / 0.5
