"""CMA-ES: a block is a generation, what was learnt is told anew, nothing of it is stored."""

import numpy as np
import pytest

from thunes_core.domain.parameters import Choice, FloatRange, IntRange, ParameterSpace
from thunes_core.errors import BadInput
from thunes_core.research.search import (
    Evaluate,
    JournalFolder,
    Outcome,
    SearchOptions,
    search,
)
from thunes_core.research.search.generations import next_generation
from thunes_core.research.search.trials import Tried

SPACE = ParameterSpace(
    {"x": FloatRange(0.01, 10.0, log=True), "n": IntRange(2, 80), "kind": Choice(("a", "b", "c"))}
)


def hill(values):
    """Return a hill with its top at x = 3, n = 60, b; small n break a rule, the largest none."""
    if values["n"] > 78:
        return None
    height = -abs(np.log(values["x"] / 3.0)) - abs(values["n"] - 60) / 20
    return Outcome(height - 0.3 * (values["kind"] != "b"), violation=float(values["n"] < 10))


def options(trials, **more):
    """Return a search by CMA-ES."""
    return SearchOptions(trials, 3, "cmaes", **more)


def heights(tried):
    """Return the objective of each trial that has one."""
    return [t.outcome.objective for t in tried if t.outcome]


def test_generations_climb_to_the_top():
    """The last of twelve generations lies around the top, the first far from it."""
    tried = search(SPACE, Evaluate(hill), options(120))
    assert np.median(heights(tried[:10])) < -1.0
    assert np.median(heights(tried[-10:])) > -0.5
    assert max(heights(tried)) > -0.1


def test_an_interrupted_search_proposes_what_one_without_a_break_does(tmp_path):
    """Stopped inside a generation and resumed by another worker: the same trials in the end."""
    kept = {"studies": JournalFolder(tmp_path)}
    search(SPACE, Evaluate(hill), options(34, **kept))
    resumed = search(SPACE, Evaluate(hill), options(60, **kept))
    assert resumed == search(SPACE, Evaluate(hill), options(60))


def test_nothing_that_runs_is_stored(tmp_path):
    """The journal holds values and figures; no pickled optimizer."""
    search(SPACE, Evaluate(hill), options(30, studies=JournalFolder(tmp_path)))
    (journal,) = tmp_path.rglob("*.log")
    assert "cma" not in journal.read_text()


def test_only_the_order_of_outcomes_matters():
    """Another unit of the objective, or of a breach, gives the same generation."""
    plain = [Tried(n, {"x": 1.0 + n, "n": 20 + n, "kind": "a"}, None) for n in range(10)]
    outcomes = [Outcome(-float(n), violation=float(n > 5)) for n in range(9)]
    larger = [Outcome(-1000.0 * n, violation=7.0 * (n > 5)) for n in range(9)]

    def follow(given):
        known = [Tried(t.number, t.values, o) for t, o in zip(plain, [*given, None], strict=True)]
        return next_generation(SPACE, known, seed=5, first=10, size=10)

    assert follow(outcomes) == follow(larger)
    assert follow(outcomes) != follow(outcomes[::-1])


def test_a_generation_that_is_not_whole_is_not_learnt_from():
    """Another worker still has it: what is there of it changes nothing."""
    some = [Tried(n, {"x": 1.0, "n": 20, "kind": "a"}, Outcome(0.0)) for n in range(4)]
    begun = next_generation(SPACE, [], seed=5, first=10, size=10)
    assert next_generation(SPACE, some, seed=5, first=10, size=10) == begun


def test_several_objectives_are_refused():
    """There is no order of trials to follow."""
    with pytest.raises(BadInput, match="one objective with cmaes; there are 2"):
        search(SPACE, Evaluate(hill), options(10, objectives=2))
