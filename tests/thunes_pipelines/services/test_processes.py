"""Children are started with clean signals and ended to the last one."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from thunes_core.clock import monotonic_seconds
from thunes_pipelines.services import processes

PARENT = """
import subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", {child!r}])
print(child.pid, flush=True)
{then}
"""
SLEEP = "import time; time.sleep(60)"
DEAF = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(60)"


def python(code: str) -> list[str]:
    """Return a command that runs `code`."""
    return [sys.executable, "-c", code]


def wait_for(log, words: str = "\n") -> str:
    """Wait until the child has written, and return its log."""
    deadline = monotonic_seconds() + 20
    while words not in (text := log.read_text() if log.exists() else ""):
        assert monotonic_seconds() < deadline, text
        time.sleep(0.02)
    return text


def is_alive(pid: int) -> bool:
    """True while the process exists and has not ended."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    stat = Path(f"/proc/{pid}/stat").read_text()
    return stat.rpartition(")")[2].split()[0] != "Z"


@pytest.fixture
def log(tmp_path):
    """Where a child writes."""
    return tmp_path / "logs" / "child.log"


@pytest.fixture
def adopting():
    """Take in orphans for the time of a test."""
    processes.adopt_orphans()
    yield
    if processes._libc is not None:
        processes._libc.prctl(processes._SET_CHILD_SUBREAPER, 0, 0, 0, 0)


def test_output_and_environment(log):
    """A child knows what it is told beyond our environment, and writes to its log."""
    child = processes.start(python("import os; print(os.environ['ADDED'])"), {"ADDED": "x"}, log)
    assert child.wait(20) == 0
    assert log.read_text() == "x\n"


def test_signals_are_the_default_ones_even_if_ours_are_ignored(log):
    """A program started by a shell with & ignores SIGINT; what it starts must not."""
    ask = "import signal; print(signal.getsignal(signal.SIGTERM) is signal.SIG_DFL)"
    start = f"from thunes_pipelines.services import processes as p; import sys, pathlib; \
p.start([sys.executable, '-c', {ask!r}], {{}}, pathlib.Path({str(log)!r})).wait()"
    ignoring = f"import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); {start}"
    subprocess.run(python(ignoring), check=True)
    assert log.read_text() == "True\n"


def test_a_child_is_no_member_of_our_group(log):
    """Ctrl-C in the terminal reaches us alone; we decide who stops when."""
    child = processes.start(python(SLEEP), {}, log)
    assert os.getpgid(child.pid) == child.pid
    processes.stop(child, seconds=5, patience_seconds=0)
    assert child.returncode == -signal.SIGTERM


def test_what_a_child_leaves_behind_is_ended_too(log, adopting):
    """No orphan is left, also not one that its parent forgot."""
    child = processes.start(python(PARENT.format(child=SLEEP, then=SLEEP)), {}, log)
    orphan = int(wait_for(log))
    processes.stop(child, seconds=5, patience_seconds=0)
    assert not is_alive(orphan)


def test_what_is_in_flight_may_finish(log, tmp_path, adopting):
    """A run below the daemon has its patience before it is asked to stop."""
    done = tmp_path / "done"
    work = f"import time, pathlib; time.sleep(0.5); pathlib.Path({str(done)!r}).touch()"
    child = processes.start(python(PARENT.format(child=work, then=SLEEP)), {}, log)
    wait_for(log)
    processes.stop(child, seconds=5, patience_seconds=20)
    assert done.exists()


def test_the_deaf_are_ended_by_force(log, adopting, monkeypatch):
    """What does not listen cannot hold the stop back."""
    monkeypatch.setattr(processes, "LAST_SECONDS", 0.3)
    child = processes.start(python(f"print(1, flush=True); {DEAF}"), {}, log)
    wait_for(log)
    processes.stop(child, seconds=0.3, patience_seconds=0)
    assert child.poll() is not None


@pytest.mark.skipif(sys.platform != "linux", reason="the death signal is Linux's")
def test_a_child_follows_a_parent_that_was_killed(log, tmp_path):
    """Nothing is left running after a kill -9 of `thunes up`."""
    beat = tmp_path / "pid"
    tell = f"import os, pathlib; pathlib.Path({str(beat)!r}).write_text(f'{{os.getpid()}}\\n')"
    code = f"{tell}; {SLEEP}"
    start = f"from thunes_pipelines.services import processes as p; import sys, pathlib, time; \
p.start([sys.executable, '-c', {code!r}], {{}}, pathlib.Path({str(log)!r})); time.sleep(60)"
    parent = subprocess.Popen(python(start))
    pid = int(wait_for(beat))
    parent.kill()
    parent.wait()
    deadline = monotonic_seconds() + 10
    while is_alive(pid):
        assert monotonic_seconds() < deadline
        time.sleep(0.02)
