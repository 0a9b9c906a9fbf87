"""Ticks woken by the stream: in a thread of their own, one at a time, the world kept open.

What wakes a tick says only that something closed; the tick itself asks the exchange. A wake while
one runs makes one more, and so does, a little later, a tick that failed or left something open. The
ledger's lease keeps it apart from Dagster's ticks.

Add here: how a woken tick is run. Keep out: what a tick does (core), the stream.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from contextlib import ExitStack
from types import TracebackType

from thunes_core.adapters.binance.client import import_library
from thunes_core.errors import ThunesError
from thunes_core.settings import Settings
from thunes_core.trading.world import TickReport
from thunes_pipelines.resources import wiring

Told = Callable[[str], None]
AGAIN_SECONDS = 10.0
_log = logging.getLogger(__name__)


class WokenTicks:
    """Runs a tick at the start and after each `wake`, until the block ends.

    `told` gets a sentence for each, from the thread of the ticks. After a tick that fails, or
    leaves an order's fate or a protection open, another follows in `again_seconds`.
    """

    def __init__(
        self, settings: Settings, told: Told, again_seconds: float = AGAIN_SECONDS
    ) -> None:
        self._settings = settings
        self._again_seconds = again_seconds
        self._told = told
        self._awake = threading.Event()
        self._over = threading.Event()
        self._open = ExitStack()

    def wake(self, *_: object) -> None:
        """Ask for a tick; returns at once."""
        self._awake.set()

    def __enter__(self) -> WokenTicks:
        """Open the world and begin."""
        import_library()
        tick = self._open.enter_context(wiring.ticks(self._settings))
        self.wake()
        self._thread = threading.Thread(target=self._run, args=(tick,), name="ticks")
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Wait for a tick in flight; begin no other."""
        self._over.set()
        self._awake.set()
        self._thread.join()
        self._open.close()

    def _run(self, tick: Callable[[], TickReport]) -> None:
        patience: float | None = None
        while True:
            self._awake.wait(patience)
            self._awake.clear()
            if self._over.is_set():
                return
            said, is_done = _run_one(tick)
            patience = None if is_done else self._again_seconds
            self._told(said)


def _run_one(tick: Callable[[], TickReport]) -> tuple[str, bool]:
    """Run a tick; say what it did, and whether nothing is left open."""
    try:
        report = tick()
    except ThunesError as error:
        _log.warning("a woken tick failed: %s", error)
        return f"tick: {error}", False
    counts = (
        f"tick at {report.server_time:%Y-%m-%d %H:%M:%S}: {len(report.decisions)} decisions, "
        f"{len(report.orders)} orders, {len(report.fills)} fills, equity {report.equity:.2f}"
    )
    return "; ".join([counts, *report.notes]), not report.uncertain
