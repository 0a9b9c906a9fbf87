"""The research assets find a candidate, judge it, and let it through only behind the checks."""

import shutil
from contextlib import closing
from decimal import Decimal

import dagster as dg
import polars as pl
import pytest

from tests.planted import NOISE, Planted, market
from tests.registries import blank_registry
from tests.thunes_pipelines.houses import NOON, house_at
from tests.thunes_pipelines.instances import instance_at
from thunes_core.domain.bars import Interval
from thunes_core.domain.records import ShadowDecision
from thunes_core.errors import NoChampion, PromotionRefused
from thunes_pipelines import policies
from thunes_pipelines.assets import research
from thunes_pipelines.promotion import Settling, paper_state
from thunes_pipelines.resources.registry import Registry
from thunes_pipelines.standing import Standing, revision

BEATS = research.BEATS_CHAMPION
STUDY = "sma_crossover.TESTUSDT.1h"
SETTINGS = {"symbols": "TESTUSDT", "trials": 8, "folds": 3, "history_days": 1100}


@pytest.fixture
def home(tmp_path):
    """A home whose lake can be filled, and an instance that knows the study."""
    with instance_at(tmp_path) as instance:
        instance.add_dynamic_partitions("study", [STUDY])
        blank_registry(tmp_path)
        yield tmp_path, instance


def house_with(home, kind, years=1.0, seed=2, **settings):
    """Return a house whose lake holds a generated market."""
    house = house_at(home[0], **{**SETTINGS, **settings})
    store(house, market(kind, int(24 * 365 * years), seed=seed))
    return house


def store(house, bars):
    """Store bars as if the exchange reported them now."""
    start, end = bars["open_time"][0], bars["open_time"][-1] + Interval.H1.duration
    house.bars().replace_window(
        bars, symbol="TESTUSDT", interval=Interval.H1, start=start, end=end, observed_at=end
    )


def run(home, house, assets=None, cause="none"):
    """Materialise the research of the study in one run."""
    return dg.materialize(
        assets or research.ASSETS,
        partition_key=STUDY,
        resources={"house": house},
        instance=home[1],
        tags={policies.CAUSE: cause},
        raise_on_error=False,
    )


def metadata(result, name):
    """Return the metadata of one materialised asset."""
    (event,) = [
        e.materialization
        for e in result.get_asset_materialization_events()
        if e.asset_key == dg.AssetKey(name)
    ]
    return event.metadata


def test_edge_is_found_promoted_and_remembered(home):
    """A market with an edge ends with a champion in the registry and its copy in the ledger."""
    house = house_with(home, Planted(5.0, 1000), years=3)
    result = run(home, house)
    assert result.success
    champion = house.registry().champion(STUDY)
    with closing(house.ledger()) as ledger:
        assert ledger.remembered_champion(STUDY) == champion
    assert metadata(result, "champion")["outcome"].value == "promoted"
    assert all(e.passed for e in result.get_asset_check_evaluations())


def test_noise_ends_green_in_do_nothing(home):
    """Where nothing is good enough the verdict says so, no champion is made, the run succeeds."""
    house = house_with(home, NOISE)
    result = run(home, house)
    checks = {e.check_name: e for e in result.get_asset_check_evaluations()}
    verdict = checks[research.BEATS_CHAMPION]
    assert result.success
    assert (verdict.passed, verdict.blocking) == (False, True)
    assert verdict.severity is dg.AssetCheckSeverity.WARN
    assert "nothing is traded" in verdict.metadata["why"].value
    assert set(checks) == {*research.FINDINGS, research.BEATS_CHAMPION}
    for name in checks:
        assert {"value", "threshold"} <= set(checks[name].metadata)
    assert verdict.metadata["value"].value < verdict.metadata["threshold"].value == len(checks) - 1
    assert champion_events(result) == []
    assert observed(home)["outcome"].value == "kept"
    with pytest.raises(NoChampion):
        house.registry().champion(STUDY)


def champion_events(result):
    """Return the materialisations of `champion` in a run."""
    events = result.get_asset_materialization_events()
    return [e for e in events if e.asset_key == dg.AssetKey("champion")]


def observed(home):
    """Return the metadata of the newest observation of `champion`."""
    found = home[1].fetch_observations(dg.AssetKey("champion"), limit=1).records
    return found[0].asset_observation.metadata


def test_a_version_that_is_not_held_as_judged_blocks_the_run(home, monkeypatch):
    """What the registry answers differs from what was judged: an error, and nothing follows."""
    house = house_with(home, Planted(5.0, 1000), years=3)
    write = Registry.log_candidate

    def garbled(self, *args, **kwargs):
        made = write(self, *args, **kwargs)
        self._client.set_model_version_tag(STUDY, made.version, "thunes.why", "believe me")
        return made

    monkeypatch.setattr(Registry, "log_candidate", garbled)
    result = run(home, house)
    assert not result.success
    verdict = {e.check_name: e for e in result.get_asset_check_evaluations()}[BEATS]
    assert verdict.severity is dg.AssetCheckSeverity.ERROR
    with pytest.raises(NoChampion):
        house.registry().champion(STUDY)


def test_bootstrap_trades_the_first_and_holds_the_next_to_the_rule(home):
    """A paper account may begin with a thin champion, shown as such; a worse one changes nothing.

    Champion and challenger are shown side by side.
    """
    house = house_with(home, NOISE, promotion="bootstrap")
    first = run(home, house)
    assert metadata(first, "parameter_set")["policy"].value == "bootstrap"
    assert metadata(first, "champion")["outcome"].value == "promoted"
    again = run(home, house)
    assert again.success
    assert observed(home)["outcome"].value == "kept"
    (verdict,) = [e for e in again.get_asset_check_evaluations() if e.check_name == BEATS]
    mine, theirs = (verdict.metadata[f"against_champion_{n}"] for n in ("value", "threshold"))
    assert mine.value == metadata(again, "parameter_set")["sharpe"].value
    assert theirs.value == metadata(again, "parameter_set")["champion_sharpe"].value
    side = metadata(again, "parameter_set")["challenger_and_champion"].value
    assert "champion (version 1)" in side
    other = house_with(home, NOISE, seed=9, promotion="bootstrap")
    kept = run(home, other)
    assert kept.success
    assert champion_events(kept) == []
    assert "the champion is kept, not passed" in observed(home)["why"].value
    assert other.registry().champion(STUDY).version == "1"


def test_a_candidate_decides_on_paper_before_it_is_promoted(home):
    """Where days on paper are asked for, a good candidate is first a shadow, then champion."""
    house = house_with(home, Planted(5.0, 1000), years=3, shadow_days=1)
    assert run(home, house).success
    assert observed(home)["outcome"].value == "on paper"
    with closing(house.ledger()) as ledger:
        promoting = house.promoting(ledger)
        with pytest.raises(PromotionRefused, match="0 bars are recorded"):
            promoting.promote(STUDY)
        version = ledger.shadow(STUDY).candidate.version
        ledger.record_shadow_decisions(paper(version, 24))
        assert paper_state(ledger, STUDY, house.settings()).is_complete
        assert promoting.settle(STUDY).outcome is Settling.PROMOTED
        assert ledger.shadow(STUDY) is None
        assert ledger.remembered_champion(STUDY).version == version


def test_a_candidate_on_paper_ends_its_days_before_a_newer_one(home):
    """A search that finds another candidate meanwhile does not begin the days anew."""
    house = house_with(home, Planted(5.0, 1000), years=3, shadow_days=20)
    assert run(home, house).success
    with closing(house.ledger()) as ledger:
        first = ledger.shadow(STUDY)
    other = house_with(home, Planted(5.0, 1000), years=3, shadow_days=20, seed=5)
    assert run(home, other).success
    assert observed(home)["outcome"].value == "on paper"
    version = first.candidate.version
    assert f"version {version} is on paper" in observed(home)["why"].value
    with closing(house.ledger()) as ledger:
        assert ledger.shadow(STUDY) == first
        ledger.record_shadow_decisions(paper(version, 20 * 24))
        assert house.promoting(ledger).promote(STUDY, version).version == version
        assert ledger.shadow(STUDY) is None


def paper(version, bars):
    """Return so many hourly decisions on paper."""
    return [
        ShadowDecision(STUDY, version, NOON + n * Interval.H1.duration, 1.0, Decimal(100), NOON)
        for n in range(bars)
    ]


def test_bootstrap_is_refused_with_real_money(home):
    """The policy for paper accounts does not exist on an exchange with real orders."""
    house = house_with(
        home,
        NOISE,
        promotion="bootstrap",
        exchange="binance",
        broker="exchange",
        binance_api_key="x",
        binance_api_secret="y",
    )
    result = run(home, house)
    assert "expected strict" in _failure(result)


def test_walk_forward_shows_what_a_person_wants(home):
    """Figures, fold table, two pictures, the choice, and where it is stored."""
    shown = metadata(run(home, house_with(home, NOISE)), "walk_forward")
    assert {"sharpe", "max_drawdown", "trials", "chosen", "folds", "equity"} <= set(shown)
    assert shown["equity"].value.startswith("![](data:image/png;base64,")
    assert shown["folds"].value.count("\n") == 4
    assert shown["trials"].value == 8 * 4


def test_progress_stands_in_the_log_of_the_run(home):
    """While it searches the run says how far it is, up to the last trial, and not too often."""
    house = house_with(home, NOISE, trials=40)
    result = run(home, house, [research.walk_forward])
    told = [e.user_message for e in home[1].all_logs(result.run_id) if "trials" in e.user_message]
    assert told[-1] == "final fit: 160 of 160 trials"
    assert told[0].startswith("fold 1: ")
    assert 8 < len(told) <= 20


@pytest.mark.slow
def test_dask_by_a_setting_gives_the_walk_of_one_process(home):
    """With THUNES_COMPUTE=dask the folds run on a local cluster; the stored walk is the same."""
    pytest.importorskip("distributed")
    alone = run(home, house_with(home, NOISE), [research.walk_forward])
    spread = house_with(home, NOISE, compute="dask")
    shutil.rmtree(home[0] / "studies")
    again = run(home, spread, [research.walk_forward])
    assert again.success
    assert (
        metadata(again, "walk_forward")["stored_in"] == metadata(alone, "walk_forward")["stored_in"]
    )
    assert len(list((home[0] / "studies").rglob("*.log"))) == 4


def test_a_search_on_the_same_day_goes_on_where_it_was(home):
    """Bars of the day that still runs are left out: hours later nothing is searched again."""
    house, bars = house_at(home[0], **SETTINGS), market(NOISE, 24 * 200, seed=2)
    store(house, bars[: 24 * 199])
    first = metadata(run(home, house, [research.walk_forward]), "walk_forward")
    made = set((home[0] / "studies").rglob("*.log"))
    store(house, bars[: 24 * 199 + 7])
    again = metadata(run(home, house, [research.walk_forward]), "walk_forward")
    assert again["stored_in"] == first["stored_in"]
    assert set((home[0] / "studies").rglob("*.log")) == made
    store(house, bars)
    run(home, house, [research.walk_forward])
    assert len(set((home[0] / "studies").rglob("*.log")) - made) == 4


def test_a_revision_searches_only_the_folds_it_touched(home):
    """Days later a late bar is revised: the champion's span is walked again, one search is new."""
    house = house_at(home[0], **SETTINGS, promotion="bootstrap")
    bars = market(NOISE, 24 * 210, seed=2)
    store(house, bars[: 24 * 200])
    run(home, house)
    made = set((home[0] / "studies").rglob("*.log"))
    late = pl.col("open_time") == bars["open_time"][24 * 200 - 5]
    store(house, bars.with_columns(volume=pl.when(late).then(2.0).otherwise(pl.col("volume"))))
    searched = run(home, house, cause="revision")
    assert searched.success
    assert len(set((home[0] / "studies").rglob("*.log")) - made) == 1
    assert observed(home)["why"].value == "the candidate is the champion: kept"
    with closing(house.ledger()) as ledger:
        champion = ledger.remembered_champion(STUDY)
        one = Standing(champion, NOON, NOON, house.settings(), ledger, house.bars())
        assert revision(one) is None


def test_revised_bars_ask_for_a_new_walk(home):
    """Evidence is never judged on other bars than it was made of."""
    house = house_with(home, NOISE)
    run(home, house, [research.walk_forward])
    house_with(home, NOISE, seed=5)
    result = run(home, house, [research.parameter_set])
    assert "materialise `walk_forward` again" in _failure(result)


def test_missing_bars_are_told(home):
    """Without bars the run fails with what to run first."""
    result = run(home, house_at(home[0], **SETTINGS))
    assert "run the job `ingest`" in _failure(result)


def test_dead_registry_fails_the_run_with_its_message(home):
    """MLflow down: a failed run that says so, and the walk-forward is kept."""
    house = house_with(home, NOISE, mlflow_tracking_uri="http://127.0.0.1:9")
    result = run(home, house)
    assert "expected MLflow to answer" in _failure(result)
    assert metadata(result, "walk_forward")["trials"].value == 32


def _failure(result):
    """Return what the failed step said."""
    (event,) = result.get_step_failure_events()
    return event.step_failure_data.user_failure_data.description
