"""What is asked of services is answered by what they really are."""

from __future__ import annotations

import os
import signal
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.thunes_pipelines.services import small_code
from thunes_core.clock import monotonic_seconds
from thunes_pipelines.services import processes
from thunes_pipelines.services.probes import code_answers

LIMIT_SECONDS = 60


@contextmanager
def code_server(folder):
    """Run Dagster's code server with a small code location; give its process and its socket."""
    path = folder / "code.sock"
    command = (sys.executable, "-m", "dagster", "code-server", "start", "--socket", str(path))
    process = processes.start((*command, "-f", small_code.__file__), {}, folder / "log")
    try:
        until(lambda: code_answers(path))
        yield process, path
    finally:
        processes.stop(process, seconds=10, patience_seconds=5)


def until(holds):
    """Wait until something holds."""
    deadline = monotonic_seconds() + LIMIT_SECONDS
    while not holds():
        assert monotonic_seconds() < deadline
        time.sleep(0.1)


def children(pid):
    """Return the process ids of a process's children."""
    told = [path.read_text().split() for path in Path(f"/proc/{pid}/task").glob("*/children")]
    return [int(child) for children in told for child in children]


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere children are not told")
def test_a_code_server_answers_while_both_its_parts_live_and_work(tmp_path):
    """One passes the question on to the other, which holds the code and may hang or die."""
    with code_server(tmp_path) as (process, path):
        for part in (process.pid, *children(process.pid)):
            os.kill(part, signal.SIGSTOP)
            assert not code_answers(path)
            os.kill(part, signal.SIGCONT)
            until(lambda: code_answers(path))
        os.kill(part, signal.SIGKILL)
        until(lambda: not code_answers(path))
    assert not code_answers(path)
