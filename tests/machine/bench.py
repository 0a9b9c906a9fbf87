"""One exchange and one ledger for the state machine: ticks, time, faults, kills, verdict."""

from __future__ import annotations

import tempfile
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, ClassVar

import polars as pl
import stamina

from tests.databases import ledger_in
from tests.machine.wire import wire_to
from tests.worlds import HOUR, START, WIDE, bars_of
from thunes_core.adapters.binance.broker import BinanceBroker
from thunes_core.adapters.binance.market import BinanceMarket
from thunes_core.adapters.ledger import open_ledger
from thunes_core.clock import FixedClock, from_millis, to_millis
from thunes_core.domain.limits import LimitEntry, Protection
from thunes_core.domain.parameters import Champion, ParameterSet, ParameterSpace
from thunes_core.domain.portfolio import TradingState
from thunes_core.errors import BreakerOpen, OutsideFailed
from thunes_core.settings import LOCAL_KEY, LOCAL_SECRET
from thunes_core.strategies.base import register, registry_kept
from thunes_core.testnet.app import make_exchange
from thunes_core.testnet.conditions import give
from thunes_core.testnet.faults import Fault, FaultKind
from thunes_core.testnet.liquidity import Depth
from thunes_core.testnet.market import replayed_market
from thunes_core.testnet.matching import Options
from thunes_core.testnet.orders import ExchangeOrder, Status
from thunes_core.trading.step import tick
from thunes_core.trading.world import TradingPlan, World
from thunes_pipelines.services.mortal import Fate, Killed, Mortal
from thunes_pipelines.services.soak_verdict import Verdict, verdict_of

CASH, IDLE = Decimal(1000), Decimal(9000)
FIRST_BAR = 5
URL = "http://door"
SYMBOL, BASE = "BTCUSDT", "BTC"
STANDING = (FaultKind.LAG, FaultKind.SKEW, FaultKind.BAN, FaultKind.STATUS)
"""Conditions that a fault of zero seconds ends."""
QUIET_TICKS = 3


@dataclass(frozen=True, slots=True)
class Dictated:
    """A strategy that wants what the test says, bar by bar."""

    name: ClassVar[str] = "dictated_by_test"
    space: ClassVar[ParameterSpace] = ParameterSpace({})
    wanted: ClassVar[dict[datetime, float]] = {}

    @property
    def warmup_bars(self) -> int:
        return 2

    def target_exposure(self, bars: pl.DataFrame) -> pl.Series:
        return pl.Series("target", [self.wanted.get(t, 0.0) for t in bars["open_time"]], pl.Float64)


class OneChampion:
    """A source with one parameter set."""

    def champion(self, study: str) -> Champion:
        return Champion(study, ParameterSet(Dictated.name, {}), "1", "")


class Bench:
    """Everything the rules of the machine act on."""

    def __init__(
        self,
        protection: Protection,
        closes: list[float],
        entry: LimitEntry | None = None,
        depth: Depth | None = None,
        *,
        native: bool = False,
        apart: bool = False,
        foreign: Decimal = Decimal(0),
    ) -> None:
        Dictated.wanted.clear()
        self._folder = tempfile.TemporaryDirectory()
        url = ledger_in(Path(self._folder.name))
        self.clock = FixedClock(START)
        self.exchange = make_exchange(
            replayed_market([bars_of(closes)], start=START + FIRST_BAR * HOUR),
            options=Options(cash=CASH + IDLE, depth=depth),
        )
        self.exchange.market.listing(SYMBOL).extra = {"cancelReplaceAllowed": not apart}
        self.foreign = foreign
        self.exchange.deposit(BASE, foreign)
        self.oversold = False
        self.clock.advance(FIRST_BAR * HOUR)
        self.bar = FIRST_BAR
        self.last_bar = len(closes) - 2
        studies = (f"{Dictated.name}.{SYMBOL}.1h",)
        terms = {"entry": entry, "native_trail": native}
        self.plan = TradingPlan(studies, CASH, WIDE, protection, **terms)
        self.level = 0.0
        stamina.set_testing(True, attempts=2)
        self.ledger = open_ledger(url, clock=self.clock, synchronous="OFF")
        self._start()

    def _start(self) -> None:
        """Reach the exchange and the ledger's file as a new process would."""
        self._market = BinanceMarket(URL)
        self._broker = BinanceBroker(URL, LOCAL_KEY, LOCAL_SECRET)
        wire_to(self.exchange, self._market, self._broker)

    def _end(self) -> None:
        """Let go of every connection; the ledger opens new ones when it is used again."""
        self.ledger.close()
        self._market.close()
        self._broker.close()

    def close(self) -> None:
        """Give everything back."""
        stamina.set_testing(False)
        self._end()
        self._folder.cleanup()

    def want(self, target: float) -> None:
        """Move to the next bar, and let the strategy want `target` of the bar that closed."""
        self.bar += 1
        self.level = target
        moment = START + self.bar * HOUR
        Dictated.wanted[moment - HOUR] = target
        self.move_to(moment)

    def move_to(self, moment: datetime) -> None:
        """Set both clocks on to `moment`; never back."""
        now = from_millis(self.exchange.clock.now_ms())
        if moment <= now:
            return
        self.exchange.clock.move_to(to_millis(moment))
        self.exchange.advance()
        self.oversold |= self._offers_too_much()
        self.clock.advance(moment - now)

    def pass_time(self, length: timedelta) -> None:
        """Let time pass without leaving the bar's hour."""
        now = from_millis(self.exchange.clock.now_ms())
        edge = START + (self.bar + 1) * HOUR - timedelta(seconds=1)
        self.move_to(min(now + length, edge))

    def strike(self, fault: Fault) -> None:
        """Give the exchange a fault."""
        give(self.exchange, fault)

    def limit(self, most: str, *, told: bool) -> None:
        """Let one order move only so much of the quote asset; `told` at the next tick."""
        rule = {"filterType": "MAX_ASSET", "asset": "USDT", "limit": most}
        self.exchange.options = replace(self.exchange.options, asset_filters=(rule,))
        if told:
            self._broker._own.forget()

    def hold_large(self, most: str, *, told: bool) -> None:
        """Enter without protection, which the next tick places under a limit for each order."""
        protection, bare = self.plan.protection, replace(self.plan, protection=Protection())
        self.plan = bare
        self.want(1.0)
        self.tick()
        self.limit(most, told=told)
        self.plan = replace(bare, protection=protection)

    def set_state(self, state: TradingState) -> None:
        """Let a person change the trading state."""
        self.ledger.set_trading_state(state, reason="machine", author="test")

    def tick(self, fate: Fate | None = None) -> None:
        """Run one tick; what the outside does to it is expected. A killed process starts anew."""
        fate = fate or Fate()
        ports: Any = (
            self._market,
            Mortal(self._broker, fate),
            Mortal(self.ledger, fate),
            OneChampion(),
        )
        try:
            with registry_kept(), suppress(BreakerOpen, OutsideFailed):
                register(Dictated)
                tick(World(*ports, pause=self.pass_time), self.plan)
        except Killed:
            self._end()
            self._start()

    def calm_down(self) -> None:
        """End the attack and tick until nothing is unclear."""
        self.exchange.faults.clear()
        for fault in STANDING:
            self.strike(Fault(fault, seconds=0.0, symbol=SYMBOL, symbol_status="TRADING"))
        self.exchange.conditions.in_maintenance = False
        self.set_state(TradingState.ACTIVE)
        self.want(self.level)
        for _ in range(QUIET_TICKS):
            self.tick()
            self.pass_time(timedelta(minutes=10))
        self.tick()

    def _offers_too_much(self) -> bool:
        """True when other people's coins were sold, or would be by all that rests."""
        lists: dict[object, Decimal] = {}
        for one in self.exchange.records.open_orders(SYMBOL):
            if not one.is_buy and one.status is not Status.PENDING_NEW:
                key = one.list_id if one.list_id >= 0 else one.client_id
                lists[key] = max(lists.get(key, Decimal(0)), one.quantity - one.executed)
        return sum(lists.values(), self.foreign) > self.exchange.wallet.total(BASE)

    def verdict(self) -> Verdict:
        """Compare ledger and exchange, without other people's coins."""
        if self.foreign:
            now, expected = self._market.server_time(), self.ledger.expected_balances()
            self.exchange.deposit(BASE, -self.foreign)
            self.ledger.accept_balance(BASE, expected[BASE] - self.foreign, now, "not ours")
        return verdict_of(self.ledger, self.exchange, IDLE)

    def overspent(self) -> bool:
        """True when a book spent clearly more than it was allotted: an order too many."""
        return any(book.cash < -CASH / 20 for book in self.ledger.positions())

    def unsold(self) -> bool:
        """True when the strategy wants nothing and something worth selling is held."""
        held = [b.quantity * b.average_price for b in self.ledger.positions() if b.is_open]
        return self.level == 0.0 and sum(held, Decimal(0)) > 20

    def bare(self) -> bool:
        """True when something is held that protection should cover and does not."""
        open_books = [book for book in self.ledger.positions() if book.is_open]
        wants = self.plan.protection.stop_loss > 0 and bool(open_books)
        covered = sum((_covers(o) for o in self.exchange.records.open_orders()), Decimal(0))
        left = sum((b.quantity for b in open_books), Decimal(0)) - covered
        return wants and left * open_books[0].average_price > 20


def _covers(order: ExchangeOrder) -> Decimal:
    """Return what a stop protects; nothing while it waits for its buy."""
    stops = order.asked.is_stop and order.asked.triggers_falling and not order.is_buy
    rests = stops and order.status is not Status.PENDING_NEW
    return order.quantity - order.executed if rests else Decimal(0)
