"""SIGTERM ends a command as Ctrl-C does: what is in flight is parked, what was opened is closed.

`kill`, systemd, Docker and Kubernetes send SIGTERM; by itself it ends a process as SIGKILL would.
Here it interrupts the main thread, as it does in a run of Dagster. Threads are let finish.

Add here: how a command ends when it is told to. Keep out: what is parked (core).
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from thunes_core.errors import Interrupted


@contextmanager
def sigterm_interrupts() -> Iterator[None]:
    """Let SIGTERM do what SIGINT does by then; nothing changes outside of the main thread."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, _as_sigint)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _as_sigint(number: int, frame: FrameType | None) -> None:
    """Call what hears SIGINT now; a process whose SIGINT is ignored is interrupted all the same."""
    heard = signal.getsignal(signal.SIGINT)
    if not callable(heard):
        heard = signal.default_int_handler
    heard(number, frame)


@contextmanager
def parked(command: str) -> Iterator[None]:
    """Tell an interrupt of work on the account: what was sent is known, what rests stays."""
    try:
        yield
    except KeyboardInterrupt as asked:
        raise Interrupted(
            f"{command}: interrupted before its end; what was sent is asked after by the next "
            f"tick, stops stay at the exchange; run `thunes {command}` again"
        ) from asked
