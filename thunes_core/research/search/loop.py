"""The loop: claim a block, propose and evaluate its trials, persist it, until enough are finished.

Add here: what concerns the order of proposals. Keep out: samplers, places where studies are kept.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from thunes_core.domain.parameters import ParameterSpace, Value
from thunes_core.research.search.kept import Kept, Studies, Unkept
from thunes_core.research.search.records import memory_study, place_of, tell, tried_of
from thunes_core.research.search.samplers import (
    AT_ONCE,
    BLOCK_TRIALS,
    distributions_of,
    given_points,
    require_sampler,
    sampler_of,
)
from thunes_core.research.search.stopping import Stopping, is_over, require_one_objective
from thunes_core.research.search.trials import Outcome, Tried

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial, Trial

Values = Mapping[str, Value]
Progress = Callable[[int, int], None]


class Evaluate:
    """How proposals become outcomes: one at a time, several at once, or part after part.

    `one` is enough. `many` runs independent proposals together. `parts` yields an outcome per part
    in an order of its own for every proposal, (part, outcome); a trial that is clearly worse than
    the best after some parts is given up.
    """

    def __init__(
        self,
        one: Callable[[Values], Outcome | None],
        many: Callable[[Sequence[Values]], Sequence[Outcome | None]] | None = None,
        parts: Callable[[Values], Iterator[tuple[int, Outcome]] | None] | None = None,
    ) -> None:
        self.one, self.many, self.parts = one, many, parts


@dataclass(frozen=True, slots=True)
class SearchOptions:
    """How to search: how many trials, from which seed, by which sampler, until when, kept where.

    `study` and `name` say which search of `studies` it is; without `studies` nothing is kept.
    """

    trials: int
    seed: int
    sampler: str = "tpe"
    objectives: int = 1
    stopping: Stopping = field(default_factory=Stopping)
    studies: Studies | None = None
    study: str = "study"
    name: str = "search"


def search(
    space: ParameterSpace,
    evaluate: Evaluate,
    options: SearchOptions,
    *,
    start_with: Sequence[Values] = (),
    progress: Progress | None = None,
) -> list[Tried]:
    """Propose and evaluate until `options.trials` are finished, those already kept included.

    `start_with` are tried first (a champion, say). Returns all trials in order of their place;
    fewer than asked where a stopping rule ended the search. One worker with the same seed gives
    the same trials, interrupted or not. Workers that share a study divide its blocks: the samplers
    `random` and `qmc` then still give the same trials, the others learn from what is there.
    """
    require_sampler(options.sampler, options.objectives)
    require_one_objective(options.stopping, options.objectives)
    kept: Kept = Unkept()
    if options.studies is not None:
        kept = options.studies.open(options.study, options.name, options.objectives)
    run = _Run(space, evaluate, options, start_with)
    with closing(_blocks(kept, options, len(space.dimensions))) as blocks:
        for block in blocks:
            known = kept.trials()
            kept.persist(run.block(block, known))
            if progress:
                progress(min(len(known) + BLOCK_TRIALS, options.trials), options.trials)
    return [tried_of(t) for t in kept.trials() if place_of(t) < options.trials]


def _blocks(kept: Kept, options: SearchOptions, dimensions: int) -> Generator[range]:
    """Yield blocks of places that were claimed, until none is open or a rule ends the search."""
    while blocks := _open_blocks(kept, options.trials):
        with _claimed(kept, blocks) as block:
            if block not in _open_blocks(kept, options.trials):
                continue  # its holder finished it while we waited
            before = [tried_of(t) for t in kept.trials() if place_of(t) < block.start]
            if is_over(before, options.stopping, dimensions):
                return
            yield block


def _open_blocks(kept: Kept, wanted: int) -> list[range]:
    """Return the blocks that have a place without a trial."""
    done = {place_of(trial) for trial in kept.trials()}
    starts = range(0, wanted, BLOCK_TRIALS)
    blocks = (range(first, min(first + BLOCK_TRIALS, wanted)) for first in starts)
    return [block for block in blocks if not done.issuperset(block)]


@contextmanager
def _claimed(kept: Kept, blocks: Sequence[range]) -> Iterator[range]:
    """Hold the first block that nobody holds; where all are held, wait for the first."""
    for block in blocks:
        with kept.claim(block.start // BLOCK_TRIALS, wait=False) as ours:
            if ours:
                yield block
                return
    with kept.claim(blocks[0].start // BLOCK_TRIALS, wait=True):
        yield blocks[0]


class _Run:
    """One worker's search: a study in memory that learns what others found before each block."""

    def __init__(
        self,
        space: ParameterSpace,
        evaluate: Evaluate,
        options: SearchOptions,
        start_with: Sequence[Values],
    ) -> None:
        self._space, self._evaluate, self._options = space, evaluate, options
        self._study = memory_study(options.objectives, pruned=evaluate.parts is not None)
        self._distributions = distributions_of(space)
        self._start_with = start_with
        self._held: set[int] = set()
        self._outcomes: dict[tuple[Value, ...], Outcome | None] = {}

    def block(self, block: range, known: Sequence[FrozenTrial]) -> list[FrozenTrial]:
        """Propose and evaluate the trials of one block; return them finished."""
        self._learn(block, known)
        options, study = self._options, self._study
        study.sampler = sampler_of(options.sampler, options.seed, block.start)
        first = [*self._start_with[block.start : block.stop]] or given_points(
            options.sampler, self._space, options.seed, block, [tried_of(t) for t in known]
        )
        for values in first:
            study.enqueue_trial(dict(values))
        begun = len(study.get_trials(deepcopy=False)) - len(first)
        together = options.sampler in AT_ONCE and self._evaluate.many is not None
        if together and self._evaluate.parts is None:
            self._together(block)
        else:
            for place in block:
                self._alone(place)
        self._held.update(block)
        return list(study.get_trials(deepcopy=False)[begun:])

    def _learn(self, block: range, known: Sequence[FrozenTrial]) -> None:
        """Take in what is kept and not yet held; trials of the block itself only as answers."""
        for trial in known:
            place = place_of(trial)
            self._outcomes.setdefault(_key(trial.params), tried_of(trial).outcome)
            if place not in self._held and place not in block:
                self._study.add_trial(trial)
                self._held.add(place)

    def _alone(self, place: int) -> None:
        trial = self._study.ask(self._distributions)
        if self._evaluate.parts is not None:
            outcome = _by_parts(trial, self._evaluate.parts)
        else:
            outcome = self._remembered([trial.params])[0]
        tell(self._study, trial, outcome, place)

    def _together(self, block: range) -> None:
        asked = [self._study.ask(self._distributions) for _ in block]
        outcomes = self._remembered([trial.params for trial in asked])
        for place, trial, outcome in zip(block, asked, outcomes, strict=True):
            tell(self._study, trial, outcome, place)

    def _remembered(self, proposals: Sequence[Values]) -> list[Outcome | None]:
        """Evaluate each combination once, those that are kept not at all."""
        fresh = {_key(v): v for v in proposals if _key(v) not in self._outcomes}
        if self._evaluate.many is not None and len(fresh) > 1:
            found = self._evaluate.many(list(fresh.values()))
        else:
            found = [self._evaluate.one(values) for values in fresh.values()]
        self._outcomes.update(zip(fresh, found, strict=True))
        return [self._outcomes[_key(values)] for values in proposals]


def _by_parts(
    trial: Trial, parts: Callable[[Values], Iterator[tuple[int, Outcome]] | None]
) -> Outcome | None:
    """Run part after part until the pruner gives the trial up; the objective is the parts' mean."""
    steps = parts(trial.params)
    if steps is None:
        return None
    seen: list[Outcome] = []
    for part, outcome in steps:
        seen.append(outcome)
        trial.report(outcome.objective, part)
        if trial.should_prune():
            return _joined(seen, complete=False)
    return _joined(seen, complete=True)


def _joined(seen: Sequence[Outcome], *, complete: bool) -> Outcome:
    """Average the parts; a rule is broken by what its breaches amount to on average."""
    count = len(seen)
    names = seen[0].figures
    return Outcome(
        sum(o.objective for o in seen) / count,
        sum(o.violation for o in seen) / count,
        {name: sum(o.figures[name] for o in seen) / count for name in names},
        complete=complete,
    )


def _key(values: Values) -> tuple[Value, ...]:
    return tuple(value for _, value in sorted(values.items()))
