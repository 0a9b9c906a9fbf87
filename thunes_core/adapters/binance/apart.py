"""Run asynchronous work from anywhere, leaving no event loop behind.

Add here: nothing. Keep out: the work.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")


def run_apart(work: Callable[[], Coroutine[None, None, T]]) -> T:
    """Run `work` in a fresh event loop: here, or in a thread of its own inside a running loop."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        loop = asyncio.new_event_loop()
        try:
            return loop.run_until_complete(work())
        finally:
            loop.close()
    with ThreadPoolExecutor(1) as apart:
        return apart.submit(lambda: run_apart(work)).result()
