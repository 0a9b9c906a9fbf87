"""Names of processes that hold leases, and whether such a process has ended.

A name is `host-boot-namespace-pid`. Only a process of the same start of the same host, in the same
process namespace, can be known to have ended; any other keeps its lease until it runs out. Host
names alone do not tell hosts apart: clones share them, and the number of the outermost namespace.

Add here: what tells processes apart. Keep out: leases.
"""

from __future__ import annotations

import os
import socket
import uuid
from pathlib import Path

_NAMESPACE = Path("/proc/self/ns/pid")
_BOOT = Path("/proc/sys/kernel/random/boot_id")


def this_process() -> str:
    """Return the name of this process."""
    return f"{_place()}-{os.getpid()}"


def is_gone(holder: str) -> bool:
    """True when `holder` names a process of this place that has ended."""
    place, _, pid = holder.rpartition("-")
    return place == _place() and pid.isdigit() and not _is_alive(int(pid))


def _place() -> str:
    namespace = _NAMESPACE.stat().st_ino if _NAMESPACE.exists() else 0
    boot = _BOOT.read_text()[:8] if _BOOT.exists() else f"{uuid.getnode():x}"
    return f"{socket.gethostname()}-{boot}-{namespace}"


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
