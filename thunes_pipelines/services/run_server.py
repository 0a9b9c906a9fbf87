"""A warm process that forks the workers of Dagster's runs: what all need is imported once.

A fresh worker spends seconds of CPU on the interpreter, Dagster, the code location and
python-binance before its first line of work; a forked one has them. Each is a process of its own
as before, and does what `dagster api execute_run` does. A change of our code, of the files of
settings or of the installed libraries is seen at the next question: that run is left to the
launcher's usual way, and the server begins again with what is new.

A forked worker tells who it is and begins at the word of who asked for it, who has noted it by
then; it ends when that word does not come. So nothing that fails before the word has begun a run.

Add here: what a worker inherits, what ends its warmth. Keep out: which runs are launched, and the
looking after them (`run_launcher`).
"""

from __future__ import annotations

import importlib
import os
import signal
import socket
import sys
import sysconfig
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import FrameType

import dagster as dg

import thunes_core
import thunes_pipelines
from thunes_core import settings
from thunes_core.clock import SystemClock, monotonic_seconds
from thunes_core.errors import ThunesError
from thunes_pipelines.resources.garbage import loading
from thunes_pipelines.services.state_folder import RUNS_SOCKET, socket_in

MODULE = "thunes_pipelines.services.run_server"
ANSWER_SECONDS = 10.0
"""A server that was asked and has no worker for so long has failed."""

HEARD_SECONDS = 2.0
"""Who connects and has not asked within so long is not listened to."""

WORD_SECONDS = 60.0
"""A worker that is not told to begin for so long ends; less than run monitoring waits for it."""

LOOK_SECONDS = 2.0
"""A server that is well says so within so long."""

BEGIN, WELL = b"begin", b"well"
_END = b"\n"
"""After whatever is said; a question is JSON on one line."""

LONGEST_BYTES = 1_000_000
_PACKAGES = (thunes_core, thunes_pipelines)
_LIBRARIES = {Path(sysconfig.get_path(name)) for name in ("purelib", "platlib")}
"""Folders that change when a library is installed, upgraded or removed."""

_SECOND = 1_000_000_000
_PRELOADED = (
    "dagster._cli",
    "dagster._core.executor.in_process",
    "dagster._core.storage.local_compute_log_manager",
    "dagster._core.storage.sqlite_storage",
    "dagster._core.workspace.autodiscovery",
    "dagster._daemon.controller",
    "upath.implementations.local",
    "binance.client",
    "thunes_core.adapters.binance.session",
    "thunes_core.adapters.ledger",
    "thunes_core.adapters.stream.quoted",
    "thunes_core.trading.shadow",
    "thunes_core.trading.step",
    "thunes_pipelines.resources.champions",
    "thunes_pipelines.resources.signing",
    "thunes_pipelines.resources.venue",
)
"""What a tick imports beside the code location; it opens no connection, file or pool of threads."""

_FAULTY = (
    *(
        ArithmeticError,
        AssertionError,
        AttributeError,
        ImportError,
        LookupError,
        NameError,
        OSError,
        RuntimeError,
    ),
    *(SyntaxError, TypeError, ValueError, ThunesError, dg.DagsterError),
)
"""What a file in the middle of an edit raises when it is loaded."""


class NotBegun(Exception):
    """A worker was forked and noted, and was gone before it was told to begin."""


def ask(home: Path, run: str, note: Callable[[int], None]) -> bool:
    """Have a worker do a serialised `ExecuteRunArgs`; `note` is told its process id beforehand.

    False: no server is there, or none that can; nothing was noted or begun. `NotBegun` when the
    worker was noted and has not begun either; what `note` raises ends it as well.
    """
    with socket.socket(socket.AF_UNIX) as asking:
        asking.settimeout(ANSWER_SECONDS)
        try:
            asking.connect(str(socket_in(home, RUNS_SOCKET)))
            asking.sendall(run.encode() + _END)
            worker = int(_line(asking, ANSWER_SECONDS))
        except (OSError, ValueError):
            return False
        note(worker)
        try:
            asking.sendall(BEGIN + _END)
        except OSError as error:
            raise NotBegun(f"process {worker} was gone before it began ({error})") from error
    return True


def is_well(path: Path) -> bool:
    """False when the server at a Unix socket takes a question and does not answer it.

    One that does not listen is loading changed code, and keeps nobody waiting meanwhile.
    """
    with socket.socket(socket.AF_UNIX) as asking:
        asking.settimeout(LOOK_SECONDS)
        try:
            asking.connect(str(path))
            asking.sendall(WELL + _END)
            return _line(asking, LOOK_SECONDS) == WELL
        except (ConnectionRefusedError, FileNotFoundError):
            return True
        except (OSError, ValueError):
            return False


def _line(connection: socket.socket, seconds: float) -> bytes:
    """Read a line within so long; `ValueError` when it is too long or not whole, else `OSError`."""
    told, until = b"", monotonic_seconds() + seconds
    while not told.endswith(_END):
        connection.settimeout(max(until - monotonic_seconds(), 0.001))
        piece = connection.recv(65_536)
        told += piece
        if not piece or len(told) > LONGEST_BYTES:
            raise ValueError(f"expected a line of at most {LONGEST_BYTES} bytes")
    return told.removesuffix(_END)


def main() -> None:
    """Serve the Dagster home that is given until a signal ends it; in workers, do the run."""
    sources = _settled()
    is_warm = _preload()
    run = _serve(_listening(Path(sys.argv[1])), sources, is_warm=is_warm)
    sys.argv = ["dagster", "api", "execute_run", run]
    importlib.import_module("dagster._cli").main()


def _settled() -> dict[Path, int]:
    """Return `_sources` once the second is over in which the last of them was changed.

    Python and some disks tell changes within one second by nothing but the size of the file.
    """
    while True:
        found = _sources()
        left = max(found.values()) // _SECOND + 1 - SystemClock().now().timestamp()
        if not 0 < left <= 1:
            return found
        time.sleep(left)


def _sources() -> dict[Path, int]:
    """When what a fresh worker would read was changed: our code, files of settings, libraries."""
    code = [path for package in _PACKAGES for path in Path(package.__path__[0]).rglob("*.py")]
    found = {}
    for path in (*code, *settings.files(), *_LIBRARIES):
        with suppress(OSError):
            found[path.absolute()] = path.stat().st_mtime_ns
    return found


def _preload() -> bool:
    """Import what every run needs and put the definitions together; False when they are faulty."""
    try:
        with loading():
            for name in _PRELOADED:
                importlib.import_module(name)
            definitions = importlib.import_module("thunes_pipelines.definitions")
            definitions.defs.get_repository_def().get_all_jobs()
            importlib.import_module("thunes_core.strategies.base").registered()
    except _FAULTY:
        traceback.print_exc()
        return False
    return True


def _listening(home: Path) -> socket.socket:
    """Listen where only our own user can ask; in the place of a server that is gone."""
    path = socket_in(home, RUNS_SOCKET)
    if path is None:
        sys.exit(f"{MODULE}: expected a Dagster home with a shorter path than {home.resolve()}")
    path.unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX)
    before = os.umask(0o177)
    try:
        listener.bind(str(path))
    finally:
        os.umask(before)
    listener.listen(64)
    return listener


def _serve(listener: socket.socket, sources: dict[Path, int], *, is_warm: bool) -> str:
    """Answer for ever; returns in forked workers only, with the run that each is to do."""
    signal.signal(signal.SIGCHLD, _reap)
    while True:
        connection, _ = listener.accept()
        with connection, suppress(OSError, ValueError):
            run = _line(connection, HEARD_SECONDS).decode()
            if run == WELL.decode():
                connection.sendall(WELL + _END)
                continue
            if _sources() != sources:
                listener.close()
                connection.close()
                os.execv(sys.executable, (sys.executable, "-m", MODULE, *sys.argv[1:]))
            if is_warm and not os.fork():
                listener.close()
                signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                _wait_for_word(connection)
                return run


def _wait_for_word(connection: socket.socket) -> None:
    """Tell who asked for this worker its process id and wait; ends the process without the word."""
    with suppress(OSError, ValueError):
        connection.sendall(str(os.getpid()).encode() + _END)
        if _line(connection, WORD_SECONDS) == BEGIN:
            return
    sys.exit()


def _reap(_number: int, _frame: FrameType | None) -> None:
    """Collect workers that have ended."""
    with suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass


if __name__ == "__main__":
    main()
