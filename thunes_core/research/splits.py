"""Splits of a span of bars: walk-forward folds, purged, and the newest training window.

Spans are row numbers of a sorted frame of bars, end excluded; no split looks at a value.

Add here: a way to cut time (semantics §6). Keep out: what is fitted on the pieces.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations, pairwise

from thunes_core.errors import BadInput

SMALLEST_SPAN_BARS = 10


@dataclass(frozen=True, slots=True)
class Span:
    """Rows `start` (included) to `stop` (excluded)."""

    start: int
    stop: int

    def __len__(self) -> int:
        """Count the rows."""
        return self.stop - self.start


@dataclass(frozen=True, slots=True)
class Split:
    """One fold: parameters are chosen on `train`, judged on `test`; the purge lies between."""

    number: int
    train: Span
    test: Span


@dataclass(frozen=True, slots=True)
class Plan:
    """All folds of a walk-forward, and the newest training window for the final fit."""

    splits: tuple[Split, ...]
    newest: Span


def walk_forward_plan(
    bars: int, *, folds: int = 6, train_share: float = 0.4, purge: int = 0, anchored: bool = False
) -> Plan:
    """Cut `bars` rows into `folds` tests that tile everything after the first training window.

    The first training window has `train_share` of the rows. Each later one ends `purge` rows before
    its test and has the same length (rolling) or begins at row 0 (anchored). Raises `BadInput` when
    a window would have fewer than `SMALLEST_SPAN_BARS` rows.

    >>> plan = walk_forward_plan(100, folds=3, train_share=0.4, purge=0)
    >>> [(s.train.start, s.train.stop, s.test.start, s.test.stop) for s in plan.splits]
    [(0, 40, 40, 60), (20, 60, 60, 80), (40, 80, 80, 100)]
    """
    length = round(bars * train_share)
    first = length + purge
    edges = [first + (bars - first) * i // folds for i in range(folds + 1)] if folds > 0 else []
    _require_room(bars, length, edges, purge)
    splits = tuple(
        Split(
            number,
            Span(0 if anchored else start - purge - length, start - purge),
            Span(start, stop),
        )
        for number, (start, stop) in enumerate(pairwise(edges), 1)
    )
    return Plan(splits, Span(0 if anchored else bars - length, bars))


def _require_room(bars: int, length: int, edges: list[int], purge: int) -> None:
    shortest = min((b - a for a, b in pairwise(edges)), default=0)
    if purge < 0 or min(length, shortest) < SMALLEST_SPAN_BARS:
        raise BadInput(
            f"walk-forward: expected at least {SMALLEST_SPAN_BARS} bars in every training and test "
            f"window; {bars} bars give {max(length, 0)} and {max(shortest, 0)} with a purge of "
            f"{purge}; give a longer history or fewer folds"
        )


def combinatorial_splits(
    bars: int, *, groups: int = 6, tested: int = 2, purge: int = 0, embargo: int = 0
) -> Iterator[tuple[tuple[Span, ...], tuple[Span, ...]]]:
    """Yield (train spans, test spans) of combinatorial purged cross-validation.

    Rows are cut into `groups` blocks; every choice of `tested` of them is once the test. `purge`
    rows before and `purge + embargo` rows after each tested block are left out of training.
    """
    edges = [bars * i // groups for i in range(groups + 1)]
    blocks = [Span(a, b) for a, b in pairwise(edges)]
    for chosen in combinations(range(groups), tested):
        tests = tuple(blocks[i] for i in chosen)
        yield tuple(_outside(bars, tests, purge, embargo)), tests


def _outside(bars: int, tests: tuple[Span, ...], purge: int, embargo: int) -> Iterator[Span]:
    start = 0
    for test in tests:
        if test.start - purge > start:
            yield Span(start, test.start - purge)
        start = max(start, test.stop + purge + embargo)
    if start < bars:
        yield Span(start, bars)
