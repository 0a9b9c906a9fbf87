"""What a soak runs: hours, symbols, protection, and how hard it is attacked.

Add here: a choice of whoever starts a soak. Keep out: running it.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING

from thunes_core.domain.bars import Interval
from thunes_core.domain.limits import Protection, RiskLimits
from thunes_core.domain.parameters import Champion, ParameterSet, study_key
from thunes_pipelines.services.soak_faults import scripted

if TYPE_CHECKING:
    from thunes_core.testnet.faults import Fault
    from thunes_core.trading.world import TradingPlan

STRATEGY = "sma_crossover"
VALUES = {"fast": 5, "slow": 20}
ALLOTMENT = Decimal(1000)
IDLE = Decimal(10_000)
"""What the account holds beyond the allotments, so that a doubled order could be paid."""
RESTART_HOURS = 72


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

    def script(self) -> Sequence[Fault]:
        """Return the faults that are given at the beginning."""
        return (
            scripted(self.seed, self.hours, self.symbols[-1])
            if self.faults is None
            else self.faults
        )

    def restarts(self) -> set[int]:
        """Draw before which ticks the stream's process is started again: once in three days."""
        chance = random.Random(f"soak restarts|{self.seed}")
        often = int(self.hours / RESTART_HOURS) if self.faults is None else 0
        return {chance.randrange(1, self.ticks) for _ in range(often)}

    def trading(self) -> TradingPlan:
        """Return what each tick is told to trade."""
        from thunes_core.trading.world import TradingPlan

        limits = RiskLimits(
            daily_loss_quote=ALLOTMENT,
            cooldown_minutes=self.protection.cooldown_minutes,
            max_order_notional=2 * ALLOTMENT,
            max_symbol_exposure=2 * ALLOTMENT,
            max_total_exposure=2 * ALLOTMENT * len(self.symbols),
        )
        studies = tuple(study_key(STRATEGY, symbol, self.interval) for symbol in self.symbols)
        return TradingPlan(studies, ALLOTMENT, limits, self.protection)


@dataclass(frozen=True, slots=True)
class FixedChampion:
    """A source that gives every study the same parameters."""

    def champion(self, study: str) -> Champion:
        """Return the champion of `study`."""
        return Champion(study, ParameterSet(STRATEGY, VALUES), "soak", "")
