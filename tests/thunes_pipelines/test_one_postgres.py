"""Dagster, Optuna, MLflow and the ledger on one PostgreSQL: a study is searched to its champion."""

from __future__ import annotations

from contextlib import ExitStack, closing
from pathlib import Path

import dagster as dg
import pytest
import yaml
from dagster._core.instance.ref import InstanceRef

from tests.planted import Planted, market
from tests.postgres import fresh_base
from tests.thunes_pipelines.houses import house_at
from thunes_core.domain.bars import Interval
from thunes_pipelines import research_plan
from thunes_pipelines.assets import research

ROOT = Path(__file__).resolve().parents[2]
STUDY = "sma_crossover.TESTUSDT.1h"
SETTINGS = {"symbols": "TESTUSDT", "trials": 10, "folds": 2, "history_days": 1100}
STORES = ("dagster", "mlflow", "studies", "ledger")


@pytest.fixture
def bases():
    """Four empty bases of one server, by store."""
    with ExitStack() as stack:
        yield {store: stack.enter_context(fresh_base()) for store in STORES}


@pytest.fixture
def instance(bases, tmp_path, monkeypatch):
    """The instance of `deploy/postgres/dagster.yaml`."""
    pytest.importorskip("dagster_postgres")
    monkeypatch.setenv("DAGSTER_PG_URL", bases["dagster"])
    (tmp_path / "dagster").mkdir()
    given = yaml.safe_load((ROOT / "deploy/postgres/dagster.yaml").read_text())
    (tmp_path / "dagster" / "dagster.yaml").write_text(yaml.safe_dump(given))
    ref = InstanceRef.from_dir(str(tmp_path / "dagster"))
    with dg.DagsterInstance.from_ref(ref) as made:
        made.add_dynamic_partitions("study", [STUDY])
        yield made


@pytest.fixture
def house(bases, tmp_path):
    """A house whose stores are all on the server but the lake, with three years of an edge."""
    made = house_at(
        tmp_path / "home",
        ledger_url=bases["ledger"],
        mlflow_tracking_uri=bases["mlflow"],
        optuna_url=bases["studies"],
        **SETTINGS,
    )
    bars = market(Planted(5.0, 1000), 24 * 365 * 3, seed=2)
    start, end = bars["open_time"][0], bars["open_time"][-1] + Interval.H1.duration
    made.bars().replace_window(
        bars, symbol="TESTUSDT", interval=Interval.H1, start=start, end=end, observed_at=end
    )
    return made


@pytest.mark.slow
def test_one_postgres_carries_a_study_from_search_to_champion(instance, house, tmp_path):
    """The run, the trials, the version with its evidence and the champion stand in the server."""
    run = dg.materialize(
        research.ASSETS, partition_key=STUDY, resources={"house": house}, instance=instance
    )
    assert run.success
    champion = house.registry().champion(STUDY)
    with closing(house.ledger()) as ledger:
        assert ledger.remembered_champion(STUDY) == champion
    searches = research_plan.studies(house.settings()).counted(STUDY)
    assert sorted(one.trials for one in searches) == [10, 10, 10]
    assert instance.get_run_by_id(run.run_id).is_success
    assert not list(tmp_path.rglob("*.db"))


@pytest.mark.parametrize("where", ["postgres", "kubernetes"])
def test_deployed_instances_differ_from_the_usual_one_in_storage_and_pods_alone(where):
    """Queue, pools, retention and monitoring are the same on one host and on many."""
    usual = yaml.safe_load((ROOT / "dagster_home/dagster.yaml").read_text())
    assert usual.pop("run_launcher")["class"] == "WarmRunLauncher"  # its sockets are of one host
    deployed = yaml.safe_load((ROOT / f"deploy/{where}/dagster.yaml").read_text())
    assert deployed.pop("storage") == {"postgres": {"postgres_url": {"env": "DAGSTER_PG_URL"}}}
    pods = {deployed.pop(name, None) is not None for name in ("run_launcher", "compute_logs")}
    assert pods == {where == "kubernetes"}
    if where == "kubernetes":  # research has as many cores as there are pods
        assert _research_limits(deployed) == [4, 4]
        _research_limits(usual)
    assert deployed == usual


def _research_limits(instance):
    """Take how many searches and backfills may run at once out of an instance's settings."""
    _, *research = instance["concurrency"]["runs"]["tag_concurrency_limits"]
    return [one.pop("limit") for one in research]


def test_kubernetes_settings_are_those_of_a_pod_a_run():
    """The launcher knows its image's home, its secrets and the shared volume."""
    deployed = yaml.safe_load((ROOT / "deploy/kubernetes/dagster.yaml").read_text())
    config = deployed["run_launcher"]["config"]
    pod = config["run_k8s_config"]
    (volume,) = pod["pod_spec_config"]["volumes"]
    (mount,) = pod["container_config"]["volume_mounts"]
    assert deployed["run_launcher"]["class"] == "K8sRunLauncher"
    assert volume["name"] == mount["name"]
    assert config["env_secrets"] == ["thunes-secrets"]
