"""Records of the ledger: what is kept of states, leases, orders, trades and their audit.

Add here: a noun that the ledger hands out. Keep out: how it is stored.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from thunes_core.domain.orders import ZERO, OrderRequest, OrderStatus, Side
from thunes_core.domain.parameters import Champion
from thunes_core.domain.portfolio import TradingState


@dataclass(frozen=True, slots=True)
class StateRecord:
    """The trading state in force: why, by whom and since when (UTC)."""

    state: TradingState
    reason: str
    author: str
    since: datetime


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to trade the account until `expires` (machine clock, UTC); `token` only grows."""

    holder: str
    token: int
    expires: datetime


@dataclass(frozen=True, slots=True)
class OrderRecord:
    """An order as the ledger knows it: the request, its decision and its life so far.

    `strategy` and `bar` name the decision. Times are the exchange's clock, UTC; `submitted_at` is
    None while the request has provably not left. `booked_quantity` is what the fills booked so far
    sum to; the order is `settled` when it is final and all it executed is booked. `code` and `why`
    explain a refusal or rejection, `looks` counts the questions that found nothing. `rested_at` is
    the exchange's moment at which it was first told to be open there.
    """

    request: OrderRequest
    strategy: str
    bar: datetime
    status: OrderStatus
    intended_at: datetime
    submitted_at: datetime | None = None
    updated_at: datetime | None = None
    exchange_order_id: str = ""
    executed_quantity: Decimal = ZERO
    executed_quote: Decimal = ZERO
    booked_quantity: Decimal = ZERO
    settled: bool = False
    code: str = ""
    why: str = ""
    looks: int = 0
    rested_at: datetime | None = None

    @property
    def client_order_id(self) -> str:
        """Id that names the order on both sides."""
        return self.request.client_order_id


@dataclass(frozen=True, slots=True)
class Trade:
    """A closed trade, flat to flat; prices are averages, money in quote units, times UTC."""

    strategy: str
    symbol: str
    entry_time: datetime
    exit_time: datetime
    entry_price: Decimal
    exit_price: Decimal
    quantity: Decimal
    pnl: Decimal
    fees: Decimal
    reason: str
    parameters: str


@dataclass(frozen=True, slots=True)
class Dealing:
    """What one fill of a book moved: base units, and quote units with `fee_quote` for its fee."""

    strategy: str
    symbol: str
    side: Side
    quantity: Decimal
    quote: Decimal
    fee: Decimal
    fee_asset: str
    fee_quote: Decimal


@dataclass(frozen=True, slots=True)
class DecisionContext:
    """What a decision stood on: parameter set, registry version, run of its evidence, bars read.

    `bars_fingerprint` is that of the frame the strategy saw; `decided_at` the exchange's clock.
    """

    interval: str
    parameters: str
    version: str
    run_id: str
    bars_fingerprint: str
    decided_at: datetime


@dataclass(frozen=True, slots=True)
class Shadow:
    """A candidate that decides on paper beside the champion, since when (exchange's clock)."""

    candidate: Champion
    since: datetime


@dataclass(frozen=True, slots=True)
class ShadowDecision:
    """The exposure that a candidate wanted at one bar; `price` is that bar's close."""

    study: str
    version: str
    bar: datetime
    target: float
    price: Decimal
    recorded_at: datetime


@dataclass(frozen=True, slots=True)
class EquityMark:
    """Value of all books at a tick: cash, exposure and their sum, quote units; time UTC."""

    time: datetime
    equity: Decimal
    cash: Decimal
    exposure: Decimal


@dataclass(frozen=True, slots=True)
class Arming:
    """Leave to increase positions with real money, typed by a person; it ends by itself.

    `identity` is the exchange's name of the account it was given for, `until` the machine clock's.
    `max_notional` caps the total exposure, in quote units.
    """

    identity: str
    until: datetime
    max_notional: Decimal
    author: str


@dataclass(frozen=True, slots=True)
class AuditVerdict:
    """Whether the audit chain is whole: rows seen, the head's hash, the first broken row if any."""

    rows: int
    head: str
    broken_at: int | None = None

    @property
    def whole(self) -> bool:
        """True when every row carries the hash of the one before."""
        return self.broken_at is None
