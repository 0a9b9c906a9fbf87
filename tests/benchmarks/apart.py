"""A server in a process of its own, so that what is measured shares no interpreter with it.

Add here: how such a process is started and ended. Keep out: what it serves.
"""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def in_another_process(serve: Callable[[Any], None]) -> Iterator[tuple[str, Any]]:
    """Run `serve(pipe)` elsewhere; yield the address it tells first, and our end of its pipe.

    At the end of the block it is told "stop", and waited for.
    """
    spawn = multiprocessing.get_context("spawn")
    here, there = spawn.Pipe()
    process = spawn.Process(target=serve, args=(there,))
    process.start()
    there.close()  # so that a process that dies is heard of
    try:
        yield here.recv(), here
    finally:
        here.send("stop")
        process.join()
