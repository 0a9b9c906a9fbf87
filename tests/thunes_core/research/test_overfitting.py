"""Overfitting is measured by CSCV as its authors define it, and spread by what a person sees."""

import math
from itertools import combinations

import numpy as np
import pytest

from thunes_core.domain.parameters import Choice, FloatRange, IntRange, ParameterSpace
from thunes_core.errors import BadInput
from thunes_core.research.overfitting import cross_validated, overfitting, parameter_spread, pbo


def slow_pbo(matrix, blocks):
    """Return PBO split by split, as in the paper, with no shared sums."""
    rows = np.array_split(np.arange(len(matrix)), blocks)
    bad, total = 0, 0
    for chosen in combinations(range(blocks), blocks // 2):
        inside = np.concatenate([rows[i] for i in chosen])
        outside = np.setdiff1d(np.arange(len(matrix)), inside)
        best = sharpes(matrix[inside]).argmax()
        ranks = sharpes(matrix[outside]).argsort().argsort() + 1
        omega = ranks[best] / (matrix.shape[1] + 1)
        bad += math.log(omega / (1 - omega)) <= 0
        total += 1
    return bad / total


def sharpes(matrix):
    """Return the Sharpe ratio of each column."""
    return matrix.mean(axis=0) / matrix.std(axis=0, ddof=1)


@pytest.mark.parametrize(("blocks", "rows"), [(4, 40), (8, 160), (10, 203)])
def test_pbo_equals_the_definition(blocks, rows):
    """Sums per block give the same as resampling rows for every split."""
    matrix = np.random.default_rng(blocks).normal(0.0002, 0.01, (rows, 17))
    if rows % blocks == 0:
        assert pbo(matrix, blocks) == slow_pbo(matrix, blocks)
    assert 0.0 <= pbo(matrix, blocks) <= 1.0


def test_trial_that_is_always_best_is_never_overfitted():
    """One column far above the others wins in every half: PBO 0."""
    matrix = np.random.default_rng(1).normal(0, 0.01, (240, 20))
    matrix[:, 7] += 0.02
    assert pbo(matrix, 10) == 0.0


def test_noise_is_overfitted_about_half_the_time():
    """Over many matrices of pure noise the best of one half is nothing special in the other."""
    shares = [pbo(np.random.default_rng(s).normal(0, 1, (200, 30)), 8) for s in range(40)]
    assert 0.4 < np.mean(shares) < 0.65


def test_trial_that_never_trades_counts_as_zero_and_breaks_nothing():
    """Columns without spread have Sharpe 0; equal columns share their rank."""
    matrix = np.zeros((60, 4))
    assert pbo(matrix, 6) == 1.0
    matrix[:, 0] = np.random.default_rng(2).normal(0.01, 0.001, 60)
    assert pbo(matrix, 6) == 0.0


def test_choice_among_equals_is_overfitted_and_harmless():
    """Where every trial earns, the best of one half ranks by chance in the other, and earns."""
    rng = np.random.default_rng(5)
    market = rng.normal(0.01, 0.01, (400, 1))
    found = overfitting(market + rng.normal(0, 0.002, (400, 30)), 8)
    assert found.probability > 0.5
    assert found.loss == 0.0
    assert overfitting(rng.normal(0, 0.01, (400, 30)), 8).loss > 0.2


def test_cross_validation_measures_every_choice_of_blocks():
    """Fifteen choices of two blocks of six; a trial that is always best is what is measured."""
    matrix = np.random.default_rng(1).normal(0, 0.01, (120, 5))
    matrix[:, 3] += 0.05
    found = cross_validated(matrix, purge=2, embargo=1)
    assert len(found) == 15
    assert (found > 3).all()


@pytest.mark.parametrize(("periods", "purge"), [(8, 1), (60, 30), (4, 0)])
def test_cross_validation_of_too_short_a_history_is_told(periods, purge):
    """Where purge and embargo leave nothing to train on, the message says so, and what to do."""
    with pytest.raises(BadInput, match=r"expected periods to train on .* longer history"):
        cross_validated(np.ones((periods, 3)), purge=purge, embargo=1)


@pytest.mark.parametrize(
    ("matrix", "blocks"),
    [
        (np.zeros((60, 4)), 7),
        (np.zeros((60, 1)), 6),
        (np.zeros((6, 4)), 6),
        (np.full((60, 4), np.nan), 6),
        (np.zeros(60), 6),
    ],
)
def test_matrix_that_cannot_be_judged_is_refused(matrix, blocks):
    """The message says what shape and blocks were expected."""
    with pytest.raises(BadInput, match="even number of"):
        pbo(matrix, blocks)


SPACE = ParameterSpace(
    {"fast": IntRange(0, 100), "share": FloatRange(0.01, 1.0, log=True), "kind": Choice(("a", "b"))}
)


def test_spread_is_zero_for_equal_choices_and_one_for_opposite_ones():
    """Folds that agree have spread 0; folds at both ends of every range have spread near 1."""
    same = {"fast": 20, "share": 0.1, "kind": "a"}
    assert parameter_spread(SPACE, [same] * 4) == 0.0
    ends = [{"fast": 0, "share": 0.01, "kind": "a"}, {"fast": 100, "share": 1.0, "kind": "b"}]
    assert parameter_spread(SPACE, ends) == pytest.approx((1 + 1 + 0.5) / 3)
    assert math.isnan(parameter_spread(SPACE, []))


def test_spread_is_measured_on_the_dimensions_own_scale():
    """On a logarithmic dimension a factor counts, not a difference."""
    space = ParameterSpace({"share": FloatRange(0.01, 1.0, log=True)})
    low = parameter_spread(space, [{"share": 0.01}, {"share": 0.1}])
    high = parameter_spread(space, [{"share": 0.1}, {"share": 1.0}])
    assert low == pytest.approx(high) == pytest.approx(0.5)
