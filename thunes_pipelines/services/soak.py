"""Paper trading for days in minutes: real ticks on a stepped local testnet that attacks them.

Requests fail by seed and by script, the process is killed at drawn moments, and at the end the
ledger is compared with the exchange, to the last digit.

Add here: an attack, a figure of the result. Keep out: the tick, the testnet, the comparison.
"""

from __future__ import annotations

import random
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

from thunes_core.clock import FixedClock, from_millis, to_millis
from thunes_core.domain.bars import Interval
from thunes_core.domain.limits import Protection, RiskLimits
from thunes_core.domain.parameters import Champion, ParameterSet, study_key
from thunes_core.errors import BreakerOpen, OutsideFailed, ThunesError
from thunes_core.settings import LOCAL_KEY, LOCAL_SECRET
from thunes_pipelines.services.mortal import Fate, Killed, Mortal
from thunes_pipelines.services.soak_faults import scripted
from thunes_pipelines.services.soak_verdict import Verdict, verdict_of

if TYPE_CHECKING:
    from thunes_core.adapters.ledger import Ledger
    from thunes_core.testnet.app import RunningTestnet
    from thunes_core.testnet.faults import Fault
    from thunes_core.trading.world import TradingPlan, World

Told = Callable[[int, int], None]
STRATEGY = "sma_crossover"
VALUES = {"fast": 5, "slow": 20}
ALLOTMENT = Decimal(1000)
IDLE = Decimal(10_000)
"""What the account holds beyond the allotments, so that a doubled order could be paid."""
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


@dataclass(frozen=True, slots=True)
class SoakPlan:
    """What is run. `read_fault_rate` is per request, `kill_rate` per tick; all drawn by `seed`.

    `faults` replace the script that the seed would give.
    """

    hours: float = 168.0
    seed: int = 1
    symbols: tuple[str, ...] = ("BTCUSDT", "ETHUSDT", "SOLUSDT")
    interval: Interval = Interval.M15
    tick_minutes: int = 10
    read_fault_rate: float = 0.004
    kill_rate: float = 0.05
    protection: Protection = field(
        default_factory=lambda: Protection(stop_loss=0.02, take_profit=0.03, cooldown_minutes=60)
    )
    faults: Sequence[Fault] | None = None

    @property
    def ticks(self) -> int:
        """How many ticks fit into the hours."""
        return int(self.hours * 60 // self.tick_minutes)


@dataclass(slots=True)
class _Tally:
    ticks: int = 0
    kills: int = 0
    skipped: int = 0
    outside_errors: int = 0
    unexplained: list[str] = field(default_factory=list)
    unprotected_seconds: float = 0.0


def run_soak(plan: SoakPlan, told: Told = lambda _done, _of: None) -> dict[str, Any]:
    """Run `plan` and return its figures; `told` hears of progress."""
    with _testnet(plan) as net, tempfile.TemporaryDirectory() as folder:
        run = _Run(plan, net, Path(folder) / "ledger.db")
        run.attack(told)
        run.calm_down()
        with closing(run.open_ledger()) as ledger:
            verdict = verdict_of(ledger, net.exchange, IDLE, run.tally.unprotected_seconds)
            return _document(plan, run.tally, verdict, net, ledger)


class _Run:
    """One soak under way: the clock, the ports and what was counted."""

    def __init__(self, plan: SoakPlan, net: RunningTestnet, path: Path) -> None:
        self.plan = plan
        self.net = net
        self.path = path
        self.tally = _Tally()
        self.clock = FixedClock(self._now())
        self.random = random.Random(f"soak|{plan.seed}")

    def attack(self, told: Told) -> None:
        """Let faults and kills loose and tick through the hours."""
        from thunes_core.testnet.conditions import give
        from thunes_core.testnet.faults import Draw

        script = self.plan.faults
        with self.net.exchange.lock:
            if script is None:
                script = scripted(self.plan.seed, self.plan.hours, self.plan.symbols[-1])
            for fault in script:
                give(self.net.exchange, fault)
            self.net.exchange.faults.draw(Draw(self.plan.seed, self.plan.read_fault_rate, on=""))
        for number in range(self.plan.ticks):
            killed = self._tick(kill=self.random.random() < self.plan.kill_rate)
            if killed:
                self._pass(RESTART_AFTER)
                self._tick(kill=False)
            self._pass(timedelta(minutes=self.plan.tick_minutes))
            told(number + 1, self.plan.ticks)

    def calm_down(self) -> None:
        """Stop the attack and tick on, until whatever is unknown has been learnt."""
        with self.net.exchange.lock:
            self.net.exchange.faults.clear()
        for _ in range(QUIET_TICKS):
            self._tick(kill=False)
            self._pass(timedelta(minutes=self.plan.tick_minutes))
        self._tick(kill=False)

    def open_ledger(self) -> Ledger:
        """Open the ledger as a new process would; its clock is the exchange's."""
        from thunes_core.adapters.ledger import open_ledger

        return open_ledger(f"sqlite:///{self.path}", clock=self.clock, synchronous="OFF")

    def _tick(self, *, kill: bool) -> bool:
        """Run one tick in ports of its own; True when it was killed."""
        from thunes_core.trading.step import tick

        fate = Fate()
        if kill:
            fate = Fate(self.random.randint(1, CALLS_IN_A_TICK), self.random.random() < 0.5)
        with closing(self.open_ledger()) as ledger, self._world(ledger, fate) as world:
            self.tally.ticks += 1
            try:
                tick(world, _trading_plan(self.plan))
            except Killed:
                self.tally.kills += 1
                return True
            except BreakerOpen:
                self.tally.skipped += 1
            except OutsideFailed:
                self.tally.outside_errors += 1
            except UNEXPLAINED as error:
                self.tally.unexplained.append(f"{type(error).__name__}: {error}")
        return False

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
                _Fixed(),
                pause=self._pass,
            )

    def _pass(self, length: timedelta) -> None:
        """Let the exchange's clock move on; what nothing protects meanwhile is counted."""
        exchange = self.net.exchange
        with exchange.lock:
            bare = _unprotected(exchange)
            self.tally.unprotected_seconds += len(bare) * length.total_seconds()
            exchange.clock.move_to(to_millis(self._now() + length))
            exchange.advance()
        self.clock.advance(length)

    def _now(self) -> datetime:
        return from_millis(self.net.exchange.clock.now_ms())


@dataclass(frozen=True, slots=True)
class _Fixed:
    """A source that gives every study the same parameters."""

    def champion(self, study: str) -> Champion:
        """Return the champion of `study`."""
        return Champion(study, ParameterSet(STRATEGY, VALUES), "soak", "")


@contextmanager
def _testnet(plan: SoakPlan) -> Iterator[RunningTestnet]:
    from thunes_core.testnet.app import serve_in_thread
    from thunes_core.testnet.market import generated_market

    market = generated_market(plan.symbols, seed=plan.seed, interval=plan.interval, history_days=10)
    with serve_in_thread(market, cash=ALLOTMENT * len(plan.symbols) + IDLE) as net:
        yield net


def _trading_plan(plan: SoakPlan) -> TradingPlan:
    from thunes_core.trading.world import TradingPlan

    limits = RiskLimits(
        daily_loss_quote=ALLOTMENT,
        cooldown_minutes=plan.protection.cooldown_minutes,
        max_order_notional=2 * ALLOTMENT,
        max_symbol_exposure=2 * ALLOTMENT,
        max_total_exposure=2 * ALLOTMENT * len(plan.symbols),
    )
    studies = tuple(study_key(STRATEGY, symbol, plan.interval) for symbol in plan.symbols)
    return TradingPlan(studies, ALLOTMENT, limits, plan.protection)


def _unprotected(exchange: Any) -> list[str]:
    """Return the symbols held in a size that could be sold, without a stop at the exchange."""
    stopped = {
        order.symbol
        for order in exchange.records.open_orders()
        if order.asked.is_stop and order.status != "PENDING_NEW"
    }
    bare = []
    for symbol in exchange.market.symbols:
        listing = exchange.market.listing(symbol)
        price = exchange.market.price(symbol, exchange.clock.now_ms())
        worth = exchange.wallet.total(listing.base) * price
        if symbol not in stopped and worth > 10:
            bare.append(symbol)
    return bare


def _document(
    plan: SoakPlan, tally: _Tally, verdict: Verdict, net: RunningTestnet, ledger: Ledger
) -> dict[str, Any]:
    return {
        "ticks": tally.ticks,
        "orders": verdict.orders,
        "fills": verdict.fills,
        "faults": len(net.exchange.faults.happened),
        "kills": tally.kills,
        "skipped": tally.skipped,
        "outside_errors": tally.outside_errors,
        "lost": verdict.lost,
        "doubled": verdict.doubled,
        "unknown_left": verdict.unknown_left,
        "discrepancies": verdict.discrepancies,
        "unexplained_errors": tally.unexplained,
        "unprotected_seconds": tally.unprotected_seconds,
        "audit_whole": verdict.audit_whole,
        "gates": verdict.gates(ledger, plan.hours, tally.ticks, len(tally.unexplained)),
    }
