"""Folds on several processes: a pool on this machine, or Dask's workers on any number of hosts.

A task that lost its worker is run again; its result is the same, and its study goes on where the
dead worker left it. Dask's processes trust each other and speak pickle: a scheduler belongs on a
closed network, or behind TLS.

Add here: another place to run folds. Keep out: what a fold does (research).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import get_context
from typing import TYPE_CHECKING, Any

from thunes_core.errors import BadInput, OutsideFailed
from thunes_core.research.compute import Progress, tell_finished
from thunes_core.research.folds import FoldDone, FoldTask, run_fold

if TYPE_CHECKING:
    from distributed import Client

ATTEMPTS = 4
"""How often a fold is begun, at most, when the workers that run it die."""
ANSWER_SECONDS = 20


@dataclass(frozen=True, slots=True)
class Processes:
    """A pool of `workers` processes on this machine, made anew for every walk-forward."""

    workers: int

    def __call__(self, tasks: Sequence[FoldTask], tell: Progress) -> list[FoldDone]:
        """Run the folds; `OutsideFailed` when a process dies."""
        context = get_context("spawn")  # polars has threads
        with ProcessPoolExecutor(min(self.workers, len(tasks)), context) as pool:
            names = {pool.submit(run_fold, task): task.name for task in tasks}
            try:
                for count, future in enumerate(as_completed(names), 1):
                    future.result()
                    tell_finished(tell, tasks, count, names[future])
            except BrokenProcessPool as error:
                raise OutsideFailed(
                    "walk-forward: expected every process of the pool to live; one died, out of "
                    "memory perhaps; run it again, it continues; or lower THUNES_COMPUTE_WORKERS"
                ) from error
            return [future.result() for future in names]


@dataclass(frozen=True, slots=True)
class Dask:
    """Dask: the cluster of `scheduler` (tcp://host:8786), or without one `workers` local processes.

    `BadInput` where Dask is not installed, `OutsideFailed` where the scheduler does not answer or
    a fold lost its worker four times.
    """

    scheduler: str | None = None
    workers: int = 2

    def __call__(self, tasks: Sequence[FoldTask], tell: Progress) -> list[FoldDone]:
        """Run the folds on the cluster."""
        with _client(self) as client:
            return run_on(client, tasks, tell)


def run_on(client: Client, tasks: Sequence[FoldTask], tell: Progress) -> list[FoldDone]:
    """Run the folds on the workers of `client`; a fold whose worker died goes to another."""
    from distributed import KilledWorker
    from distributed import as_completed as as_finished

    futures = [client.submit(run_fold, task, pure=False, retries=ATTEMPTS - 1) for task in tasks]
    names = {future.key: task.name for future, task in zip(futures, tasks, strict=True)}
    try:
        for count, future in enumerate(as_finished(futures), 1):
            future.result()
            tell_finished(tell, tasks, count, names[future.key])
        return list(client.gather(futures))
    except KilledWorker as error:
        raise OutsideFailed(
            f"walk-forward: expected Dask's workers to live; {names.get(error.task, 'a fold')} "
            "lost its worker again and again; look at the workers' logs and memory, run it again"
        ) from error


@contextmanager
def _client(how: Dask) -> Iterator[Any]:
    try:
        from distributed import Client, LocalCluster
    except ImportError as error:
        raise BadInput(
            "THUNES_COMPUTE: expected the extra `scale` for dask; it is not installed; install "
            "thunes[scale] (requirements-scale.lock), or set THUNES_COMPUTE to in_turn"
        ) from error
    if how.scheduler is None:
        with (
            LocalCluster(
                n_workers=how.workers,
                threads_per_worker=1,
                processes=True,
                host="127.0.0.1",
                dashboard_address=None,
            ) as cluster,
            Client(cluster) as client,
        ):
            yield client
        return
    try:
        client = Client(how.scheduler, timeout=ANSWER_SECONDS)
    except (OSError, ValueError) as error:
        raise OutsideFailed(
            f"THUNES_DASK_SCHEDULER: expected a Dask scheduler at {how.scheduler}; {error}; start "
            "it with `dask scheduler`, or correct the address"
        ) from error
    with client:
        yield client
