"""What is held: balances, positions and the trading state.

Add here: a fact about holdings that decisions read. Keep out: stores, valuation by network.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from enum import StrEnum

from thunes_core.domain.orders import ZERO


class TradingState(StrEnum):
    """What the account may do: all, only reduce, or only cancel (semantics §7)."""

    ACTIVE = "ACTIVE"
    REDUCING = "REDUCING"
    HALTED = "HALTED"


@dataclass(frozen=True, slots=True)
class Balance:
    """Free and locked amount of one asset, in its own units."""

    asset: str
    free: Decimal
    locked: Decimal = ZERO

    @property
    def total(self) -> Decimal:
        """Free and locked together."""
        return self.free + self.locked


@dataclass(frozen=True, slots=True)
class Account:
    """The balances of the account as the exchange reports them, by asset.

    `identity` is the exchange's own name of the account; empty where it tells none.
    """

    balances: dict[str, Balance] = field(default_factory=dict)
    identity: str = ""

    def free(self, asset: str) -> Decimal:
        """Free amount of `asset`; zero when there is none."""
        held = self.balances.get(asset)
        return held.free if held else ZERO

    def total(self, asset: str) -> Decimal:
        """Total amount of `asset`; zero when there is none."""
        held = self.balances.get(asset)
        return held.total if held else ZERO


@dataclass(frozen=True, slots=True)
class Position:
    """The book of one (strategy, symbol): its allotted cash, what it holds, and its §3 state.

    `cash` is what is left of the allotment, in quote units, fees included. `quantity` is in base
    units after fees; 0 when flat. `dust` is what earlier exits could not sell (below a step or the
    minimum notional): it joins the next entry and is sold with it. `average_price` is the average
    entry price (fees excluded). `spent`, `received`, `fees` (quote units), `bought`,
    `bought_quote`, `sold` and `sold_quote` belong to the running trade; `realised` sums the closed
    ones.
    `level` is the exposure last established; `blocked` holds entries after a protective exit until
    the target changes; `last_target` is the target of the bar last decided on. `high_water` is the
    highest high since entry, in quote units. Times UTC.
    """

    strategy: str
    symbol: str
    cash: Decimal
    quantity: Decimal = ZERO
    average_price: Decimal = ZERO
    entry_time: datetime | None = None
    spent: Decimal = ZERO
    received: Decimal = ZERO
    realised: Decimal = ZERO
    level: float = 0.0
    blocked: bool = False
    last_target: float = 0.0
    high_water: float = 0.0
    last_bar: datetime | None = None
    cooldown_until: datetime | None = None
    parameters: str = ""
    dust: Decimal = ZERO
    bought: Decimal = ZERO
    bought_quote: Decimal = ZERO
    sold: Decimal = ZERO
    sold_quote: Decimal = ZERO
    fees: Decimal = ZERO

    @property
    def is_open(self) -> bool:
        """True while something is held."""
        return self.quantity > 0

    @property
    def holding(self) -> Decimal:
        """Everything held, dust included, in base units."""
        return self.quantity + self.dust

    def equity(self, price: Decimal) -> Decimal:
        """Value of the book at `price`, in quote units."""
        return self.cash + self.holding * price
