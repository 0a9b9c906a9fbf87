"""Classifiers of the next move: fitted with scikit-learn, handed out in plain numbers.

Choosing hyper-parameters looks only at out-of-fold probabilities: training rows are cut into
blocks, each predicted by a model that saw none of it and nothing within a label's reach of it.

Add here: a kind of classifier. This is the only importer of sklearn. Keep out: labels, features.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from thunes_core.indicators.averages import Line
from thunes_core.indicators.columns import Columns
from thunes_core.indicators.features import feature_matrix, feature_names
from thunes_core.research.drift import deciles_of
from thunes_core.research.labels import triple_barrier
from thunes_core.research.splits import combinatorial_splits
from thunes_core.strategies.learned_direction import LearnedDirection

if TYPE_CHECKING:
    from sklearn.calibration import CalibratedClassifierCV
    from sklearn.pipeline import Pipeline

Flags = npt.NDArray[np.bool_]
BLOCKS = 4
LEAST_ROWS = 200
TREES, LEAVES = 30, 6
_SEED = 7


@dataclass(frozen=True, slots=True)
class Examples:
    """Rows that a classifier may learn from: features, labels, and which rows have both."""

    features: Line
    labels: Line
    known: Flags


def examples(columns: Columns, strategy: LearnedDirection, first: int = 0) -> Examples:
    """Return the examples of bars from row `first` on; rows before it are warm-up alone."""
    features = feature_matrix(columns)
    labels = triple_barrier(columns, strategy.horizon, strategy.barrier)
    known = np.isfinite(features).all(axis=1) & np.isfinite(labels)
    known[:first] = False
    return Examples(features, labels, known)


def out_of_fold(found: Examples, strategy: LearnedDirection) -> Line | None:
    """Return a score per row from models that saw nothing near it; None when too little is known.

    Rows without features are NaN. Between a block and its training lie `horizon` + 1 rows.
    """
    rows = np.flatnonzero(found.known)
    if len(rows) < LEAST_ROWS:
        return None
    scores = np.full(len(found.labels), np.nan)
    for training, block in _purged(rows, strategy.horizon + 1):
        if len(np.unique(found.labels[training])) < 2:
            return None
        model = _fit(found, training, strategy)
        scores[block] = _score(model, found.features[block])
    return scores


def _purged(rows: npt.NDArray[np.int64], purge: int) -> Iterator[tuple[Any, Any]]:
    """Yield (training rows, rows of one block), purged on both sides."""
    for trains, (test,) in combinatorial_splits(len(rows), groups=BLOCKS, tested=1, purge=purge):
        training = np.concatenate([rows[t.start : t.stop] for t in trains])
        yield training, rows[test.start : test.stop]


def calibrated(scores: Line, labels: Line) -> tuple[float, float]:
    """Fit slope and offset of the probability to out-of-fold scores (Platt 1999)."""
    from sklearn.linear_model import LogisticRegression

    known = np.isfinite(scores)
    platt = LogisticRegression(C=1e6).fit(scores[known][:, None], labels[known])
    return max(float(platt.coef_[0, 0]), 0.0), float(platt.intercept_[0])


def out_of_fold_probability(found: Examples, strategy: LearnedDirection) -> Line | None:
    """Return the calibrated probability per row by `out_of_fold` scores; None as there."""
    scores = out_of_fold(found, strategy)
    if scores is None:
        return None
    slope, offset = calibrated(scores, found.labels)
    return 1.0 / (1.0 + np.exp(-(slope * scores + offset)))


@dataclass(frozen=True, slots=True)
class FittedModel:
    """A model in plain numbers (JSON), and the same as scikit-learn's own objects in skops."""

    document: str
    pipeline: bytes


def fitted(columns: Columns, first: int, strategy: LearnedDirection) -> FittedModel | None:
    """Fit on all known rows from `first` on; None when there is too little to learn from.

    The pipeline scales and classifies; its calibration is fitted to predictions of purged folds.
    """
    from skops import io

    found = examples(columns, strategy, first)
    rows = np.flatnonzero(found.known)
    model = _fit_calibrated(found, rows, strategy)
    if model is None:
        return None
    (only,) = model.calibrated_classifiers_
    document = {
        "kind": strategy.kind,
        "features": list(feature_names()),
        "platt": _platt(only.calibrators[0]),
        "deciles": [[_short(v) for v in row] for row in deciles_of(found.features[rows])],
        **_numbers(only.estimator, strategy.kind),
    }
    text = json.dumps(document, separators=(",", ":"), allow_nan=False)
    return FittedModel(text, io.dumps(model))


def _fit_calibrated(
    found: Examples, rows: npt.NDArray[np.int64], strategy: LearnedDirection
) -> CalibratedClassifierCV | None:
    """Fit the pipeline on all rows and its calibration on what purged folds predict (Platt)."""
    from sklearn.calibration import CalibratedClassifierCV

    if len(rows) < LEAST_ROWS:
        return None
    folds = list(_purged(np.arange(len(rows)), strategy.horizon + 1))
    labels = found.labels[rows]
    if any(len(np.unique(labels[inside])) < 2 for inside, _ in folds):
        return None
    model = CalibratedClassifierCV(_unfitted(strategy), method="sigmoid", cv=folds, ensemble=False)
    with _one_thread():
        model.fit(found.features[rows], labels)
    return model.set_params(cv=None)  # the folds are as long as the history


def _platt(calibrator: Any) -> list[float]:
    """Return slope and offset of the probability.

    Scores that say the opposite of what came say nothing: their slope is set to 0, in the
    calibrator too.
    """
    calibrator.a_ = min(float(calibrator.a_), 0.0)
    return [-calibrator.a_, -float(calibrator.b_)]


def _fit(found: Examples, rows: npt.NDArray[np.int64], strategy: LearnedDirection) -> Pipeline:
    with _one_thread():
        return _unfitted(strategy).fit(found.features[rows], found.labels[rows])


def _one_thread() -> AbstractContextManager[Any]:
    """Hold libraries to one order of summing: the same model on any machine."""
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

    limits: AbstractContextManager[Any] = threadpool_limits(1)
    return limits


def _unfitted(strategy: LearnedDirection) -> Pipeline:
    from sklearn.ensemble import HistGradientBoostingClassifier
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    if strategy.kind == "logistic":
        return make_pipeline(StandardScaler(), LogisticRegression(C=strategy.strength))
    trees = HistGradientBoostingClassifier(
        max_iter=TREES,
        max_leaf_nodes=LEAVES,
        learning_rate=0.1,
        l2_regularization=1.0 / strategy.strength,
        early_stopping=False,
        random_state=_SEED,
    )
    return make_pipeline(StandardScaler(), trees)


def _score(pipeline: Pipeline, features: Line) -> Line:
    return np.asarray(pipeline.decision_function(features), dtype=float)


def _numbers(pipeline: Pipeline, kind: str) -> Mapping[str, Any]:
    """Return all numbers that a prediction needs."""
    scaler, last = pipeline[0], pipeline[-1]
    scaling = {"mean": scaler.mean_.tolist(), "scale": scaler.scale_.tolist()}
    if kind == "boosting":
        baseline = float(np.ravel(last._baseline_prediction)[0])
        trees = [_tree(p[0].nodes) for p in last._predictors]
        return {**scaling, "trees": trees, "baseline": baseline}
    weights = last.coef_[0].tolist()
    return {**scaling, "weights": weights, "bias": float(last.intercept_[0])}


def _tree(nodes: Any) -> list[list[float]]:
    """Return rows (feature or -1, threshold, left, right, value) of one tree."""
    return [
        [-1, 0, 0, 0, float(n["value"])]
        if n["is_leaf"]
        else [
            int(n["feature_idx"]),
            float(n["num_threshold"]),
            int(n["left"]),
            int(n["right"]),
            0,
        ]
        for n in nodes
    ]


def _short(value: float) -> float:
    return float(f"{value:.6g}")
