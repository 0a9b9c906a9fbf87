"""Garbage is collected between ticks, never within one: a full collection can take half a second.

Nor while the code location loads: what is imported there stays for the life of the process.

Add here: another rule for the collector. Keep out: ticks.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

T = TypeVar("T")


@contextmanager
def put_off() -> Iterator[None]:
    """Let nothing be collected until the block ends."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


@contextmanager
def loading() -> Iterator[None]:
    """Let nothing be collected until the block ends, nor ever look again at what is alive then."""
    with put_off():
        yield
        gc.freeze()


@contextmanager
def between(work: Callable[[], T]) -> Iterator[Callable[[], T]]:
    """Hand out `work` that is never interrupted by the collector.

    What is alive before it runs a second time (modules, schemas, connections) is there to stay: it
    is not looked at again until the block ends.
    """
    ran = 0

    def run() -> T:
        nonlocal ran
        if ran == 1:
            gc.collect()
            gc.freeze()
        ran += 1
        with put_off():
            return work()

    try:
        yield run
    finally:
        if ran > 1:
            gc.unfreeze()
