"""Wherever folds are run, whoever dies meanwhile: the walk-forward is the same."""

import os
import signal
import sys
from dataclasses import replace

import pytest

from tests.planted import Planted, market
from thunes_core.adapters.compute import Dask, Processes, run_on
from thunes_core.errors import BadInput, OutsideFailed
from thunes_core.research.compute import in_turn
from thunes_core.research.search import JournalFolder
from thunes_core.research.walk_forward import WalkForwardOptions, walk_forward

OPTIONS = WalkForwardOptions(folds=3, trials=60, seed=5)


def walk(compute=in_turn, progress=None, **options):
    """Walk the test's market."""
    return walk_forward(
        market(Planted(3.0), 4000, seed=1),
        strategy="sma_crossover",
        symbol="TESTUSDT",
        interval="1h",
        options=replace(OPTIONS, **options),
        progress=progress,
        compute=compute,
    )


@pytest.fixture(scope="module")
def alone():
    """The walk in one process, fold after fold."""
    return walk()


def same(one, other):
    """Say that two walks are equal in every trial, choice and equity."""
    return (
        one.trial_table.equals(other.trial_table)
        and one.stitched.equals(other.stitched)
        and [f.parameters for f in one.folds] == [f.parameters for f in other.folds]
        and one.chosen == other.chosen
    )


@pytest.mark.slow
def test_dask_with_a_worker_killed_midway_gives_the_single_process_result(tmp_path, alone):
    """Two worker processes, one is killed while it runs a fold: another runs that fold again."""
    distributed = pytest.importorskip("distributed")
    cluster = distributed.LocalCluster(
        n_workers=2,
        threads_per_worker=1,
        processes=True,
        host="127.0.0.1",
        dashboard_address=None,
        local_directory=str(tmp_path),
    )
    killed = []

    with cluster, distributed.Client(cluster) as client:
        pids = client.run(os.getpid)

        def kill_a_busy_worker(done, total, name):
            busy = [worker for worker, keys in client.processing().items() if keys]
            if not killed:
                killed.append(busy[0])
                os.kill(pids[busy[0]], signal.SIGKILL)

        spread = walk(
            lambda tasks, tell: run_on(client, tasks, tell),
            kill_a_busy_worker,
            studies=JournalFolder(tmp_path / "studies"),
        )
        client.wait_for_workers(2, timeout=60)
        now = client.run(os.getpid)
    assert len(set(pids.values())) == 2
    assert killed
    assert pids[killed[0]] not in now.values()
    assert same(spread, alone)


@pytest.mark.slow
def test_pool_of_processes_gives_the_single_process_result(alone):
    """Folds side by side in two processes; progress tells each that is finished."""
    told = []
    spread = walk(Processes(2), lambda done, total, name: told.append((done, total)))
    assert same(spread, alone)
    assert told == [(60 * n, 240) for n in range(1, 5)]


def test_dask_that_is_not_installed_is_told(monkeypatch):
    """The message names the extra, and the setting that needs none."""
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(BadInput, match="thunes\\[scale\\]"):
        walk(Dask())


def test_scheduler_that_does_not_answer_is_told(monkeypatch):
    """A dead address is a failure of the outside, with what to start."""
    pytest.importorskip("distributed")
    monkeypatch.setattr("thunes_core.adapters.compute.ANSWER_SECONDS", 1)
    with pytest.raises(OutsideFailed, match="dask scheduler"):
        walk(Dask("tcp://127.0.0.1:9"))


def test_faults_of_a_fold_come_back_as_they_are():
    """A strategy that accepts nothing fails in the pool with the message of the fold."""
    with pytest.raises(BadInput, match="expected one of tpe"):
        walk(Processes(1), sampler="magic", trials=1, folds=1)
