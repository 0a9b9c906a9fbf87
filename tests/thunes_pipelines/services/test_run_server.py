"""Runs are done by forks of a warm process; what it cannot do is left to Dagster's own way."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import sys
import threading
import time
from contextlib import ExitStack, contextmanager
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.code_pointer import FileCodePointer
from dagster._core.errors import DagsterInvariantViolationError, DagsterLaunchFailedError
from dagster._core.launcher import LaunchRunContext, WorkerStatus
from dagster._core.origin import (
    DEFAULT_DAGSTER_ENTRY_POINT,
    JobPythonOrigin,
    RepositoryPythonOrigin,
)
from dagster._grpc.types import ExecuteRunArgs
from dagster._serdes import serialize_value

from tests.thunes_pipelines.services import small_code
from thunes_pipelines.services import processes, run_launcher, run_server
from thunes_pipelines.services.probes import listens
from thunes_pipelines.services.run_launcher import WORKER_TAG
from thunes_pipelines.services.run_server import NotBegun, ask
from thunes_pipelines.services.state_folder import RUNS_SOCKET, socket_in

ROOT = Path(__file__).resolve().parents[3]
LIMIT_SECONDS = 60
OURS = "requires a workspace"
"""What Dagster's own way says when it is asked without one: the run was left to it."""


def wait_for(found):
    """Return the first true value of `found()`."""
    deadline = time.monotonic() + LIMIT_SECONDS
    while time.monotonic() < deadline:
        if value := found():
            return value
        time.sleep(0.05)
    pytest.fail(f"nothing within {LIMIT_SECONDS} s")


def dagster_home(folder):
    """Make a Dagster home with the project's own instance settings."""
    home = folder / "dagster"
    home.mkdir()
    shutil.copy(ROOT / "dagster_home" / "dagster.yaml", home)
    return home


@contextmanager
def serving(home, code=ROOT):
    """Run a server for a Dagster home until the block ends; its working directory is beside."""
    log = home.parent / "runs.log"
    command = (sys.executable, "-m", run_server.MODULE, str(home))
    before = Path.cwd()
    os.chdir(home.parent)
    try:
        process = processes.start(command, {"PYTHONPATH": str(code)}, log)
    finally:
        os.chdir(before)
    try:
        wait_for(lambda: listens(socket_in(home, RUNS_SOCKET)))
        yield process
    finally:
        processes.stop(process, seconds=10, patience_seconds=0)


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A Dagster home that a warm process serves."""
    return dagster_home(tmp_path_factory.mktemp("warm"))


@pytest.fixture(scope="module")
def server(home):
    """The warm process."""
    with serving(home) as process:
        yield process


@pytest.fixture
def instance(home, server):
    """The instance of that home."""
    with dg.DagsterInstance.from_config(str(home)) as opened:
        yield opened


def created(instance, job, config=None, tags=None):
    """Create a run of the small code location."""
    pointer = FileCodePointer(small_code.__file__, "defs", str(ROOT))
    code = RepositoryPythonOrigin(sys.executable, pointer, None, DEFAULT_DAGSTER_ENTRY_POINT, None)
    return instance.create_run_for_job(
        small_code.defs.resolve_job_def(job),
        job_code_origin=JobPythonOrigin(job, code),
        run_config=config or {},
        tags=tags,
    )


def launch(instance, job, config=None):
    """Launch a run of the small code location and return its id."""
    run = created(instance, job, config)
    instance.run_launcher.launch_run(LaunchRunContext(run, None))
    return run.run_id


def question(instance, run):
    """Return what is asked of the server for a run."""
    return serialize_value(ExecuteRunArgs(run.job_code_origin, run.run_id, instance.get_ref()))


def forked_for_nothing(home):
    """Return the process id of a worker that has no run to do; None when none is forked."""
    noted = []
    return noted[0] if ask(home, "no run", noted.append) else None


def tell_to(path):
    """Return the configuration by which `telling` writes to a file."""
    return {"ops": {"tell": {"config": {"path": str(path)}}}}


def status_of(instance, run_id):
    """Return where a run is in its life."""
    return instance.get_run_by_id(run_id).status


def worker_of(instance, run_id):
    """Return the name of the process that does a run."""
    return run_launcher.worker_of(instance.get_run_by_id(run_id))


@pytest.mark.slow
def test_runs_are_done_by_forks_of_the_warm_process(instance, server, tmp_path):
    """Each in a process of its own, which had imported what a tick needs; none is left behind."""
    paths = [tmp_path / "one.json", tmp_path / "two.json"]
    runs = [launch(instance, "telling", tell_to(path)) for path in paths]
    for run in runs:
        wait_for(lambda run=run: status_of(instance, run) is dg.DagsterRunStatus.SUCCESS)
    told = [json.loads(path.read_text()) for path in paths]
    assert [one["parent"] for one in told] == [server.pid, server.pid]
    assert all(one["warm"] for one in told)
    assert len({one["pid"] for one in told}) == 2
    for run, one in zip(runs, told, strict=True):
        assert worker_of(instance, run).startswith(f"{one['pid']}@")
        wait_for(lambda run=run: processes.living(worker_of(instance, run)) is None)


@pytest.mark.slow
def test_a_worker_that_was_killed_is_found_dead(instance):
    """Run monitoring asks for it; one that goes on is well."""
    going, killed = launch(instance, "waiting"), launch(instance, "dying")
    health = instance.run_launcher.check_run_worker_health
    wait_for(lambda: health(instance.get_run_by_id(killed)).status is WorkerStatus.FAILED)
    assert health(instance.get_run_by_id(going)).status is WorkerStatus.RUNNING
    assert instance.run_launcher.supports_check_run_worker_health
    os.kill(processes.living(worker_of(instance, going)), signal.SIGKILL)


@pytest.mark.slow
def test_a_run_is_terminated_by_a_signal_to_its_worker(instance):
    """It ends as CANCELED by its own hand; what has ended cannot be asked again."""
    run = launch(instance, "waiting")
    wait_for(lambda: status_of(instance, run) is dg.DagsterRunStatus.STARTED)
    wait_for(lambda: instance.all_logs(run, of_type=dg.DagsterEventType.STEP_START))
    assert instance.run_launcher.terminate(run)
    wait_for(lambda: status_of(instance, run) is dg.DagsterRunStatus.CANCELED)
    assert not instance.run_launcher.terminate(run)


@pytest.mark.slow
@pytest.mark.parametrize("wait_seconds", [0.0, 0.1, 0.2, 0.4, 0.6])
def test_a_run_that_is_terminated_at_once_is_over_at_once(instance, wait_seconds):
    """Its worker does not listen yet; nobody would end the run for a minute."""
    run = launch(instance, "waiting")
    time.sleep(wait_seconds)  # into the second in which a worker begins
    assert instance.run_launcher.terminate(run)
    wait_for(lambda: instance.get_run_by_id(run).is_finished)
    assert processes.ends(worker_of(instance, run), LIMIT_SECONDS)


@pytest.mark.slow
def test_a_run_that_is_stopped_while_it_is_launched_does_not_begin(instance, monkeypatch, tmp_path):
    """Who stops it finds no worker to ask; the one that is forked gets no word."""
    run = created(instance, "telling", tell_to(tmp_path / "told.json"))
    tag = instance.add_run_tags

    def add_run_tags(run_id, tags):
        instance.run_launcher.terminate(run_id)
        tag(run_id, tags)

    monkeypatch.setattr(instance, "add_run_tags", add_run_tags)
    with pytest.raises(DagsterLaunchFailedError, match="was not to begin"):
        instance.run_launcher.launch_run(LaunchRunContext(run, None))
    assert status_of(instance, run.run_id) is dg.DagsterRunStatus.CANCELED
    wait_for(lambda: processes.living(worker_of(instance, run.run_id)) is None)
    assert not (tmp_path / "told.json").exists()


@pytest.mark.slow
def test_a_run_whose_worker_is_dead_is_over_when_it_is_terminated(instance):
    """Run monitoring looks at no worker of a run that is to stop."""
    run = launch(instance, "dying")
    wait_for(lambda: processes.living(worker_of(instance, run)) is None)
    assert instance.run_launcher.terminate(run)
    assert status_of(instance, run) is dg.DagsterRunStatus.CANCELED


@pytest.mark.slow
def test_garbage_ends_no_server(instance, home, server, tmp_path):
    """Nothing, too much, something else, and somebody who never says a word."""
    path = str(socket_in(home, RUNS_SOCKET))
    for said in (b"", b"half a question", b"x" * (run_server.LONGEST_BYTES + 1)):
        with socket.socket(socket.AF_UNIX) as asking:
            asking.connect(path)
            try:
                asking.sendall(said)
            except BrokenPipeError:
                assert said
    worker = forked_for_nothing(home)
    wait_for(lambda: processes.identity(worker) is None)
    with socket.socket(socket.AF_UNIX) as silent:
        silent.connect(path)
        run = launch(instance, "telling", tell_to(tmp_path / "told.json"))
    wait_for(lambda: status_of(instance, run) is dg.DagsterRunStatus.SUCCESS)
    assert json.loads((tmp_path / "told.json").read_text())["parent"] == server.pid


@pytest.mark.slow
def test_a_server_that_hangs_is_not_well(home, server):
    """Nothing it was asked meanwhile is begun when it goes on."""
    assert run_server.is_well(socket_in(home, RUNS_SOCKET))
    os.kill(server.pid, signal.SIGSTOP)
    try:
        assert not run_server.is_well(socket_in(home, RUNS_SOCKET))
    finally:
        os.kill(server.pid, signal.SIGCONT)
    wait_for(lambda: run_server.is_well(socket_in(home, RUNS_SOCKET)))


def test_a_server_that_does_not_listen_yet_is_left_to_load(tmp_path):
    """On a busy machine that takes a while; whether it lives is asked elsewhere."""
    path = tmp_path / "runs.sock"
    assert run_server.is_well(path)
    with socket.socket(socket.AF_UNIX) as gone:
        gone.bind(str(path))
    assert run_server.is_well(path)


def test_an_installed_library_is_a_change(tmp_path, monkeypatch):
    """A worker must not go on with the one before."""
    monkeypatch.setattr(run_server, "_LIBRARIES", {tmp_path})
    before = run_server._sources()
    assert run_server._sources() == before
    (tmp_path / "better-2.0.dist-info").mkdir()
    assert run_server._sources() != before


def test_nothing_is_loaded_in_the_second_in_which_it_was_changed(tmp_path, monkeypatch):
    """A second change within it may be told by nothing."""
    edited = tmp_path / "edited.py"
    edited.touch()
    monkeypatch.setattr(run_server, "_PACKAGES", ())
    monkeypatch.setattr(run_server, "_LIBRARIES", {edited})
    assert run_server._settled() == {edited: edited.stat().st_mtime_ns}
    assert int(time.time()) > int(edited.stat().st_mtime)


@pytest.mark.slow
def test_changed_settings_are_read_before_the_next_run(instance, home, server, tmp_path):
    """That run is left to Dagster's own way; the server begins again as the same process."""
    (home.parent / ".env").write_text("THUNES_SYMBOLS=ETHUSDT\n")
    with pytest.raises(DagsterInvariantViolationError, match=OURS):
        launch(instance, "telling", tell_to(tmp_path / "told.json"))
    wait_for(lambda: listens(socket_in(home, RUNS_SOCKET)))
    run = launch(instance, "telling", tell_to(tmp_path / "told.json"))
    wait_for(lambda: status_of(instance, run) is dg.DagsterRunStatus.SUCCESS)
    assert json.loads((tmp_path / "told.json").read_text())["parent"] == server.pid


@pytest.mark.slow
def test_faulty_code_is_waited_out(tmp_path):
    """A file in the middle of an edit leaves runs to Dagster's own way; mended, they are forked."""
    home, code = dagster_home(tmp_path), tmp_path / "code"
    for package in ("thunes_core", "thunes_pipelines"):
        left_out = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / package, code / package, ignore=left_out)
    faulty = code / "thunes_pipelines" / "schedules.py"
    right = faulty.read_text()
    faulty.write_text(right + "\ndef (")
    with serving(home, code) as process:
        assert forked_for_nothing(home) is None
        assert "SyntaxError" in (tmp_path / "runs.log").read_text()
        faulty.write_text(right)
        assert forked_for_nothing(home) is None
        worker = wait_for(lambda: forked_for_nothing(home))
        assert worker != process.pid
        assert process.poll() is None


def test_without_a_server_runs_start_as_by_default(tmp_path):
    """Nobody listens in this home."""
    home = dagster_home(tmp_path)
    with dg.DagsterInstance.from_config(str(home)) as instance:
        with pytest.raises(DagsterInvariantViolationError, match=OURS):
            launch(instance, "waiting")
        (run,) = instance.get_runs()
        assert WORKER_TAG not in run.tags
        assert instance.run_launcher.check_run_worker_health(run).status is WorkerStatus.RUNNING


def test_a_worker_that_goes_before_the_word_has_not_begun(tmp_path):
    """It was noted: the launch has failed, and is not left to Dagster's own way as well."""
    home = dagster_home(tmp_path)
    with leaving(home, b"1\n") as server, pytest.raises(NotBegun, match="process 1 was gone"):
        ask(home, "a run", lambda _: server.join())


@pytest.mark.slow
def test_a_worker_begins_when_it_is_noted_and_not_before(instance, home, tmp_path):
    """One whose launcher fails before the word ends by itself, and its run has not begun."""
    run, noted = created(instance, "telling", tell_to(tmp_path / "told.json")), []

    def fail(pid):
        noted.append(processes.identity(pid))
        raise ConnectionError("the database is gone")

    with pytest.raises(ConnectionError, match="the database"):
        ask(home, question(instance, run), fail)
    wait_for(lambda: processes.living(noted[0]) is None)
    assert status_of(instance, run.run_id) is dg.DagsterRunStatus.NOT_STARTED
    assert not (tmp_path / "told.json").exists()


@pytest.mark.slow
def test_the_warm_process_has_no_pool_of_threads_and_no_file(server):
    """A fork has none of its threads: work handed to a pool of them would never be done there."""
    threads = Path(f"/proc/{server.pid}/task").glob("*/comm")
    idle = {"python", "jemalloc_bg_thd", "polars-ooc-clea"}
    assert {path.read_text().strip() for path in threads} <= idle
    opened = {path.readlink().name for path in Path(f"/proc/{server.pid}/fd").iterdir()}
    assert {name.partition(":")[0] for name in opened} == {"null", "runs.log", "socket"}


def test_a_run_that_repeats_another_does_not_take_over_its_worker(tmp_path):
    """Dagster gives a retry the tags of the run before: what is dead there is not this one."""
    home, before = dagster_home(tmp_path), {WORKER_TAG: "another-run 1@1"}
    with dg.DagsterInstance.from_config(str(home)) as instance:
        run = created(instance, "waiting", tags=before)
        assert instance.run_launcher.check_run_worker_health(run).status is WorkerStatus.RUNNING
        assert not instance.run_launcher.terminate(run.run_id)
        (event,) = instance.all_logs(run.run_id, of_type=dg.DagsterEventType.ENGINE_EVENT)
        assert "Unable to get grpc client" in event.message


def test_a_server_that_is_silent_or_has_too_many_to_hear_has_begun_nothing(tmp_path, monkeypatch):
    """A run is not lost by that: it is left to Dagster's own way."""
    monkeypatch.setattr(run_server, "ANSWER_SECONDS", 0.05)
    home, asking = dagster_home(tmp_path), []
    with socket.socket(socket.AF_UNIX) as listener, ExitStack() as opened:
        listener.bind(str(socket_in(home, RUNS_SOCKET)))
        listener.listen(0)
        while True:
            assert not ask(home, "a run", pytest.fail)
            asking.append(opened.enter_context(socket.socket(socket.AF_UNIX)))
            asking[-1].setblocking(False)
            try:
                asking[-1].connect(str(socket_in(home, RUNS_SOCKET)))
            except BlockingIOError:
                break
        assert not ask(home, "a run", pytest.fail)


def test_a_server_that_goes_before_it_has_a_worker_has_started_nothing(tmp_path):
    """As when it begins again with new code: the run is left to Dagster's own way."""
    home = dagster_home(tmp_path)
    opened = dg.DagsterInstance.from_config(str(home))
    with leaving(home), opened, pytest.raises(DagsterInvariantViolationError, match=OURS):
        launch(opened, "waiting")


@contextmanager
def leaving(home, says=b""):
    """Serve a home by somebody who hears one question, says so much, and goes."""

    def serve():
        connection, _ = listener.accept()
        with connection:
            while not connection.recv(65_536).endswith(b"\n"):
                pass
            connection.sendall(says)

    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(socket_in(home, RUNS_SOCKET)))
        listener.listen()
        server = threading.Thread(target=serve)
        server.start()
        yield server
        server.join()


def test_a_home_with_too_long_a_path_has_no_sockets(tmp_path):
    """A Unix socket's path has about a hundred bytes; the services then do without."""
    assert socket_in(tmp_path / ("x" * 120), RUNS_SOCKET) is None
