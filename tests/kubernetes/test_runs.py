"""Runs are pods, started, watched and ended by the launcher of `deploy/kubernetes/dagster.yaml`."""

from __future__ import annotations

import json
import os
import signal
from functools import partial

import dagster as dg
import pytest
import requests
from dagster._core.launcher import WorkerStatus

from tests.kubernetes.house import DAEMON, RUNS, deployed
from tests.planted import Planted, market
from tests.postgres import fresh_base
from thunes_core.adapters.bars.store import BarStore
from thunes_core.adapters.walks import WalkStore
from thunes_core.domain.bars import Interval
from thunes_core.settings import Settings

pytest.importorskip("dagster_k8s")
pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]
Status = dg.DagsterRunStatus
WALK = dg.AssetKey("walk_forward")
STUDIES = ["sma_crossover.TESTUSDT.1h", "ema_crossover.TESTUSDT.1h"]
SETTINGS = {
    "THUNES_EXCHANGE": "local",
    "THUNES_SYMBOLS": "TESTUSDT",
    "THUNES_STRATEGIES": "sma_crossover,ema_crossover",
    "THUNES_TRIALS": "10",
    "THUNES_FOLDS": "2",
    "THUNES_HISTORY_DAYS": "300",
    "NUMBA_CACHE_DIR": "",  # compiled with the other tests
}


@pytest.fixture(scope="module")
def deployment(tmp_path_factory):
    """The deployment on one PostgreSQL, with bars on its volume."""
    folder = tmp_path_factory.mktemp("cluster")
    with (
        fresh_base() as dagster,
        fresh_base() as ledger,
        fresh_base() as studies,
        fresh_base() as mlflow,
        pytest.MonkeyPatch.context() as patched,
    ):
        urls = {
            "DAGSTER_PG_URL": dagster,
            "THUNES_LEDGER_URL": ledger,
            "THUNES_OPTUNA_URL": studies,
            "MLFLOW_BACKEND_STORE_URI": mlflow,
        }
        with deployed(folder, SETTINGS, urls, patched) as made:
            _store_bars(made.home())
            made.instance.add_dynamic_partitions("study", STUDIES)
            made.instance.event_log_storage.set_concurrency_slots("research", 2)
            yield made


@pytest.fixture
def house(deployment):
    """The deployment without a run."""
    yield deployment
    deployment.clear()


@pytest.fixture
def endless(house, monkeypatch):
    """Walk-forwards that do not end by themselves."""
    monkeypatch.setitem(house.cluster.store.maps["thunes-settings"], "THUNES_TRIALS", "1000000")


def _store_bars(home):
    bars = market(Planted(5.0, 1000), 24 * 330, seed=2)
    start, end = bars["open_time"][0], bars["open_time"][-1] + Interval.H1.duration
    BarStore(Settings(home=home, _env_file=None).lake_root).replace_window(
        bars, symbol="TESTUSDT", interval=Interval.H1, start=start, end=end, observed_at=end
    )


def started(house):
    """Backfill one partition and return its run once its pod works on it."""
    house.backfill(WALK, STUDIES[:1])
    (run,) = house.until(lambda: house.runs(Status.STARTED), "a run has started in its pod")
    return run


def test_a_backfill_of_partitions_becomes_a_pod_each(house):
    """Two studies are walked forward in two pods, whose jobs hold no secret; both succeed."""
    house.backfill(WALK, STUDIES)
    runs = house.until(
        lambda: len(done := house.runs(Status.SUCCESS, Status.FAILURE)) == 2 and done,
        "two runs have ended",
    )
    assert {run.status for run in runs} == {Status.SUCCESS}
    assert house.instance.get_materialized_partitions(WALK) == set(STUDIES)
    assert sorted(run.tags["dagster/partition"] for run in runs) == sorted(STUDIES)
    assert {run.tags["dagster/image"] for run in runs} == {"thunes:0.1.0"}
    done = WorkerStatus.SUCCESS
    walks = WalkStore(Settings(home=house.home(), _env_file=None).lake_root)
    assert [walks.newest(study).trials for study in STUDIES] == [30, 30]
    for run in runs:
        told = house.instance.all_logs(run.run_id)
        assert not [event for event in told if "blocked by limit" in (event.message or "")]
        assert house.until(lambda run=run: house.pod(run).phase == "Succeeded", "its pod ended")
        assert house.instance.run_launcher.check_run_worker_health(run).status is done
    assert set(house.api.asked) == {"create jobs", "get jobs/status"}
    for job in house.cluster.jobs.values():
        assert job["spec"]["backoffLimit"] == 0  # a tick's pod is never started a second time
        assert not [
            url
            for url in house.cluster.store.secrets["thunes-secrets"].values()
            if url in json.dumps(job)
        ]


@pytest.mark.usefixtures("endless")
def test_a_pod_that_dies_ends_its_run_as_failed(house):
    """Killed without a word, it is noticed by its job: run monitoring ends the run and says why."""
    run = started(house)
    launcher = house.instance.run_launcher
    assert launcher.check_run_worker_health(run).status is WorkerStatus.RUNNING
    os.kill(house.pod(run).process.pid, signal.SIGKILL)
    house.pod(run).process.wait()
    assert launcher.check_run_worker_health(run).status is WorkerStatus.FAILED
    (failed,) = house.until(lambda: house.runs(Status.FAILURE), "the run is failed")
    (event,) = house.instance.all_logs(failed.run_id, of_type=dg.DagsterEventType.RUN_FAILURE)
    assert "K8s job has no active pods" in event.message
    assert "exit code 137" in event.message


@pytest.mark.usefixtures("endless")
def test_a_terminated_run_loses_its_job_and_its_pod(house):
    """The pod is asked to end, the run ends as cancelled, nothing of it is left in the cluster."""
    run = started(house)
    process = house.pod(run).process
    assert house.instance.run_launcher.terminate(run.run_id)
    house.until(lambda: house.runs(Status.CANCELED), "the run is cancelled")
    house.until(lambda: process.poll() is not None, "its process has ended")
    assert house.cluster.jobs == {}
    assert list(house.cluster.pods) == ["thunes-code"]
    assert not house.instance.run_launcher.terminate(run.run_id)


def test_runs_may_ask_nothing_of_the_cluster(house):
    """The token of the runs' account opens nothing, the daemon's what the launcher needs."""
    url = f"https://127.0.0.1:{house.api.port}/apis/batch/v1/namespaces/thunes/jobs"
    named = {"fieldSelector": "metadata.name=x"}
    answers = {}
    for account in (DAEMON, RUNS, "nobody"):
        bearer = {"Authorization": f"Bearer {house.cluster.tokens.get(account, 'x')}"}
        ca = str(house.cluster.folder / "ca.crt")
        answers[account] = requests.get(
            url, named, headers=bearer, verify=ca, timeout=10
        ).status_code
    assert answers == {DAEMON: 200, RUNS: 403, "nobody": 401}


def test_a_pod_without_its_secret_does_not_start_and_says_why(house, monkeypatch):
    """The run waits, and what people are shown names what is missing."""
    secret = house.cluster.store.secrets["thunes-secrets"]
    monkeypatch.delitem(house.cluster.store.secrets, "thunes-secrets")
    house.backfill(WALK, STUDIES[:1])
    (run,) = house.until(lambda: house.runs(Status.STARTING), "a run is starting")
    told = house.instance.run_launcher.get_run_worker_debug_info(run)
    assert "secret 'thunes-secrets' not found" in told
    assert not [value for value in secret.values() if value in told]


@pytest.mark.parametrize(
    ("name", "port"), [("thunes-webserver", "3000"), ("thunes-mlflow", "5000")]
)
def test_a_pod_of_the_deployment_starts_and_its_own_probe_finds_it_ready(house, name, port):
    """What the manifest starts understands its arguments, on the stores of the Secret."""
    house.start(name, port)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount a token where pods look for it")
def test_the_daemons_own_pod_launches_runs(house):
    """Nothing but the daemon's pod starts them, with its account's token, inside the cluster."""
    house.start_daemon()
    house.backfill(WALK, STUDIES[:1])
    ended = partial(house.runs, Status.SUCCESS, Status.FAILURE)
    (run,) = house.until(ended, "the daemon's run has ended", steps=False)
    assert run.status is Status.SUCCESS
    assert house.pod(run).phase in {"Running", "Succeeded"}
