"""A fitted classifier in plain numbers: read strictly, applied without any library of models.

The document is JSON: `kind`, `features` (their names), `platt` (slope and offset of calibration),
`mean` and `scale` of each feature, `deciles` (of each where it was fitted, for drift), and the
numbers of its kind.

Add here: another kind of model. Keep out: fitting.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from thunes_core.indicators.averages import Line
from thunes_core.indicators.features import feature_names

KINDS = ("logistic", "boosting")
MAX_MODEL_CHARACTERS = 200_000
_KEYS = {"kind", "features", "platt", "deciles", "mean", "scale"}
_LOGISTIC, _BOOSTING = {"weights", "bias"}, {"trees", "baseline"}


@lru_cache(maxsize=32)
def read_model(text: str) -> Mapping[str, Any]:
    """Read a model's document strictly, or raise `ValueError`: known keys, finite numbers."""
    if len(text) > MAX_MODEL_CHARACTERS:
        raise ValueError(f"expected a model of at most {MAX_MODEL_CHARACTERS} characters")
    try:
        document = json.loads(text, parse_constant=_refuse)
    except ValueError as error:
        raise ValueError(f"expected a model as JSON of finite numbers; {error}") from error
    own = {"logistic": _LOGISTIC, "boosting": _BOOSTING}.get(str(_kind(document)), set())
    if not own or set(document) != _KEYS | own:
        raise ValueError("expected a model with exactly the keys of its kind")
    if tuple(document["features"]) != feature_names():
        raise ValueError("expected a model of the present features; fit it again")
    if len(document["platt"]) != 2 or not all(map(_is_number, document["platt"])):
        raise ValueError("expected two numbers in platt")
    return {**document, **_arrays(document)}


def _kind(document: object) -> object:
    return document.get("kind") if isinstance(document, dict) else None


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and math.isfinite(value)


def _refuse(name: str) -> float:
    raise ValueError(f"{name} is not a number")


def _arrays(document: Mapping[str, Any]) -> dict[str, Any]:
    """Turn lists of numbers into arrays of the right shape, or raise `ValueError`."""
    count = len(feature_names())
    lines = ("mean", "scale", *(("weights",) if document["kind"] == "logistic" else ()))
    shaped = {name: np.array(document[name], float) for name in lines}
    if any(array.shape != (count,) for array in shaped.values()):
        raise ValueError(f"expected {count} numbers each in {', '.join(lines)}")
    shaped["deciles"] = np.array(document["deciles"], float)
    if shaped["deciles"].shape != (count, 9) or (np.diff(shaped["deciles"]) < 0).any():
        raise ValueError(f"expected nine rising deciles of each of {count} features")
    if document["kind"] == "logistic":
        return {**shaped, "bias": float(document["bias"])}
    trees = [np.array(tree, float) for tree in document["trees"]]
    if any(not _is_tree(tree, count) for tree in trees):
        raise ValueError("expected trees whose branches lead onwards to their own nodes")
    return {**shaped, "trees": trees, "baseline": float(document["baseline"])}


def _is_tree(tree: Line, features: int) -> bool:
    """True for rows (feature or -1, threshold, left, right, value) without cycles."""
    if tree.ndim != 2 or tree.shape[1] != 5 or not len(tree):
        return False
    at = np.arange(len(tree))
    branch = tree[:, 0] >= 0
    onwards = (tree[:, 2:4] > at[:, None]) & (tree[:, 2:4] < len(tree))
    known = tree[:, 0] < features
    return bool((~branch | (onwards.all(axis=1) & known)).all())


def probability(model: Mapping[str, Any], features: Line) -> Line:
    """Return the calibrated probability of a rise per row; NaN where a feature is undefined."""
    known = np.isfinite(features).all(axis=1)
    chance = np.full(len(features), np.nan)
    slope, offset = model["platt"]
    score = raw_score(model, features[known])
    chance[known] = 1.0 / (1.0 + np.exp(-(slope * score + offset)))
    return chance


def raw_score(model: Mapping[str, Any], features: Line) -> Line:
    """Return the model's score per row, before calibration; summed in one fixed order."""
    scaled = (features - model["mean"]) / model["scale"]
    if model["kind"] == "boosting":
        score = np.full(len(features), model["baseline"])
        for tree in model["trees"]:
            score += _leaf_values(tree, scaled)
        return score
    score = np.full(len(features), model["bias"])
    for column, weight in zip(scaled.T, model["weights"], strict=True):
        score += column * weight
    return score


def _leaf_values(tree: Line, features: Line) -> Line:
    """Walk every row down the tree: left when its feature is at most the threshold."""
    node: npt.NDArray[np.int64] = np.zeros(len(features), np.int64)
    rows = np.arange(len(features))
    while True:
        feature = tree[node, 0].astype(np.int64)
        inner = feature >= 0
        if not inner.any():
            return np.asarray(tree[node, 4])
        left = features[rows, np.maximum(feature, 0)] <= tree[node, 1]
        onwards = np.where(left, tree[node, 2], tree[node, 3]).astype(np.int64)
        node = np.where(inner, onwards, node)
