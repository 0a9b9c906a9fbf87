"""The stream as a soak runs it: the shipped one, on a thread of its own beside the ticks.

Time is stepped by the soak: the stream's own bounds of patience run on a clock that passes only
while the soak waits for it, however long a tick takes on this machine. A wake waits for the soak to
tend to what is held between two ticks, and fails as that does: the stream puts it off and asks
again.

Add here: how the soak and the stream keep step. Keep out: following a stream (`stream`), faults.
"""

from __future__ import annotations

import asyncio
import queue
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import polars as pl

from thunes_core.adapters.stream.feed import FeedOptions
from thunes_core.adapters.stream.user import UserOptions
from thunes_core.clock import monotonic_seconds
from thunes_core.domain.bars import Interval
from thunes_core.errors import AnswerIsNo, ThunesError
from thunes_core.settings import Settings
from thunes_pipelines.services.stream import Followed, Patience, Streams, Told, Wake, streams

Tend = Callable[[Sequence[str]], ThunesError | None]
LOOK_SECONDS = 0.005
MOST_AT_ONCE = 0.1
"""A machine that stood still for a while is no patience lost."""
BEGIN_SECONDS = 30.0
WAKE_SECONDS = 0.3
"""How long a wake is waited for at most (real); a stalled or lost message brings none."""
RECONNECT_SECONDS = 3.0
SILENCE_SECONDS = 16.0
"""More than the market's feed listens to nothing."""
HASTE = Patience(
    market=FeedOptions(shortest_pause=0.02, apart_seconds=0.05),
    account=UserOptions(shortest_pause=0.02, gather_seconds=0.0, again_seconds=0.05),
)
"""Short pauses, for a clock that is stepped; the patience with a connection is the usual one."""


class _Seconds:
    """Seconds that pass only while somebody lets them."""

    def __init__(self) -> None:
        self._passed = 0.0

    def now(self) -> float:
        """Return how many have passed."""
        return self._passed

    def let_pass(self, seconds: float) -> None:
        """Let some pass."""
        self._passed += seconds


class _Loop(asyncio.SelectorEventLoop):
    """An event loop whose delays are counted in given seconds."""

    def __init__(self, seconds: _Seconds) -> None:
        self._seconds = seconds
        super().__init__()

    def time(self) -> float:
        """Return the given clock."""
        return self._seconds.now()


@dataclass(frozen=True, slots=True)
class _Wake:
    reasons: tuple[str, ...]
    answer: Future[None] = field(default_factory=Future)

    def be_answered(self, error: ThunesError | None) -> None:
        """Let the stream go on, with `error` where there was one."""
        if error is None:
            self.answer.set_result(None)
        else:
            self.answer.set_exception(error)


class SoakStreams:
    """Follows one testnet until the block ends; `restart` ends the process and begins a new one."""

    def __init__(
        self, url: str, folder: Path, symbols: tuple[str, ...], interval: Interval
    ) -> None:
        self._settings = Settings(
            home=folder,
            exchange="local",
            broker="exchange",
            binance_rest_url=url,
            binance_stream_url=None,
            binance_ws_api_url=None,
            binance_api_key=None,
            binance_api_secret=None,
            binance_private_key_file=None,
            symbols=symbols,
            interval=interval,
        )
        self._wakes: queue.Queue[_Wake] = queue.Queue()
        self._lives: list[_Life] = []
        self._seconds = _Seconds()
        self.bars = 0

    def __enter__(self) -> SoakStreams:
        self._begin()
        return self

    def __exit__(self, *_: object) -> None:
        self._end()

    def restart(self) -> None:
        """End the stream as a killed process ends, and begin another."""
        self._end()
        self._begin()

    @property
    def connections(self) -> int:
        """Connections opened in all lives, by the streams' own count."""
        return sum(followed.connections for followed in self._followed())

    @property
    def reconnections(self) -> int:
        """Connections beyond the first of each stream."""
        return self.connections - 2

    @property
    def wakes(self) -> int:
        """Wakes that were answered, by the account stream's own count."""
        return sum(f.account.wakes for f in self._followed() if f.account is not None)

    def ended(self) -> dict[str, int]:
        """Return why connections were left, counted."""
        found: dict[str, int] = {}
        for followed in self._followed():
            for tally in (followed.market, followed.account):
                for why, count in (tally.ended if tally is not None else {}).items():
                    found[str(why)] = found.get(str(why), 0) + count
        return found

    def _followed(self) -> list[Followed]:
        return [life.followed for life in self._lives if life.followed is not None]

    def wait_for_wake(self, seconds: float = WAKE_SECONDS) -> bool:
        """Wait until the account's events woke; False when they did not within real `seconds`."""
        return self._wait(lambda: not self._wakes.empty(), seconds)

    def wait_for_connections(self, number: int, seconds: float = RECONNECT_SECONDS) -> bool:
        """Wait until so many connections were opened in all; False: not within real `seconds`."""
        return self._wait(lambda: self.connections >= number, seconds)

    def hear_nothing(self) -> None:
        """Let so much of the stream's time pass that it gives up a market that tells nothing."""
        self._let_pass(SILENCE_SECONDS)

    def answer(self, tend: Tend) -> bool:
        """Answer one wake by `tend`; what it returns is the wake's error. False: nothing woke."""
        try:
            wake = self._wakes.get_nowait()
        except queue.Empty:
            return False
        error: ThunesError | None = AnswerIsNo("the process that tended to it was killed")
        try:
            error = tend(wake.reasons)
        finally:
            wake.be_answered(error)
        return True

    def _begin(self) -> None:
        before = self.connections
        life = _Life(self._settings, self._told, self._wake, self._seconds)
        self._lives.append(life)
        self.wait_for_connections(before + 2)

    def _told(self, bars: pl.DataFrame) -> None:
        self.bars += bars.height

    def _wake(self, reasons: Sequence[str]) -> None:
        wake = _Wake(tuple(reasons))
        self._wakes.put(wake)
        wake.answer.result()

    def _wait(self, condition: Callable[[], bool], seconds: float) -> bool:
        """Wait with the stream's time passing as real time does."""
        at = begun = monotonic_seconds()
        while not condition():
            if at - begun >= seconds:
                return False
            time.sleep(LOOK_SECONDS)
            before, at = at, monotonic_seconds()
            self._let_pass(min(at - before, MOST_AT_ONCE))
        return True

    def _let_pass(self, seconds: float) -> None:
        self._seconds.let_pass(seconds)
        self._lives[-1].look()

    def _end(self) -> None:
        """End the present life; whoever waits for an answer gets none."""
        life = self._lives[-1]
        life.leave()
        while life.is_alive:
            while not self._wakes.empty():
                self._wakes.get_nowait().be_answered(AnswerIsNo("the stream has ended"))
            life.join(LOOK_SECONDS)
            self._let_pass(LOOK_SECONDS)


class _Life:
    """One life of the stream's process."""

    def __init__(self, settings: Settings, told: Told, wake: Wake, seconds: _Seconds) -> None:
        self._given = settings, told, wake
        self._seconds = seconds
        self._task: asyncio.Task[None] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._both: Streams | None = None
        self._begun = threading.Event()
        self._thread = threading.Thread(target=self._run, name="soak-stream", daemon=True)
        self._thread.start()

    @property
    def followed(self) -> Followed | None:
        """What happened so far; None before the streams were made."""
        return self._both.followed if self._both is not None else None

    @property
    def is_alive(self) -> bool:
        """True until the thread has ended."""
        return self._thread.is_alive()

    def leave(self) -> None:
        """Ask the life to end."""
        self._begun.wait(BEGIN_SECONDS)
        if self._loop is not None and self._task is not None:
            with suppress(RuntimeError):
                self._loop.call_soon_threadsafe(self._task.cancel)

    def look(self) -> None:
        """Let the loop see that its clock has moved on."""
        if self._loop is not None and self.is_alive:
            with suppress(RuntimeError):  # it ended in between
                self._loop.call_soon_threadsafe(lambda: None)

    def join(self, seconds: float) -> None:
        """Wait for its end."""
        self._thread.join(seconds)

    def _run(self) -> None:
        settings, told, wake = self._given
        with streams(settings, told, patient=True, wake=wake, patience=HASTE) as both:
            self._both = both
            with (
                suppress(asyncio.CancelledError),
                asyncio.Runner(loop_factory=lambda: _Loop(self._seconds)) as runner,
            ):
                runner.run(self._follow(both))

    async def _follow(self, both: Streams) -> None:
        self._loop, self._task = asyncio.get_running_loop(), asyncio.current_task()
        self._begun.set()
        await both.run()
