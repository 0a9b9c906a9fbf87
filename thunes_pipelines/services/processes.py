"""Child processes in groups of their own: started with clean signals, ended to the last one.

Only processes started here are ever ended, by their group. On Linux orphans of a child come back
to us, so that they can be ended and reaped too, and a child is told when we die.

Add here: a rule about how children live and die. Keep out: which children there are.
"""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from thunes_core.clock import monotonic_seconds

LAST_SECONDS = 5.0
"""What is left of a group is asked to end for so long before it is ended by force."""

_POLL_SECONDS = 0.05
_STATE, _BORN, _ENDED = 0, 19, "ZX"
"""Places in what `/proc/…/stat` tells after the name, and the states of what has ended."""

_SET_PARENT_DEATH_SIGNAL, _SET_CHILD_SUBREAPER = 1, 36
_libc = ctypes.CDLL(None) if sys.platform == "linux" else None


def adopt_orphans() -> None:
    """Let children of our children become ours when their parent ends (Linux; else nothing)."""
    if _libc is not None:
        _libc.prctl(_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def start(
    command: Sequence[str], environment: Mapping[str, str], log: Path
) -> subprocess.Popen[bytes]:
    """Start `command` in a new group, its output appended to `log`; `OSError` if it cannot.

    `environment` is added to ours. The child cannot read our terminal and gets none of its signals.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as output:
        return subprocess.Popen(
            command,
            env={**os.environ, **environment},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=_follow_parent,  # noqa: PLW1509 - no thread runs yet when a child starts
        )


def _follow_parent() -> None:
    """In the child, before its program: default signals, and SIGTERM when we die."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_DFL)
    if _libc is not None:
        _libc.prctl(_SET_PARENT_DEATH_SIGNAL, signal.SIGTERM, 0, 0, 0)


def stop(process: subprocess.Popen[bytes], *, seconds: float, patience_seconds: float) -> None:
    """End a child and all of its group.

    The child is asked (SIGTERM) and has `seconds`; what it started has `patience_seconds` to finish
    by itself, is then asked, and at last ended by force.
    """
    _signal(os.kill, process.pid, signal.SIGTERM)
    with suppress(subprocess.TimeoutExpired):
        process.wait(timeout=seconds)
    if process.poll() is not None and _gone(process, patience_seconds):
        return
    _signal(os.killpg, process.pid, signal.SIGTERM)
    if not _gone(process, LAST_SECONDS):
        _signal(os.killpg, process.pid, signal.SIGKILL)
        _gone(process, LAST_SECONDS)


def identity(pid: int) -> str | None:
    """Return what names a living process for ever, its number and start (Linux); None without one.

    The start is counted from the machine's own: no change of the clock moves it.
    """
    try:
        told = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return None if told[_STATE] in _ENDED else f"{pid}@{told[_BORN]}"


def living(named: str) -> int | None:
    """Return the process id of what `identity` named while it lives."""
    pid = int(named.partition("@")[0])
    return pid if identity(pid) == named else None


def ends(named: str, seconds: float) -> bool:
    """Wait until what `identity` named has ended; False when it lives on after `seconds`."""
    deadline = monotonic_seconds() + seconds
    while living(named) is not None:
        if monotonic_seconds() >= deadline:
            return False
        time.sleep(_POLL_SECONDS)
    return True


def _gone(process: subprocess.Popen[bytes], seconds: float) -> bool:
    """Wait until no process of the group is left; False when some are after `seconds`."""
    deadline = monotonic_seconds() + seconds
    while True:
        process.poll()
        _reap(process)
        try:
            os.killpg(process.pid, 0)
        except ProcessLookupError:
            return True
        if monotonic_seconds() >= deadline:
            return False
        time.sleep(_POLL_SECONDS)


def _reap(process: subprocess.Popen[bytes]) -> None:
    """Collect ended members of the group that came back to us; the child itself stays Popen's."""
    if process.returncode is None:
        return
    with suppress(ChildProcessError):
        while os.waitpid(-process.pid, os.WNOHANG)[0]:
            pass


def _signal(send: Callable[[int, int], None], target: int, number: int) -> None:
    """Send a signal to what may have ended already."""
    with suppress(ProcessLookupError):
        send(target, number)
