"""Paper trading for days in minutes: real ticks on a stepped local testnet that attacks them.

The shipped stream runs beside the ticks and wakes them. Requests fail and sockets break by seed and
by script, processes are killed at drawn moments, and at the end the ledger is compared with the
exchange, to the last digit.

Add here: an attack, a figure of the result. Keep out: the tick, the testnet, the comparison.
"""

from __future__ import annotations

import random
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from thunes_core.clock import FixedClock, from_millis, to_millis
from thunes_core.errors import AnswerIsNo, BreakerOpen, OutsideFailed, ThunesError
from thunes_core.settings import LOCAL_KEY, LOCAL_SECRET
from thunes_pipelines.services.mortal import Fate, Killed, Mortal
from thunes_pipelines.services.soak_bare import Unprotected, explained, silences
from thunes_pipelines.services.soak_faults import SOCKETS_BROKEN
from thunes_pipelines.services.soak_plan import ALLOTMENT, IDLE, FixedChampion, SoakPlan
from thunes_pipelines.services.soak_verdict import Verdict, gates_of, trial_of, verdict_of

if TYPE_CHECKING:
    from thunes_core.adapters.ledger import Ledger
    from thunes_core.testnet.app import RunningTestnet
    from thunes_core.trading.world import World
    from thunes_pipelines.services.soak_streams import SoakStreams

Told = Callable[[int, int], None]
CALLS_IN_A_TICK = 60
QUIET_TICKS = 12
UNEXPLAINED = (
    ThunesError,
    ArithmeticError,
    AttributeError,
    LookupError,
    OSError,
    RuntimeError,
    TypeError,
    ValueError,
)
"""What a tick must not end in: counted and shown, so that the other hours are judged as well."""
RESTART_AFTER = timedelta(seconds=30)
"""How long a supervisor takes to start a killed process again."""
STEP = timedelta(seconds=20)
"""How far the clock goes before the stream is listened to again."""
WAKE_TAKES = timedelta(seconds=1)
"""From an event to the look at the exchange that it wakes, and between two such looks."""
MOST_WAKES = 12
SILENT_LOOKS = 6
FIRST_CONNECTIONS = 2
WAKE_SECONDS = 0.3
AGAIN_SECONDS = 0.15
"""How long (real) the stream may take to ask again for what was put off."""


@dataclass(slots=True)
class _Tally:
    ticks: int = 0
    tended: int = 0
    kills: list[int] = field(default_factory=list)
    skipped: int = 0
    outside_errors: int = 0
    unexplained: list[str] = field(default_factory=list)


def run_soak(plan: SoakPlan, told: Told = lambda _done, _of: None) -> dict[str, Any]:
    """Run `plan` and return its figures; `told` hears of progress."""
    from thunes_pipelines.services.soak_streams import SoakStreams

    with _testnet(plan) as net, tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        with SoakStreams(net.url, home, plan.symbols, plan.interval) as streams:
            run = _Run(plan, net, home / "ledger.db", streams)
            run.attack(told)
            run.calm_down()
        with closing(run.open_ledger()) as ledger:
            verdict = verdict_of(ledger, net.exchange, IDLE)
            return _document(run, verdict, ledger)


class _Run:
    """One soak under way: the clock, the ports and what was counted."""

    def __init__(
        self, plan: SoakPlan, net: RunningTestnet, path: Path, streams: SoakStreams
    ) -> None:
        from thunes_core.testnet.bare import BareWatch

        self.plan = plan
        self.net = net
        self.path = path
        self.streams = streams
        self.tally = _Tally()
        self.clock = FixedClock(self._now())
        self.random = random.Random(f"soak|{plan.seed}")
        self.script = list(plan.script())
        self.began_ms = to_millis(self._now())
        with net.exchange.lock:
            self.watch = BareWatch(net.exchange)
        self._heard = 0
        self._struck = 0
        self._expected = streams.connections

    def attack(self, told: Told) -> None:
        """Let faults and kills loose and tick through the hours."""
        from thunes_core.testnet.conditions import give
        from thunes_core.testnet.faults import Draw

        with self.net.exchange.lock:
            for fault in self.script:
                give(self.net.exchange, fault)
            self.net.exchange.faults.draw(Draw(self.plan.seed, self.plan.read_fault_rate, on=""))
        restarts = self.plan.restarts()
        for number in range(self.plan.ticks):
            if number in restarts:
                self.streams.restart()
                self._expected += FIRST_CONNECTIONS
            self._one_round(kill=self.random.random() < self.plan.kill_rate)
            told(number + 1, self.plan.ticks)

    def calm_down(self) -> None:
        """Stop the attack and tick on, until whatever is unknown has been learnt."""
        with self.net.exchange.lock:
            self.net.exchange.faults.clear()
        for _ in range(QUIET_TICKS):
            self._one_round(kill=False)
        self._run(self._tick)

    def open_ledger(self) -> Ledger:
        """Open the ledger as a new process would; its clock is the exchange's."""
        from thunes_core.adapters.ledger import open_ledger

        return open_ledger(f"sqlite:///{self.path}", clock=self.clock, synchronous="OFF")

    def bare(self) -> list[Unprotected]:
        """Return every interval without protection so far, explained."""
        from thunes_core.adapters.binance.broker import BinanceBroker

        happened = self.net.exchange.faults.happened
        quiet = silences(self.script, happened, self.began_ms, BinanceBroker.settle_time)
        found = self.watch.all_until(to_millis(self._now()))
        return [explained(one, quiet, happened, self.tally.kills) for one in found]

    def _one_round(self, *, kill: bool) -> None:
        """Tick, start again where that was killed, and let the time to the next tick pass."""
        if self._run(self._tick, kill=kill):
            self._live(RESTART_AFTER)
            self._run(self._tick)
        self._live(timedelta(minutes=self.plan.tick_minutes))

    def _run(self, work: Callable[[World], None], *, kill: bool = False) -> bool:
        """Run `work` in ports of its own, as a process of its own; True when it was killed."""
        fate = Fate()
        if kill:
            fate = Fate(self.random.randint(1, CALLS_IN_A_TICK), self.random.random() < 0.5)
        with closing(self.open_ledger()) as ledger, self._world(ledger, fate) as world:
            try:
                work(world)
            except Killed:
                self.tally.kills.append(to_millis(self._now()))
                return True
            except BreakerOpen:
                self.tally.skipped += 1
            except OutsideFailed:
                self.tally.outside_errors += 1
            except UNEXPLAINED as error:
                self.tally.unexplained.append(f"{type(error).__name__}: {error}")
        return False

    def _tick(self, world: World) -> None:
        from thunes_core.trading.step import tick

        self.tally.ticks += 1
        tick(world, self.plan.trading())

    def _live(self, length: timedelta) -> None:
        """Let time pass between two ticks, heeding what the stream tells meanwhile."""
        end = self._now() + length
        self._heed()
        while (left := end - self._now()) > timedelta(0):
            self._pass(min(left, STEP))
            self._heed()

    def _heed(self) -> None:
        """Give the stream the time to see what happened, and tend to what it was woken for."""
        self._keep_step()
        if self.watch.events == self._heard:
            return
        self._heard = self.watch.events
        if not self.streams.wait_for_wake():
            return
        for _ in range(MOST_WAKES):
            self._pass(WAKE_TAKES)
            if not self.streams.answer(self._tended):
                return
            self.streams.wait_for_wake(AGAIN_SECONDS)

    def _tended(self, _: Sequence[str]) -> ThunesError | None:
        """Tend to what is held, as the stream's process does when it is woken."""
        from thunes_core.trading.tend import tend
        from thunes_pipelines.services.stream import require_certain

        self.tally.tended += 1
        found: list[ThunesError] = []

        def work(world: World) -> None:
            try:
                require_certain(tend(world, self.plan.trading()))
            except (AnswerIsNo, OutsideFailed) as error:
                found.append(error)

        self._run(work)
        return found[0] if found else None

    def _keep_step(self) -> None:
        """Wait until the stream has noticed what broke it, as it does in real time."""
        happened = self.net.exchange.faults.happened
        broken = [SOCKETS_BROKEN.get(one["kind"], 0) for one in happened[self._struck :]]
        self._struck = len(happened)
        if not any(broken):
            return
        self._expected += sum(broken)
        for _ in range(SILENT_LOOKS if self.net.exchange.conditions.streams_silent else 0):
            self.streams.hear_nothing()
            if self.streams.wait_for_connections(self._expected, WAKE_SECONDS):
                return
        if not self.streams.wait_for_connections(self._expected):
            self._expected = self.streams.connections  # it comes back when the exchange does

    @contextmanager
    def _world(self, ledger: Ledger, fate: Fate) -> Iterator[World]:
        from thunes_core.adapters.binance.broker import BinanceBroker
        from thunes_core.adapters.binance.market import BinanceMarket
        from thunes_core.trading.world import World

        with (
            closing(BinanceMarket(self.net.url)) as market,
            closing(BinanceBroker(self.net.url, LOCAL_KEY, LOCAL_SECRET)) as broker,
        ):
            yield World(
                market,
                Mortal(broker, fate),
                Mortal(ledger, fate),
                FixedChampion(),
                pause=self._pass,
            )

    def _pass(self, length: timedelta) -> None:
        """Let the exchange's clock move on."""
        exchange = self.net.exchange
        with exchange.lock:
            exchange.clock.move_to(to_millis(self._now() + length))
            exchange.advance()
        self.clock.advance(length)

    def _now(self) -> datetime:
        return from_millis(self.net.exchange.clock.now_ms())


@contextmanager
def _testnet(plan: SoakPlan) -> Iterator[RunningTestnet]:
    from thunes_core.testnet.app import serve_in_thread
    from thunes_core.testnet.market import generated_market

    market = generated_market(plan.symbols, seed=plan.seed, interval=plan.interval, history_days=10)
    with serve_in_thread(market, cash=ALLOTMENT * len(plan.symbols) + IDLE) as net:
        yield net


def _document(run: _Run, verdict: Verdict, ledger: Ledger) -> dict[str, Any]:
    tally, streams, bare = run.tally, run.streams, run.bare()
    answered = sum(one.answered_seconds for one in bare)
    whole = sum(one.seconds for one in bare)
    trial = trial_of(
        ledger, run.plan.hours, tally.ticks, streams.reconnections, len(tally.unexplained)
    )
    return {
        "ticks": tally.ticks,
        "orders": verdict.orders,
        "fills": verdict.fills,
        "faults": len(run.net.exchange.faults.happened),
        "kills": len(tally.kills),
        "skipped": tally.skipped,
        "outside_errors": tally.outside_errors,
        "lost": verdict.lost,
        "doubled": verdict.doubled,
        "unknown_left": verdict.unknown_left,
        "discrepancies": verdict.discrepancies,
        "unexplained_errors": tally.unexplained,
        "unprotected_seconds": whole,
        "unprotected_while_answered": answered,
        "unprotected_while_silent": whole - answered,
        "unprotected": [one.as_dict() for one in bare],
        "streams": {
            "connections": streams.connections,
            "reconnections": streams.reconnections,
            "ended": streams.ended(),
            "bars": streams.bars,
            "wakes": streams.wakes,
            "tended": tally.tended,
        },
        "audit_whole": verdict.audit_whole,
        "gates": gates_of(trial),
    }
