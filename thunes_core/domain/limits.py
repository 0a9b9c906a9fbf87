"""Limits and costs: what a trade may risk and what it is assumed to cost.

Add here: a limit the gate checks, a cost the backtest charges. Keep out: the checking.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal


@dataclass(frozen=True, slots=True)
class RiskLimits:
    """Limits of the account; money in quote units, the rest fractions or counts; 0 is off.

    Only `daily_loss_quote`, `max_positions` and the first three sums are never off (semantics §7).
    `max_correlated_exposure` binds the sum held in symbols whose returns correlate with the
    order's by `correlation_threshold` or more.
    """

    daily_loss_quote: Decimal = Decimal(20)
    max_positions: int = 3
    cooldown_minutes: int = 60
    max_order_notional: Decimal = Decimal(1000)
    max_symbol_exposure: Decimal = Decimal(1000)
    max_total_exposure: Decimal = Decimal(3000)
    bar_grace_seconds: int = 60
    max_drawdown: Decimal = Decimal(0)
    max_correlated_exposure: Decimal = Decimal(0)
    correlation_threshold: float = 0.8
    max_entries_per_hour: int = 0
    price_band: Decimal = Decimal(0)
    max_stop_outs: int = 0
    stop_out_hours: int = 24


@dataclass(frozen=True, slots=True)
class Costs:
    """Fees and slippage as fractions of the traded value (0.001 = 0.1 %)."""

    taker_fee: float = 0.001
    maker_fee: float = 0.001
    slippage: float = 0.0005

    def times(self, factor: float) -> Costs:
        """Return the costs multiplied by `factor`."""
        return Costs(self.taker_fee * factor, self.maker_fee * factor, self.slippage * factor)


@dataclass(frozen=True, slots=True)
class Protection:
    """Protective exits as fractions of the entry price; 0 switches one off (semantics §3)."""

    stop_loss: float = 0.0
    take_profit: float = 0.0
    trailing_stop: float = 0.0
    trailing_activation: float = 0.0
    cooldown_minutes: int = 0

    @property
    def is_off(self) -> bool:
        """True when no exit is switched on."""
        return not (self.stop_loss or self.take_profit or self.trailing_stop)


@dataclass(frozen=True, slots=True)
class LotRules:
    """The three filters that the backtest applies; 0 switches one off. Base and quote units."""

    step_size: float = 0.0
    min_quantity: float = 0.0
    min_notional: float = 0.0


@dataclass(frozen=True, slots=True)
class Conditions:
    """What a simulated run is given: starting cash (quote units), costs, exits, lot rules."""

    cash: float = 10_000.0
    costs: Costs = field(default_factory=Costs)
    protection: Protection = field(default_factory=Protection)
    lots: LotRules = field(default_factory=LotRules)


@dataclass(frozen=True, slots=True)
class LimitEntry:
    """Enter and raise by a limit order instead of at the market (semantics §3, last paragraph).

    The limit is the close decided on × (1 − `offset`). Unfilled after `timeout_bars` bars it is
    cancelled until the target changes, or bought at the market with `then_market`.
    """

    offset: float = 0.0
    timeout_bars: int = 1
    then_market: bool = False


@dataclass(frozen=True, slots=True)
class PortfolioLimits:
    """Limits of a simulated portfolio, fractions of its equity; they bind increases alone.

    `max_positions` 0 switches that limit off.
    """

    max_symbol_exposure: float = 1.0
    max_total_exposure: float = 1.0
    max_positions: int = 0
