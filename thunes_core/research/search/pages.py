"""A study drawn for people.

Add here: a picture of a study. Keep out: searching.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from thunes_core.domain.parameters import ParameterSpace
from thunes_core.research.search.records import drawn_study
from thunes_core.research.search.trials import Tried

if TYPE_CHECKING:
    from optuna import Study
    from optuna.trial import FrozenTrial


def study_page(space: ParameterSpace, tried: Sequence[Tried]) -> str:
    """Draw a study as one HTML page that needs no network: history, slices, contours, importance.

    Trials without outcome are left out; where fewer than two are left the page says so.
    """
    if sum(t.outcome is not None for t in tried) < 2:
        return "<p>too few trials to draw</p>"
    drawn = [
        f.to_html(full_html=False, include_plotlyjs=n == 0, default_height="440px")
        for n, f in enumerate(_figures(drawn_study(space, tried)))
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
