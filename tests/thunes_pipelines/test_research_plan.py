"""Settings become the search, the place of its studies and the place where folds are run."""

import pytest

from thunes_core.adapters.compute import Dask, Processes
from thunes_core.errors import BadInput, SettingsInvalid
from thunes_core.research.compute import in_turn
from thunes_core.research.search import JournalFolder, Relational, Stopping
from thunes_core.settings import load
from thunes_pipelines import research_plan


def test_folds_run_where_the_setting_says(tmp_path):
    """In this process, in a pool, or on Dask: a scheduler's workers or local ones."""
    at = {"home": str(tmp_path)}
    spread = {"compute": "dask", "compute_workers": 3, **at}
    assert research_plan.compute(load(**at)) is in_turn
    assert research_plan.compute(load(compute="processes", compute_workers=3, **at)) == Processes(3)
    assert research_plan.compute(load(**spread)) == Dask(None, 3)
    named = load(dask_scheduler="tcp://host:8786", **spread)
    assert research_plan.compute(named) == Dask("tcp://host:8786", 3)


def test_studies_lie_in_the_home_or_in_postgres(tmp_path):
    """Files unless a database is named; another kind of database is refused without its URL."""
    url = "postgresql+psycopg2://me:hush@db/studies"
    at = {"home": str(tmp_path)}
    assert research_plan.studies(load(**at)) == JournalFolder(tmp_path / "studies")
    assert research_plan.studies(load(optuna_url=url, **at)) == Relational(url)
    with pytest.raises(BadInput, match="THUNES_OPTUNA_URL") as refused:
        research_plan.studies(load(optuna_url="mysql://me:hush@db/studies", **at))
    assert "hush" not in str(refused.value)


def test_search_follows_the_settings(tmp_path):
    """Every setting of the search arrives in the options of the walk-forward."""
    settings = load(
        home=str(tmp_path),
        sampler="nsgaii",
        objectives="total_return, max_drawdown",
        anchored=False,
        train_share=0.4,
        purge_bars=12,
        min_trades=3,
        max_search_drawdown=0.25,
        stagnation_trials=30,
        regret=0.1,
    )
    made = research_plan.options(settings)
    assert (made.sampler, made.anchored, made.train_share) == ("nsgaii", False, 0.4)
    assert made.objectives == ("total_return", "max_drawdown")
    assert (made.purge_bars, made.min_trades, made.max_drawdown) == (12, 3, 0.25)
    assert made.stopping == Stopping(30, 0.1)


@pytest.mark.parametrize(
    "wrong", [{"objectives": "luck"}, {"objectives": ""}, {"sampler": "magic"}, {"compute": "moon"}]
)
def test_unknown_names_are_refused_with_the_other_faults(wrong):
    """The settings themselves say which names there are."""
    with pytest.raises(SettingsInvalid, match=f"THUNES_{next(iter(wrong)).upper()}"):
        load(**wrong)
