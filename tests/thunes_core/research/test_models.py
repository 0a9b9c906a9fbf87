"""A classifier is fitted on the past alone and handed out in numbers that say the same."""

import json

import numpy as np
import pytest
from skops import io

from tests.planted import NOISE, Planted, market
from thunes_core.adapters.walks import WalkStore
from thunes_core.errors import BadInput, ParametersInvalid
from thunes_core.indicators.columns import columns_of
from thunes_core.indicators.features import feature_matrix, feature_names
from thunes_core.research import models
from thunes_core.research.fitting import Learning, Material
from thunes_core.research.labels import triple_barrier
from thunes_core.research.walk_forward import WalkForwardOptions, walk_forward
from thunes_core.strategies.base import build, build_from, require_in_space
from thunes_core.strategies.learned_direction import LearnedDirection
from thunes_core.strategies.model_document import KINDS, probability, raw_score, read_model

BARS = market(Planted(6.0, 300), 1600, seed=3)
COLUMNS = columns_of(BARS)


@pytest.fixture(scope="module", params=KINDS)
def fitted(request):
    """A strategy of each kind, and its fitted model."""
    strategy = LearnedDirection(kind=request.param, horizon=12)
    return strategy, models.fitted(COLUMNS, 200, strategy)


def test_plain_numbers_say_what_the_pipeline_says(fitted):
    """What is read from JSON equals scikit-learn's own scaling, scores and calibration."""
    _, made = fitted
    features = feature_matrix(COLUMNS)
    features = features[np.isfinite(features).all(axis=1)]
    unknown = io.get_untrusted_types(data=made.pipeline)
    pipeline = io.loads(made.pipeline, trusted=unknown)
    (only,) = pipeline.calibrated_classifiers_
    assert only.estimator.steps[0][0] == "standardscaler"
    model = read_model(made.document)
    scores = raw_score(model, features)
    np.testing.assert_allclose(scores, only.estimator.decision_function(features), atol=1e-9)
    chance = probability(model, features)
    np.testing.assert_allclose(chance, pipeline.predict_proba(features)[:, 1], atol=1e-9)


def test_the_model_keeps_the_deciles_of_its_features(fitted):
    """Nine for each, of the rows it was fitted on: drift is measured against them."""
    strategy, made = fitted
    found = models.examples(COLUMNS, strategy, 200)
    deciles = read_model(made.document)["deciles"]
    expected = np.quantile(found.features[found.known], np.arange(1, 10) / 10, axis=0).T
    np.testing.assert_allclose(deciles, expected, rtol=1e-5, atol=1e-9)


def test_the_same_bars_give_the_same_model(fitted):
    """Fitting is deterministic, to the character."""
    strategy, made = fitted
    assert models.fitted(columns_of(BARS), 200, strategy).document == made.document


def test_a_fitted_strategy_keeps_prefix_and_warm_up(fitted):
    """Later bars change nothing earlier, and the warm-up is enough."""
    strategy, made = fitted
    document = json.dumps({**json.loads(made.document), "platt": [1.0, 0.0]})
    chance = probability(read_model(document), feature_matrix(COLUMNS))
    values = {"smooth": 3, "threshold": float(np.nanmedian(chance))}
    live = build("learned_direction", {"kind": strategy.kind, "model": document, **values})
    whole = live.target_exposure(BARS).to_numpy()
    assert 0 < whole.mean() < 1
    np.testing.assert_array_equal(live.target_exposure(BARS[:900]).to_numpy(), whole[:900])
    for end in range(700, 1600, 130):
        window = BARS[end - live.warmup_bars : end + 1]
        assert live.target_exposure(window)[-1] == whole[end]


def test_out_of_fold_scores_do_not_see_their_own_labels():
    """Changing the labels of one block changes no score inside it."""
    strategy = LearnedDirection(horizon=12)
    found = models.examples(COLUMNS, strategy, 200)
    rows = np.flatnonzero(found.known)
    block = rows[: len(rows) // models.BLOCKS]
    flipped = found.labels.copy()
    flipped[block] = 1.0 - flipped[block]
    other = models.Examples(found.features, flipped, found.known)
    before, after = models.out_of_fold(found, strategy), models.out_of_fold(other, strategy)
    np.testing.assert_array_equal(before[block], after[block])
    assert not np.array_equal(before[rows[-50:]], after[rows[-50:]])


def test_label_is_the_first_barrier_touched():
    """Each label equals a search bar by bar; the last `horizon` bars have none."""
    horizon, barrier = 8, 1.0
    labels = triple_barrier(COLUMNS, horizon, barrier)
    assert np.isnan(labels[-horizon:]).all()
    moves = np.log(COLUMNS.close[1:] / COLUMNS.close[:-1])
    for t in range(300, 500):
        reach = barrier * moves[t - 72 : t].std() * horizon**0.5
        assert labels[t] == slow_label(t, horizon, reach), t


def slow_label(t, horizon, reach):
    """Return the label of bar t, looking bar by bar."""
    entry = COLUMNS.open[t + 1]
    for u in range(t + 1, t + horizon + 1):
        if COLUMNS.low[u] <= entry * (1 - reach):
            return 0.0
        if COLUMNS.high[u] >= entry * (1 + reach):
            return 1.0
    return float(COLUMNS.close[t + horizon] > entry)


def test_features_read_the_past_alone():
    """Cutting later bars changes no earlier feature."""
    whole = feature_matrix(COLUMNS)
    np.testing.assert_array_equal(feature_matrix(columns_of(BARS[:800])), whole[:800])
    assert whole.shape == (1600, len(feature_names()))


def test_broken_models_are_refused(fitted):
    """Not JSON, a number that is none, missing or foreign keys, a tree that turns in a circle."""
    _, made = fitted
    document = json.loads(made.document)
    circle = [[0, 0.0, 0, 0, 0.0]]
    wrong = [
        "no json",
        "[]",
        made.document.replace('"platt":[', '"platt":[NaN,'),
        json.dumps({**document, "platt": [1.0]}),
        json.dumps({**document, "run": "me"}),
        json.dumps({**document, "deciles": document["deciles"][1:]}),
        json.dumps({**document, "scale": document["scale"][1:]}),
        json.dumps({**document, "features": ["other"]}),
        json.dumps({**document, "kind": "oracle"}),
        json.dumps({**_boosting(document), "trees": [circle]}),
    ]
    for text in wrong:
        with pytest.raises(ParametersInvalid, match="expected"):
            build("learned_direction", {"model": text})


def _boosting(document):
    shared = {k: document[k] for k in ("features", "platt", "deciles", "mean", "scale")}
    return {**shared, "kind": "boosting", "baseline": 0.0}


def test_too_little_history_is_told():
    """Without enough labelled bars nothing is fitted."""
    few = BARS[:250]
    with pytest.raises(BadInput, match="longer history"):
        Learning().fit(Material(few, columns_of(few), 200), {"kind": "logistic"})


@pytest.mark.slow
def test_a_walk_of_models_is_chosen_out_of_fold_and_keeps_its_files(tmp_path):
    """Every fold has a model of its own; the final one is inside the space and stored whole."""
    bars = market(NOISE, 3000, seed=5)
    result = walk_forward(
        bars,
        strategy="learned_direction",
        symbol="TESTUSDT",
        interval="1h",
        options=WalkForwardOptions(folds=2, trials=3, min_trades=0),
    )
    assert len({fold.parameters.values["model"] for fold in result.folds}) == 2
    require_in_space(result.chosen)
    assert build_from(result.chosen).model
    assert result.chosen.shown["model"].startswith("sha256:")
    WalkStore(tmp_path).save(result)
    assert WalkStore(tmp_path).newest("learned_direction.TESTUSDT.1h").files == result.files
