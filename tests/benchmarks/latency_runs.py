"""From the launch of a Dagster run of `trade` to its order at the testnet, a process a run.

A run is launched as `thunes up` does, by a fork of its warm process, or as Dagster's own launchers
do, by `dagster api execute_run` in a fresh process. The daemon's queue, which looks once a second
(`dagster.yaml`), comes on top. The first run is not counted: it makes the stores of Dagster, and
the project's byte code, which are there ever after.

Add here: another moment of a run. Keep out: what happens within the tick (`latency_inside`).
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dagster as dg
from dagster._core.code_pointer import ModuleCodePointer
from dagster._core.origin import (
    DEFAULT_DAGSTER_ENTRY_POINT,
    JobPythonOrigin,
    RepositoryPythonOrigin,
)
from dagster._grpc.types import ExecuteRunArgs
from dagster._serdes import serialize_value

from tests.benchmarks.apart import in_another_process
from tests.benchmarks.latency_inside import (
    START,
    SYMBOLS,
    environment,
    remember_champions,
    trading_settings,
)
from thunes_core.domain.bars import Interval
from thunes_pipelines.services import processes, run_server
from thunes_pipelines.services.probes import listens
from thunes_pipelines.services.state_folder import MODULE

ROOT = Path(__file__).resolve().parents[2]
Heard = list[tuple[float, str, float]]


@dataclass(frozen=True, slots=True)
class RunTimes:
    """Seconds from the launch to each moment of a run; CPU to the order, and of the whole run."""

    started: float
    step: float
    first_request: float
    order: float
    ended: float
    cpu_to_order: float
    cpu: float


class Testnet:
    """A testnet in another process, which tells what it heard and when."""

    def __init__(self, url: str, pipe: Any) -> None:
        self.url = url
        self._pipe = pipe

    def step(self) -> None:
        """Let a minute of the exchange pass."""
        self._ask("step")

    def heard(self) -> Heard:
        """Return the requests since the last question: moment, method, CPU of the watched."""
        told: Heard = self._ask("heard")
        return told

    def watch(self, pid: int) -> None:
        """Note with every request how much CPU that process took until then."""
        self._ask(pid)

    def _ask(self, question: str | int) -> Any:
        self._pipe.send(question)
        return self._pipe.recv()


def cpu_seconds(pid: int) -> float:
    """Return the CPU a running process took, its finished children included; 0 for none."""
    if not pid:
        return 0.0
    told = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return sum(map(int, told[11:15])) / os.sysconf("SC_CLK_TCK")


def _serve(pipe: Any) -> None:
    """Serve a stepped market and answer questions; runs in a process of its own."""
    from thunes_core.testnet.app import serve_in_thread
    from thunes_core.testnet.market import generated_market
    from thunes_core.testnet.rest import Door

    heard: Heard = []
    watched = [0]
    answer = Door.answer

    def listening(door: Door, request: Any) -> Any:
        heard.append((time.time(), request.method, cpu_seconds(watched[0])))
        return answer(door, request)

    Door.answer = listening  # type: ignore[method-assign]
    market = generated_market(list(SYMBOLS), start=START, interval=Interval.M1, history_days=2)
    with serve_in_thread(market, clock="stepped") as running:
        pipe.send(running.url)
        while (question := pipe.recv()) != "stop":
            if question == "step":
                running.exchange.clock.move_to(running.exchange.clock.now_ms() + 60_000)
                running.exchange.advance()
            if isinstance(question, int):
                watched[0] = question
            pipe.send(heard.copy() if question == "heard" else None)
            heard.clear()


@contextmanager
def testnet() -> Iterator[Testnet]:
    """Yield a testnet that runs in another process."""
    with in_another_process(_serve) as (url, pipe):
        yield Testnet(url, pipe)


class Fresh:
    """Workers as Dagster's own launchers start them: a new interpreter each."""

    def __init__(self, folder: Path, environment: Mapping[str, str]) -> None:
        self._environment = os.environ | environment
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, run: str) -> int:
        """Start the worker of a serialised run and return its process id."""
        self._process = subprocess.Popen(
            [sys.executable, "-m", "dagster", "api", "execute_run", run],
            env=self._environment,
            cwd=ROOT,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        return self._process.pid

    def end(self) -> float:
        """Wait for the worker and return the CPU it took."""
        assert self._process
        _, status, used = os.wait4(self._process.pid, 0)
        self._process.returncode = os.waitstatus_to_exitcode(status)
        return used.ru_utime + used.ru_stime

    def close(self) -> None:
        """Nothing is left of it."""


class Forked:
    """Workers as `thunes up` starts them: forks of a warm process, whose own CPU counts too."""

    def __init__(self, folder: Path, environment: Mapping[str, str]) -> None:
        self._folder = folder
        command = (sys.executable, "-m", run_server.MODULE, str(folder))
        self._server = processes.start(command, environment, folder / "runs.log")
        while not listens(folder / "runs.sock"):
            time.sleep(0.05)

    def start(self, run: str) -> int:
        """Ask for the worker of a serialised run and return its process id."""
        self._before = cpu_seconds(self._server.pid)
        noted: list[int] = []
        if not run_server.ask(self._folder, run, noted.append):
            raise SystemExit(f"trade: expected a fork; see {self._folder / 'runs.log'}")
        (self._worker,) = noted
        return self._worker

    def end(self) -> float:
        """Wait for the worker and return the CPU it took, and the server for it."""
        while Path(f"/proc/{self._worker}").exists():  # its CPU counts once it is collected
            time.sleep(0.005)
        return cpu_seconds(self._server.pid) - self._before

    def close(self) -> None:
        """End the server."""
        processes.stop(self._server, seconds=5, patience_seconds=0)


def measure(
    folder: Path, exchange: Testnet, runs: int, way: type[Fresh | Forked]
) -> list[RunTimes]:
    """Time so many runs of one Dagster home, whose bars asked for an order, after a first one."""
    folder.mkdir()
    shutil.copy(ROOT / "dagster_home" / "dagster.yaml", folder)
    remember_champions(trading_settings(folder, exchange.url))
    given = {f"THUNES_{k.upper()}": v for k, v in environment(folder, exchange.url).items()}
    given |= {"PYTHONDONTWRITEBYTECODE": "", "DAGSTER_HOME": str(folder)}
    found: list[RunTimes] = []
    with closing(way(folder, given)) as workers:
        for number in range(1 + 10 * runs):
            exchange.step()
            timed = _measure_run(folder, exchange, workers)
            if timed is not None and number > 0:
                found.append(timed)
            if len(found) == runs:
                break
    return found


def _measure_run(folder: Path, exchange: Testnet, workers: Fresh | Forked) -> RunTimes | None:
    """Launch one run; None when its bar asked for no order."""
    with dg.DagsterInstance.from_config(str(folder)) as instance:
        run, arguments = _created(instance)
        exchange.heard()
        launched = time.time()
        exchange.watch(workers.start(arguments))
        used = workers.end()
        ended, heard = time.time(), exchange.heard()
        seen = {log.dagster_event_type: log.timestamp for log in instance.all_logs(run.run_id)}
    if dg.DagsterEventType.RUN_SUCCESS not in seen:
        raise SystemExit(f"trade: expected the run to succeed; it saw {sorted(map(str, seen))}")
    posts = [(moment, cpu) for moment, method, cpu in heard if method == "POST"]
    if not posts:
        return None
    moments = (
        seen[dg.DagsterEventType.RUN_START],
        seen[dg.DagsterEventType.STEP_START],
        heard[0][0],
        posts[0][0],
        ended,
    )
    return RunTimes(*(moment - launched for moment in moments), posts[0][1], used)


def _created(instance: dg.DagsterInstance) -> tuple[dg.DagsterRun, str]:
    """Create a run of `trade` and return it with what its worker is told."""
    from thunes_pipelines.definitions import defs

    pointer = ModuleCodePointer(MODULE, "defs", str(ROOT))
    code = RepositoryPythonOrigin(sys.executable, pointer, None, DEFAULT_DAGSTER_ENTRY_POINT, None)
    origin = JobPythonOrigin("trade", code)
    job = defs.resolve_job_def("trade")
    run = instance.create_run_for_job(job, job_code_origin=origin, tags=job.run_tags)
    return run, serialize_value(ExecuteRunArgs(origin, run.run_id, instance.get_ref()))
