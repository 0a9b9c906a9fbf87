"""Search of a parameter space with Optuna: seeded, in memory, persisted in batches, resumable.

Every block of trials draws from a generator seeded by (seed, block) alone, so that a search that
was killed and resumed proposes the same trials as one that was not. Finished trials are appended to
a journal file (Optuna's own format) a batch at a time; a later search of the same journal begins
with them and does not pay for them again.

Add here: a sampler, a stopping rule. This is the only importer of optuna. Keep out: backtests.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from thunes_core.domain.parameters import Choice, FloatRange, IntRange, ParameterSpace, Value
from thunes_core.errors import BadInput, StoreFailed

if TYPE_CHECKING:
    from optuna import Study
    from optuna.distributions import BaseDistribution
    from optuna.samplers import BaseSampler
    from optuna.trial import FrozenTrial, Trial

BLOCK_TRIALS = 10
BATCH_TRIALS = 5 * BLOCK_TRIALS
SAMPLERS = ("tpe", "random")
_CANDIDATES = 8
"""Points that TPE compares for one proposal: a third of Optuna's default costs a quarter less time
and finds as good an optimum on the flat tops that backtests have."""
_FIGURES, _RULES = "figures", "rules"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one proposal gave: the objective (higher is better) and by how much rules are broken.

    `violation` above 0 makes the trial infeasible, in whatever unit the rule has.
    """

    objective: float
    violation: float = 0.0
    figures: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Tried:
    """One finished trial; `outcome` is None when the combination makes no sense (pruned)."""

    number: int
    values: Mapping[str, Value]
    outcome: Outcome | None


Evaluate = Callable[[Mapping[str, Value]], Outcome | None]
Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class SearchOptions:
    """How to search: how many trials, from which seed, by which sampler, persisted where."""

    trials: int
    seed: int
    sampler: str = "tpe"
    journal: Path | None = None


def best(tried: Sequence[Tried]) -> Tried | None:
    """Return the feasible trial of highest objective, else the one least in breach, else None.

    The earliest wins a tie, so that the answer does not depend on order of equals.
    """
    done = [(t, t.outcome) for t in tried if t.outcome is not None]
    if not done:
        return None
    ranked = min(done, key=lambda pair: (max(pair[1].violation, 0.0), -pair[1].objective))
    return ranked[0]


def search(
    space: ParameterSpace,
    evaluate: Evaluate,
    options: SearchOptions,
    *,
    start_with: Sequence[Mapping[str, Value]] = (),
    progress: Progress | None = None,
) -> list[Tried]:
    """Propose and evaluate until `options.trials` are finished, those of the journal included.

    `start_with` are tried first (a champion, say). Returns all trials in order of their number.
    """
    journal = _Journal(options.journal) if options.journal else None
    known = journal.trials() if journal else []
    first = _resume_at(len(known), options.trials)
    study = _memory_study(known[:first])
    remembered = _Remembering(evaluate, known)
    distributions = {name: _distribution(d) for name, d in space.dimensions.items()}
    for values in start_with[first:]:
        study.enqueue_trial(dict(values), skip_if_exists=True)
    for number in range(first, options.trials):
        if number % BLOCK_TRIALS == 0:
            study.sampler = _sampler(options.sampler, options.seed, number)
        _tell(study, study.ask(distributions), remembered)
        if journal and (number + 1) % BATCH_TRIALS == 0:
            journal.persist(study.get_trials(deepcopy=False))
        if progress:
            progress(number + 1, options.trials)
    if journal:
        journal.persist(study.get_trials(deepcopy=False))
    return [_tried(t) for t in study.get_trials(deepcopy=False)]


def _resume_at(known: int, wanted: int) -> int:
    """Return where to go on: at the begin of a block, for its generator must be drawn from anew."""
    return wanted if known >= wanted else known // BLOCK_TRIALS * BLOCK_TRIALS


class _Remembering:
    """Evaluate each combination once, those of the journal not at all."""

    def __init__(self, evaluate: Evaluate, known: Sequence[FrozenTrial]) -> None:
        self._evaluate = evaluate
        self._outcomes = {_key(t.params): _tried(t).outcome for t in known}

    def __call__(self, values: Mapping[str, Value]) -> Outcome | None:
        """Return what the combination gave."""
        key = _key(values)
        if key not in self._outcomes:
            self._outcomes[key] = self._evaluate(values)
        return self._outcomes[key]


def _key(values: Mapping[str, Value]) -> tuple[Value, ...]:
    return tuple(value for _, value in sorted(values.items()))


def _tell(study: Study, trial: Trial, evaluate: Evaluate) -> None:
    from optuna.trial import TrialState

    outcome = evaluate(trial.params)
    if outcome is None:
        study.tell(trial, state=TrialState.PRUNED)
        return
    if outcome.violation > 0:
        trial.set_constraint(_RULES, outcome.violation)
    trial.set_user_attr(_FIGURES, dict(outcome.figures))
    study.tell(trial, outcome.objective)


def _tried(trial: FrozenTrial) -> Tried:
    if trial.value is None:
        return Tried(trial.number, trial.params, None)
    violation = trial.constraints.get(_RULES, 0.0)
    figures = trial.user_attrs.get(_FIGURES, {})
    return Tried(trial.number, trial.params, Outcome(trial.value, violation, figures))


def study_page(space: ParameterSpace, tried: Sequence[Tried]) -> str:
    """Draw a study as one HTML page that needs no network: history, slices, contours, importance.

    Trials without outcome are left out; where fewer than two are left the page says so.
    """
    done = [_frozen(space, t.values, t.outcome) for t in tried if t.outcome is not None]
    if len(done) < 2:
        return "<p>too few trials to draw</p>"
    figures = list(_figures(_memory_study(done)))
    drawn = [
        f.to_html(full_html=False, include_plotlyjs=n == 0, default_height="440px")
        for n, f in enumerate(figures)
    ]
    return "<html><meta charset='utf-8'><body>" + "\n".join(drawn) + "</body></html>"


def _figures(study: Study) -> Iterator[Any]:
    from optuna import visualization
    from optuna.importance import PedAnovaImportanceEvaluator

    named = {"target": _objective, "target_name": "objective (Sharpe)"}
    yield visualization.plot_optimization_history(study, **named)
    yield visualization.plot_slice(study, **named)
    yield visualization.plot_contour(study, **named)
    yield visualization.plot_parallel_coordinate(study, **named)
    yield visualization.plot_param_importances(study, evaluator=PedAnovaImportanceEvaluator())


def _objective(trial: FrozenTrial) -> float | None:
    return trial.value  # type: ignore[no-any-return]  # optuna is untyped here


def _frozen(space: ParameterSpace, values: Mapping[str, Value], outcome: Outcome) -> FrozenTrial:
    from optuna.trial import create_trial

    distributions = {name: _distribution(d) for name, d in space.dimensions.items()}
    return create_trial(params=dict(values), distributions=distributions, value=outcome.objective)


def _memory_study(trials: Sequence[FrozenTrial]) -> Study:
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.create_study(direction="maximize")
    study.add_trials(trials)
    return study


def _sampler(name: str, seed: int, number: int) -> BaseSampler:
    from optuna import samplers

    if name == "tpe":
        return samplers.TPESampler(
            seed=_trial_seed(seed, number), n_ei_candidates=_CANDIDATES, constant_liar=False
        )
    if name == "random":
        return samplers.RandomSampler(seed=_trial_seed(seed, number))
    raise BadInput(f"sampler: expected one of {', '.join(SAMPLERS)}; it was {name!r}; give one")


def _trial_seed(seed: int, number: int) -> int:
    """Mix seed and trial number into 32 bits, so that neighbours share nothing."""
    return int.from_bytes(hashlib.sha256(f"{seed}/{number}".encode()).digest()[:4])


def _distribution(dimension: IntRange | FloatRange | Choice) -> BaseDistribution:
    from optuna import distributions as d

    match dimension:
        case IntRange(low, high, step, log):
            return d.IntDistribution(low, high, log=log, step=step)
        case FloatRange(low, high, step, log):
            return d.FloatDistribution(low, high, log=log, step=step)
        case Choice(options):
            return d.CategoricalDistribution(options)


class _Journal:
    """A journal file of one study in Optuna's format, read whole and appended a batch at a time."""

    def __init__(self, path: Path) -> None:
        from optuna.storages.journal import JournalStorage

        self._lines = _journal_lines(path)
        storage = JournalStorage(self._lines)
        import optuna

        optuna.logging.set_verbosity(optuna.logging.ERROR)
        self._study = optuna.create_study(
            direction="maximize", storage=storage, study_name=path.stem, load_if_exists=True
        )
        self._persisted = len(self.trials())

    def trials(self) -> list[FrozenTrial]:
        """Return the finished trials, in order."""
        found: list[FrozenTrial] = self._study.get_trials(deepcopy=False)
        return found

    def persist(self, trials: Sequence[FrozenTrial]) -> None:
        """Append those of `trials` that are not in the file yet, with one synced write."""
        self._study.add_trials(trials[self._persisted :])
        self._persisted = len(trials)
        self._lines.flush()


def _journal_lines(path: Path) -> Any:
    """Make the journal backend that buffers appends until `flush`."""
    from optuna.storages.journal import BaseJournalBackend

    class Lines(BaseJournalBackend):  # type: ignore[misc]  # optuna is untyped here
        def __init__(self) -> None:
            self._logs = _read_lines(path)
            self._flushed = len(self._logs)

        def read_logs(self, log_number_from: int) -> list[dict[str, Any]]:
            return self._logs[log_number_from:]

        def append_logs(self, logs: list[dict[str, Any]]) -> None:
            self._logs += json.loads(json.dumps(logs))

        def flush(self) -> None:
            _append_lines(path, self._logs[self._flushed :])
            self._flushed = len(self._logs)

    return Lines()


def _read_lines(path: Path) -> list[dict[str, Any]]:
    """Read complete lines; a torn last one (a killed writer) is not there."""
    if not path.exists():
        return []
    text = path.read_bytes()
    whole = text[: text.rfind(b"\n") + 1]
    try:
        return [json.loads(line) for line in whole.splitlines()]
    except ValueError as error:
        raise StoreFailed(
            f"journal: expected lines of JSON in {path}; {error}; move the file away, "
            "its trials are then run again"
        ) from error


def _append_lines(path: Path, logs: Sequence[dict[str, Any]]) -> None:
    """Append whole lines and sync; a torn line of a killed writer is cut off first."""
    if not logs:
        return
    text = "".join(json.dumps(log, separators=(",", ":")) + "\n" for log in logs)
    path.parent.mkdir(parents=True, exist_ok=True)
    with _locked(path) as file:
        whole = file.read()
        file.truncate(whole.rfind(b"\n") + 1)
        file.seek(0, os.SEEK_END)
        file.write(text.encode())
        file.flush()
        os.fsync(file.fileno())


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[IO[bytes]]:
    with path.open("a+b") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        file.seek(0)
        yield file
