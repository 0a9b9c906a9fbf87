"""Between our outcomes and Optuna's trials: what is told, what is read back, studies in memory.

A trial remembers its place in the search (`place`), for workers that share a study append out of
order.

Add here: a field that a trial carries. Keep out: where trials are kept.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from thunes_core.domain.parameters import ParameterSpace, Value
from thunes_core.research.search.samplers import distributions_of
from thunes_core.research.search.trials import Outcome, Tried

if TYPE_CHECKING:
    from optuna import Study
    from optuna.pruners import BasePruner
    from optuna.trial import FrozenTrial, Trial

FIGURES, PLACE = "figures", "place"
_RULES = "rules"
PRUNED_BELOW = 0.1
"""The Wilcoxon test's p-value below which a trial is given up (Optuna's default)."""


def memory_study(objectives: int = 1, *, pruned: bool = False) -> Study:
    """Make an empty study in memory; every objective is maximised."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    return optuna.create_study(
        directions=["maximize"] * objectives, pruner=_pruner() if pruned else None
    )


def _pruner() -> BasePruner:
    from optuna.exceptions import ExperimentalWarning
    from optuna.pruners import WilcoxonPruner

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        return WilcoxonPruner(p_threshold=PRUNED_BELOW)


def tell(study: Study, trial: Trial, outcome: Outcome | None, place: int) -> None:
    """Finish a trial with what it gave; None and what was pruned end as pruned."""
    from optuna.trial import TrialState

    trial.set_user_attr(PLACE, place)
    if outcome is None:
        study.tell(trial, state=TrialState.PRUNED)
        return
    if outcome.violation > 0:
        trial.set_constraint(_RULES, outcome.violation)
    trial.set_user_attr(FIGURES, dict(outcome.figures))
    if outcome.complete:
        study.tell(trial, [outcome.objective, *outcome.others])
    else:
        study.tell(trial, state=TrialState.PRUNED)


def place_of(trial: FrozenTrial) -> int:
    """Return a trial's place in its search."""
    return int(trial.user_attrs.get(PLACE, trial.number))


def in_order(trials: Iterable[FrozenTrial]) -> list[FrozenTrial]:
    """Return finished trials by place, one a place: the one that was there first."""
    found: dict[int, FrozenTrial] = {}
    for trial in trials:
        if trial.state.is_finished():
            found.setdefault(place_of(trial), trial)
    return [found[place] for place in sorted(found)]


def tried_of(trial: FrozenTrial) -> Tried:
    """Read back what a trial gave."""
    if FIGURES not in trial.user_attrs:
        return Tried(place_of(trial), trial.params, None)
    violation = trial.constraints.get(_RULES, 0.0)
    complete = trial.state.name == "COMPLETE"
    first, *others = trial.values if complete else [_mean(trial.intermediate_values)]
    figures = trial.user_attrs[FIGURES]
    outcome = Outcome(first, violation, figures, tuple(others), complete)
    return Tried(place_of(trial), trial.params, outcome)


def _mean(parts: Mapping[int, float]) -> float:
    return sum(parts.values()) / max(len(parts), 1)


def drawn_study(space: ParameterSpace, tried: Sequence[Tried]) -> Study:
    """Return a study of the first objective that has the trials with an outcome, to be drawn."""
    study = memory_study()
    study.add_trials(_frozen(space, t.values, t.outcome) for t in tried if t.outcome is not None)
    return study


def _frozen(space: ParameterSpace, values: Mapping[str, Value], outcome: Outcome) -> FrozenTrial:
    from optuna.trial import create_trial

    return create_trial(
        params=dict(values), distributions=distributions_of(space), value=outcome.objective
    )
