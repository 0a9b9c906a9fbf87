"""Several objectives are balanced, hopeless trials given up, and a search ends when it is done."""

import math

import numpy as np
import pytest

from thunes_core.domain.parameters import FloatRange, ParameterSpace
from thunes_core.errors import BadInput
from thunes_core.research.search import (
    Evaluate,
    JournalFolder,
    Outcome,
    SearchOptions,
    Stopping,
    Tried,
    best,
    search,
)
from thunes_core.research.search.stopping import regret_bound, stagnant_for

SPACE = ParameterSpace({"x": FloatRange(0.0, 1.0), "y": FloatRange(0.0, 1.0)})


def two(values):
    """Return two objectives that pull apart along x, and agree on y."""
    return Outcome(values["x"] - values["y"], others=(1 - values["x"] ** 2 - values["y"],))


def in_parts(values):
    """Return the height at five places, all of them low for low x."""
    noise = np.random.default_rng(int(values["y"] * 1e9)).normal(0, 0.01, 5)
    return (
        (part, Outcome(values["x"] + noise[part], figures={"sharpe": 0.0})) for part in range(5)
    )


def single(values):
    """Return one hill."""
    return Outcome(-abs(values["x"] - 0.5) - abs(values["y"] - 0.5))


@pytest.mark.parametrize("sampler", ["tpe", "nsgaii"])
def test_several_objectives_are_kept_resumed_and_balanced(sampler, tmp_path):
    """The choice lies on the front between the ends, and a resumed search ends the same."""
    kept = {"studies": JournalFolder(tmp_path), "objectives": 2}
    search(SPACE, Evaluate(two), SearchOptions(30, 5, sampler, **kept))
    tried = search(SPACE, Evaluate(two), SearchOptions(60, 5, sampler, **kept))
    assert tried == search(SPACE, Evaluate(two), SearchOptions(60, 5, sampler, objectives=2))
    chosen = best(tried)
    assert 0.2 < chosen.values["x"] < 0.8
    beaten = [
        t
        for t in tried
        if t.outcome.objective > chosen.outcome.objective
        and t.outcome.others[0] > chosen.outcome.others[0]
    ]
    assert beaten == []


def test_balance_is_the_front_point_nearest_to_the_ideal():
    """Of three points on a front the middle one is taken; a dominated or infeasible one never."""
    outcomes = [
        Outcome(0.0, others=(1.0,)),
        Outcome(1.0, others=(0.0,)),
        Outcome(0.7, others=(0.7,)),
        Outcome(0.6, others=(0.6,)),
        Outcome(5.0, violation=1.0, others=(5.0,)),
    ]
    assert best([Tried(n, {}, o) for n, o in enumerate(outcomes)]).number == 2


@pytest.mark.parametrize(
    ("sampler", "calls"), [("random", 3), ("qmc", 3), ("nsgaii", 3), ("cmaes", 3), ("tpe", 0)]
)
def test_samplers_without_memory_run_a_block_in_one_call(sampler, calls):
    """Thirty trials are three calls of ten, where a proposal needs no answer to the one before."""
    batches = []

    def many(proposals):
        batches.append(len(proposals))
        return [single(values) for values in proposals]

    tried = search(SPACE, Evaluate(single, many), SearchOptions(30, 5, sampler))
    assert len(batches) == calls
    assert sum(batches) >= 9 * calls  # a child may equal one that is known
    assert tried == search(SPACE, Evaluate(single), SearchOptions(30, 5, sampler))


def test_hopeless_trials_are_given_up_and_never_chosen(tmp_path):
    """Wilcoxon's test ends trials before their last part; they are counted, kept and not chosen."""
    options = SearchOptions(40, 5, "random", studies=JournalFolder(tmp_path))
    asked = []

    def counted(values):
        for part, outcome in in_parts(values):
            asked.append(part)
            yield part, outcome

    tried = search(SPACE, Evaluate(single, parts=counted), options)
    given_up = [t for t in tried if not t.outcome.complete]
    assert len(tried) == 40
    assert len(given_up) > 10
    assert len(asked) < 40 * 5
    assert best(tried).outcome.complete
    assert search(SPACE, Evaluate(single, parts=counted), options) == tried


def test_search_ends_when_nothing_better_was_found_for_long():
    """With stagnation allowed for 15 trials the search ends early, at the end of a block."""
    rules = Stopping(stagnation=15)
    flat = lambda values: Outcome(1.0)  # noqa: E731 - one expression
    tried = search(SPACE, Evaluate(flat), SearchOptions(100, 5, stopping=rules))
    assert len(tried) == 20
    assert stagnant_for(tried) == 19


def test_a_front_that_still_grows_is_no_stagnation():
    """With two objectives a trial that is better in the second one alone is progress."""
    ends = [Outcome(1.0, others=(0.0,)), Outcome(0.0, others=(1.0,)), Outcome(0.6, others=(0.6,))]
    beaten = [Outcome(0.5, others=(0.5,)), Outcome(1.0, others=(0.0,)), Outcome(9.0, 1.0)]
    tried = [Tried(n, {}, outcome) for n, outcome in enumerate([*ends, *beaten])]
    assert [stagnant_for(tried[:n]) for n in range(1, 7)] == [0, 0, 0, 1, 2, 3]


def test_regret_of_several_objectives_is_refused():
    """The bound is of one maximum; a front has none."""
    rules = SearchOptions(30, 5, objectives=2, stopping=Stopping(regret=0.1))
    with pytest.raises(BadInput, match="one objective where a search ends by regret; there are 2"):
        search(SPACE, Evaluate(two), rules)


def test_search_ends_when_little_is_left_to_gain():
    """A loose bound on regret ends the search, a tight one does not."""
    options = {"trials": 100, "seed": 5, "sampler": "random"}
    loose = search(SPACE, Evaluate(single), SearchOptions(**options, stopping=Stopping(regret=1.0)))
    tight = search(
        SPACE, Evaluate(single), SearchOptions(**options, stopping=Stopping(regret=1e-6))
    )
    assert (len(loose) < 100, len(tight)) == (True, 100)


def test_regret_bound_holds_as_often_as_it_says():
    """Over many random searches of a smooth hill the bound covers the true gap in about 90 %."""
    held = 0
    for seed in range(200):
        points = np.random.default_rng(seed).random((60, 2))
        heights = -((points - 0.4) ** 2).sum(axis=1)
        tried = [Tried(n, {}, Outcome(float(h))) for n, h in enumerate(heights)]
        held += -heights.max() <= regret_bound(tried, 2)
    assert 0.84 < held / 200 < 0.96
    assert math.isinf(regret_bound(tried[:5], 2))
