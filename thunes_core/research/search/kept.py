"""Where studies are kept: the interface that every such place fulfils, and the one of none.

A study is worked off in blocks of trials. A worker claims a block, runs it and persists it whole;
a claim ends with the process that holds it, so that the block of a killed worker is taken over.

Add here: what a place must promise. Keep out: the places that last (journal, relational).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial


class Kept(Protocol):
    """The finished trials of one study, shared by all its workers."""

    def trials(self) -> list[FrozenTrial]:
        """Return all finished trials, those of other workers included, by place, one a place."""
        ...

    def claim(self, block: int, *, wait: bool) -> AbstractContextManager[bool]:
        """Hold a block against other workers; False when another has it and `wait` is False."""
        ...

    def persist(self, trials: Sequence[FrozenTrial]) -> None:
        """Append finished trials; they survive a power cut once this returns."""
        ...


@dataclass(frozen=True, slots=True)
class Counted:
    """All trials ever finished of one search: how many, and the Sharpe ratios that were measured.

    `search` is the search's own name inside its study.
    """

    search: str
    trials: int
    sharpes: tuple[float, ...]


class Studies(Protocol):
    """A place for many studies; small and picklable, so that it can be sent to workers."""

    def open(self, study: str, search: str, objectives: int) -> Kept:
        """Open one search of a study, making it where it is not yet."""
        ...

    def counted(self, study: str) -> list[Counted]:
        """Count the trials of every search of a study, finished or not."""
        ...


class Unkept:
    """Trials in memory alone, of one worker."""

    def __init__(self) -> None:
        self._trials: list[FrozenTrial] = []

    def trials(self) -> list[FrozenTrial]:
        """Return what was told to be kept."""
        return self._trials

    @contextmanager
    def claim(self, block: int, *, wait: bool) -> Iterator[bool]:  # noqa: ARG002 - nobody else asks
        """There is nobody else."""
        yield True

    def persist(self, trials: Sequence[FrozenTrial]) -> None:
        """Remember them as long as this lives."""
        self._trials = [*self._trials, *trials]


def count_of(search: str, figures: Sequence[Mapping[str, float] | None]) -> Counted:
    """Count a search by the figures of its trials, None where a combination was refused."""
    sharpes = (f["sharpe"] for f in figures if f and "sharpe" in f)
    return Counted(search, len(figures), tuple(s for s in sharpes if s == s))
