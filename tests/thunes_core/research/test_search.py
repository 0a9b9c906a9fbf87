"""The search proposes the same trials for the same seed, whether it was interrupted or not."""

import json
import math

import optuna
import pytest

from thunes_core.domain.parameters import Choice, FloatRange, IntRange, ParameterSpace
from thunes_core.errors import BadInput, StoreFailed
from thunes_core.research.search import (
    SAMPLERS,
    Evaluate,
    JournalFolder,
    Outcome,
    SearchOptions,
    Tried,
    best,
    search,
    study_page,
)

SPACE = ParameterSpace(
    {"fast": IntRange(2, 60), "share": FloatRange(0.1, 1.0), "kind": Choice(("a", "b"))}
)


def hill(values):
    """Return a hill with its top at fast=20, share=0.5; fast above 55 makes no sense."""
    if values["fast"] > 55:
        return None
    height = -abs(values["fast"] - 20) - abs(values["share"] - 0.5)
    return Outcome(height, violation=float(values["fast"] < 5), figures={"sharpe": height})


def kept_in(folder):
    """Return the file of a search, and the options that keep it there."""
    kept = {"studies": JournalFolder(folder), "name": "fold"}
    return folder / "study" / "fold.log", kept


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_same_seed_gives_the_same_trials(sampler):
    """Two searches with one seed agree trial by trial; another seed differs."""
    once = search(SPACE, Evaluate(hill), SearchOptions(25, 3, sampler))
    assert once == search(SPACE, Evaluate(hill), SearchOptions(25, 3, sampler))
    assert once != search(SPACE, Evaluate(hill), SearchOptions(25, 4, sampler))


def test_interrupted_search_continues_to_the_same_result_and_pays_once(tmp_path):
    """A search stopped after 12 trials and resumed equals one that was never stopped."""
    calls = []

    def counted(values):
        calls.append(values)
        return hill(values)

    _, kept = kept_in(tmp_path)
    search(SPACE, Evaluate(counted), SearchOptions(12, 3, **kept))
    resumed = search(SPACE, Evaluate(counted), SearchOptions(30, 3, **kept))
    assert resumed == search(SPACE, Evaluate(hill), SearchOptions(30, 3))
    paid = len(calls)
    assert paid == len({tuple(values.values()) for values in calls})
    assert search(SPACE, Evaluate(counted), SearchOptions(30, 3, **kept)) == resumed
    assert len(calls) == paid


def test_killed_writer_leaves_a_torn_line_that_is_cut_off(tmp_path):
    """A half-written last line is not read, and the next append repairs the file."""
    journal, kept = kept_in(tmp_path)
    search(SPACE, Evaluate(hill), SearchOptions(10, 3, **kept))
    whole = journal.read_bytes()
    journal.write_bytes(whole + b'{"op_code": 4, "wor')
    resumed = search(SPACE, Evaluate(hill), SearchOptions(20, 3, **kept))
    assert resumed == search(SPACE, Evaluate(hill), SearchOptions(20, 3))
    assert all(json.loads(line) for line in journal.read_text().splitlines())


def test_journal_is_optunas_own_format(tmp_path):
    """Optuna itself reads the journal, so that its tools can show the study."""
    journal, kept = kept_in(tmp_path)
    tried = search(SPACE, Evaluate(hill), SearchOptions(15, 3, **kept))
    backend = optuna.storages.journal.JournalFileBackend(str(journal))
    study = optuna.load_study(study_name="fold", storage=optuna.storages.JournalStorage(backend))
    assert [t.params for t in study.trials] == [t.values for t in tried]
    assert best(tried).values == study.best_params


def test_unreadable_journal_says_what_to_do(tmp_path):
    """A journal that is not lines of JSON stops the search with one clear message."""
    journal, kept = kept_in(tmp_path)
    journal.parent.mkdir()
    journal.write_text("not json\n")
    with pytest.raises(StoreFailed, match="move the file away"):
        search(SPACE, Evaluate(hill), SearchOptions(5, 3, **kept))


def test_unknown_sampler_is_refused():
    """The message lists the samplers there are, and says why a known one is not among them."""
    with pytest.raises(BadInput, match="tpe, random, qmc, nsgaii, cmaes"):
        search(SPACE, Evaluate(hill), SearchOptions(5, 3, "magic"))
    with pytest.raises(BadInput, match="needs torch"):
        search(SPACE, Evaluate(hill), SearchOptions(5, 3, "gp"))


def test_first_trials_can_be_given():
    """What is given to start with is tried first, in its order."""
    given = [{"fast": 20, "share": 0.5, "kind": "a"}, {"fast": 30, "share": 0.2, "kind": "b"}]
    tried = search(SPACE, Evaluate(hill), SearchOptions(5, 3), start_with=given)
    assert [t.values for t in tried[:2]] == given
    assert best(tried).number == 0


def test_best_prefers_feasible_then_higher_then_earlier():
    """A feasible trial beats a better infeasible one; equals are won by the earliest."""
    tried = [
        Tried(0, {}, None),
        Tried(1, {}, Outcome(9.0, violation=0.5)),
        Tried(2, {}, Outcome(1.0)),
        Tried(3, {}, Outcome(2.0)),
        Tried(4, {}, Outcome(2.0)),
    ]
    assert best(tried).number == 3
    assert best(tried[:2]).number == 1
    assert best(tried[:1]) is None


def test_figures_survive_the_journal_even_when_not_a_number(tmp_path):
    """A figure that is NaN comes back as NaN and does not break the file."""
    _, kept = kept_in(tmp_path)
    nothing = lambda values: Outcome(0.0, 1.0, {"sharpe": math.nan})  # noqa: E731 - one expression
    search(SPACE, Evaluate(nothing), SearchOptions(3, 3, **kept))
    again = search(SPACE, Evaluate(nothing), SearchOptions(3, 3, **kept))
    assert all(math.isnan(t.outcome.figures["sharpe"]) for t in again)


def test_study_page_needs_no_network_and_draws_every_parameter():
    """One HTML page with its own script; too few trials are said so."""
    page = study_page(SPACE, search(SPACE, Evaluate(hill), SearchOptions(20, 3)))
    assert "plotly" in page
    assert 'src="http' not in page
    assert all(name in page for name in SPACE.dimensions)
    assert "too few" in study_page(SPACE, [])
