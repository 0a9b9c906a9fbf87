"""What the checks look at: one frozen snapshot of account, books and limits.

Add here: a fact that a check needs. Keep out: checking.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal

from thunes_core.domain.filters import NOTHING_OPEN, Standing
from thunes_core.domain.instrument import Instrument
from thunes_core.domain.limits import RiskLimits
from thunes_core.domain.orders import ZERO
from thunes_core.domain.portfolio import Account, Position, TradingState
from thunes_core.domain.records import StateRecord


@dataclass(frozen=True, slots=True)
class RiskFacts:
    """The account at one moment; money in quote units, times UTC on the exchange's clock.

    `price` and `instrument` are those of the request's symbol; `prices` value every book.
    `stale` is True when the newest closed bar is too old to enter on. `unresolved` names symbols
    with an order of unknown outcome, with what is foreign, or whose balance does not fit, each
    with the sentence that says so. `bad_bars` is the sentence that holds back entries, or empty.
    `standing` is what is open on the request's symbol, asked of entries alone. `pending` is what
    buys under way may still spend, by (strategy, symbol), in quote units.
    `bar_close` is the close decided on (0: none), `correlations` how alike each other symbol held
    moves, in [-1, 1], `stop_outs` the losing protective exits of late.
    """

    state: StateRecord
    limits: RiskLimits
    instrument: Instrument
    price: Decimal
    now: datetime
    positions: tuple[Position, ...] = ()
    strategy: str = ""
    prices: Mapping[str, Decimal] = field(default_factory=dict)
    account: Account = field(default_factory=Account)
    fee_rate: Decimal = ZERO
    stale: bool = False
    bad_bars: str = ""
    unresolved: Mapping[str, str] = field(default_factory=dict)
    standing: Standing = NOTHING_OPEN
    armed: bool = True
    breaker_open: bool = False
    pending: Mapping[tuple[str, str], Decimal] = field(default_factory=dict)
    bar_close: Decimal = ZERO
    entries_last_hour: int = 0
    stop_outs: int = 0
    correlations: Mapping[str, float] = field(default_factory=dict)

    @property
    def is_active(self) -> bool:
        """True when positions may be increased."""
        return self.state.state is TradingState.ACTIVE

    def exposure(self, symbol: str | None = None) -> Decimal:
        """Value of all holdings and buys under way, or of those in `symbol`."""
        held = (
            book.holding * self.prices.get(book.symbol, book.average_price)
            for book in self.positions
            if symbol in {None, book.symbol}
        )
        coming = (value for key, value in self.pending.items() if symbol in {None, key[1]})
        return sum(held, ZERO) + sum(coming, ZERO)

    @property
    def open_books(self) -> set[tuple[str, str]]:
        """The books, by (strategy, symbol), that hold something or have a buy under way."""
        held = {(book.strategy, book.symbol) for book in self.positions if book.is_open}
        return held | set(self.pending)

    def book(self, symbol: str) -> Position | None:
        """The book of the asking strategy in `symbol`, if there is one."""
        return next(
            (b for b in self.positions if (b.strategy, b.symbol) == (self.strategy, symbol)), None
        )
