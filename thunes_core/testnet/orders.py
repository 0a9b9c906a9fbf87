"""Orders and trades as the exchange keeps them.

Add here: a field an order has on the exchange. Keep out: matching, documents.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum
from typing import TYPE_CHECKING

from thunes_core.domain.orders import OrderType, Side, TimeInForce

if TYPE_CHECKING:
    from thunes_core.testnet.prevention import PreventedMatch

ZERO = Decimal(0)
NO_LIST = -1
NEVER_MS = -1


class Status(StrEnum):
    """The exchange's own states of an order."""

    NEW = "NEW"
    PENDING_NEW = "PENDING_NEW"
    PARTIALLY_FILLED = "PARTIALLY_FILLED"
    FILLED = "FILLED"
    CANCELED = "CANCELED"
    REJECTED = "REJECTED"
    EXPIRED = "EXPIRED"
    EXPIRED_IN_MATCH = "EXPIRED_IN_MATCH"


class Prevention(StrEnum):
    """What happens when an order would trade with another of the same account."""

    NONE = "NONE"
    EXPIRE_TAKER = "EXPIRE_TAKER"
    EXPIRE_MAKER = "EXPIRE_MAKER"
    EXPIRE_BOTH = "EXPIRE_BOTH"
    DECREMENT = "DECREMENT"
    TRANSFER = "TRANSFER"


class Change(StrEnum):
    """What happened to an order; the execution types of the user data stream."""

    NEW = "NEW"
    TRADE = "TRADE"
    TRADE_PREVENTION = "TRADE_PREVENTION"
    REPLACED = "REPLACED"
    CANCELED = "CANCELED"
    EXPIRED = "EXPIRED"
    REJECTED = "REJECTED"


ENDINGS = {
    Status.CANCELED: Change.CANCELED,
    Status.EXPIRED: Change.EXPIRED,
    Status.REJECTED: Change.REJECTED,
    Status.EXPIRED_IN_MATCH: Change.TRADE_PREVENTION,
}
OPEN = frozenset({Status.NEW, Status.PENDING_NEW, Status.PARTIALLY_FILLED})
STOPS = frozenset(
    {
        OrderType.STOP_LOSS,
        OrderType.STOP_LOSS_LIMIT,
        OrderType.TAKE_PROFIT,
        OrderType.TAKE_PROFIT_LIMIT,
    }
)
LIMITS = frozenset(
    {
        OrderType.LIMIT,
        OrderType.LIMIT_MAKER,
        OrderType.STOP_LOSS_LIMIT,
        OrderType.TAKE_PROFIT_LIMIT,
    }
)
STOP_LOSSES = frozenset({OrderType.STOP_LOSS, OrderType.STOP_LOSS_LIMIT})


@dataclass(frozen=True, slots=True)
class NewOrder:
    """What a client asks for, checked for form. Amounts in base and quote units."""

    symbol: str
    side: Side
    type: OrderType
    client_id: str | None = None
    quantity: Decimal | None = None
    quote_quantity: Decimal | None = None
    price: Decimal | None = None
    stop_price: Decimal | None = None
    trailing_delta: int | None = None
    iceberg_quantity: Decimal | None = None
    time_in_force: TimeInForce = TimeInForce.GTC
    strategy_id: int | None = None
    strategy_type: int | None = None
    prevention: Prevention | None = None
    is_routed: bool = False

    @property
    def is_stop(self) -> bool:
        """True for orders that wait for a trigger."""
        return self.type in STOPS

    @property
    def triggers_falling(self) -> bool:
        """True when a falling price meets the stop price, which sets it off or lets it trail."""
        return (self.side is Side.SELL) == (self.type in STOP_LOSSES)


@dataclass(frozen=True, slots=True)
class Trade:
    """One execution. `quote` is exactly price × quantity. An allocation has no trade id (-1)."""

    symbol: str
    trade_id: int
    order_id: int
    list_id: int
    price: Decimal
    quantity: Decimal
    quote: Decimal
    fee: Decimal
    fee_asset: str
    time_ms: int
    is_buyer: bool
    is_maker: bool
    allocation_id: int | None = None


@dataclass(slots=True, eq=False)
class ExchangeOrder:
    """An order on the exchange; changes as it lives. Times in milliseconds."""

    asked: NewOrder
    order_id: int
    client_id: str
    quantity: Decimal
    time_ms: int
    update_ms: int
    status: Status = Status.NEW
    list_id: int = NO_LIST
    executed: Decimal = ZERO
    quote: Decimal = ZERO
    working_ms: int = NEVER_MS
    waits: bool = False
    """True while a stop has not been triggered."""
    checked_ms: int = 0
    """Up to where the price path was searched for this order's next event."""
    held_asset: str = ""
    held: Decimal = ZERO
    resume_ms: int = NEVER_MS
    """When a thinly filled order may fill again."""
    trail_extreme: Decimal | None = None
    """Best price since a trailing stop began to trail; None before."""
    trailing_ms: int = NEVER_MS
    prevented: Decimal = ZERO
    """What self-trade prevention took off."""
    cancel_id: str = ""
    """The client id of the cancel that ended it."""
    reject_reason: str = "NONE"
    execution_id: int = 0
    """Of its last change, counted over the exchange."""
    matches_prevented: list[PreventedMatch] = field(default_factory=list)
    trades: list[Trade] = field(default_factory=list)

    @property
    def symbol(self) -> str:
        """The symbol it is for."""
        return self.asked.symbol

    @property
    def is_buy(self) -> bool:
        """True when it buys the base asset."""
        return self.asked.side is Side.BUY

    @property
    def is_open(self) -> bool:
        """True while it can still change."""
        return self.status in OPEN

    @property
    def remaining(self) -> Decimal:
        """Base quantity not yet executed and not taken off by prevention."""
        return self.quantity - self.executed - self.prevented

    @property
    def works(self) -> bool:
        """True while it is on the book."""
        return self.status in (Status.NEW, Status.PARTIALLY_FILLED) and not self.waits

    @property
    def usual_cancel_id(self) -> str:
        """The client id of a cancel that comes without one."""
        return f"cancel-{self.order_id}"

    @property
    def is_limit(self) -> bool:
        """True when it executes at its price or better."""
        return self.asked.type in LIMITS

    @property
    def trails(self) -> bool:
        """True when a trailing stop has begun to follow the price."""
        return self.trail_extreme is not None

    @property
    def limit_price(self) -> Decimal:
        """Its limit; only for limit kinds."""
        if self.asked.price is None:
            raise ValueError(f"order {self.order_id} has no limit price")
        return self.asked.price
