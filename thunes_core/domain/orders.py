"""Orders: request, verdict of the gate, life, fills.

Add here: a state or kind of order the exchange knows.
Keep out: how an order is sent, stored or decided.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum

ZERO = Decimal(0)


class Side(StrEnum):
    """Which way the base asset moves."""

    BUY = "BUY"
    SELL = "SELL"


class OrderType(StrEnum):
    """Order types of Binance spot."""

    MARKET = "MARKET"
    LIMIT = "LIMIT"
    LIMIT_MAKER = "LIMIT_MAKER"
    STOP_LOSS = "STOP_LOSS"
    STOP_LOSS_LIMIT = "STOP_LOSS_LIMIT"
    TAKE_PROFIT = "TAKE_PROFIT"
    TAKE_PROFIT_LIMIT = "TAKE_PROFIT_LIMIT"


class TimeInForce(StrEnum):
    """How long a limit order rests."""

    GTC = "GTC"
    IOC = "IOC"
    FOK = "FOK"


class OrderStatus(StrEnum):
    """The life of an order (semantics §8); `PENDING_NEW` waits for the whole fill of its buy."""

    INTENDED = "INTENDED"
    SUBMITTED = "SUBMITTED"
    PENDING_NEW = "PENDING_NEW"
    NEW = "NEW"
    PARTIALLY_FILLED = "PARTIALLY_FILLED"
    FILLED = "FILLED"
    CANCELED = "CANCELED"
    REJECTED = "REJECTED"
    EXPIRED = "EXPIRED"
    REFUSED = "REFUSED"
    UNKNOWN = "UNKNOWN"

    @property
    def is_final(self) -> bool:
        """True when the order can never change again."""
        return self in _FINAL

    @property
    def is_in_flight(self) -> bool:
        """True when the exchange may hold it and we do not know its state."""
        return self in {OrderStatus.INTENDED, OrderStatus.SUBMITTED, OrderStatus.UNKNOWN}


_FINAL = {
    OrderStatus.FILLED,
    OrderStatus.CANCELED,
    OrderStatus.REJECTED,
    OrderStatus.EXPIRED,
    OrderStatus.REFUSED,
}


class Leg(StrEnum):
    """What an order is for; part of its client order id."""

    ENTRY = "entry"
    EXIT = "exit"
    REDUCE = "reduce"
    STOP = "stop"
    TARGET = "target"


class Refusal(StrEnum):
    """Why the gate refused an order."""

    HALTED = "halted"
    REDUCING = "reducing"
    MAX_POSITIONS = "max_positions"
    COOL_DOWN = "cool_down"
    ORDER_NOTIONAL = "order_notional"
    SYMBOL_EXPOSURE = "symbol_exposure"
    TOTAL_EXPOSURE = "total_exposure"
    CORRELATED_EXPOSURE = "correlated_exposure"
    ORDER_RATE = "order_rate"
    PRICE_BAND = "price_band"
    STOP_OUT_GUARD = "stop_out_guard"
    FILTER = "filter"
    INSUFFICIENT_BALANCE = "insufficient_balance"
    STALE_BAR = "stale_bar"
    UNRESOLVED_ORDER = "unresolved_order"
    NOT_ARMED = "not_armed"
    BREAKER_OPEN = "breaker_open"
    BAD_BARS = "bad_bars"


@dataclass(frozen=True, slots=True)
class OrderRequest:
    """What is wanted of the exchange; quantities in base units, prices in quote units.

    `reduces` is True for an order that can only make a position smaller: an exit.
    `reason` is the field term of why (`signal`, `stop_loss`, ...). `stop_price` for stop types.
    `level` is the exposure that the order establishes once it is executed (semantics §3).
    Orders of one list (they cancel or begin each other) share a `list_id`. `trailing_delta` is the
    distance, in basis points of the price, at which the exchange itself lets a stop follow.
    """

    symbol: str
    side: Side
    type: OrderType
    quantity: Decimal
    client_order_id: str
    leg: Leg
    reason: str = "signal"
    price: Decimal | None = None
    stop_price: Decimal | None = None
    time_in_force: TimeInForce | None = None
    reduces: bool = False
    level: float = 0.0
    list_id: str = ""
    trailing_delta: int | None = None

    @property
    def rests(self) -> bool:
        """True when it waits at the exchange to protect a position."""
        return self.leg in {Leg.STOP, Leg.TARGET} and self.type is not OrderType.MARKET

    @property
    def leaves(self) -> bool:
        """True when it sells at once all that is held, or a part of that."""
        return self.reduces and self.level == 0.0 and not self.rests

    @property
    def group(self) -> str:
        """What ends together with it: the id of its list, or its own where it stands alone."""
        return self.list_id or self.client_order_id


@dataclass(frozen=True, slots=True)
class ApprovedOrder:
    """A request that the risk gate let through. Only `thunes_core.risk.gate` makes one."""

    request: OrderRequest
    approved_at: datetime


@dataclass(frozen=True, slots=True)
class RefusedOrder:
    """A request that the risk gate refused, with the code and the sentence that says why."""

    request: OrderRequest
    code: Refusal
    why: str


@dataclass(frozen=True, slots=True)
class Order:
    """An order as the exchange reports it. Money in Decimal; times UTC."""

    symbol: str
    client_order_id: str
    exchange_order_id: str
    side: Side
    type: OrderType
    status: OrderStatus
    quantity: Decimal
    executed_quantity: Decimal
    executed_quote: Decimal
    updated_at: datetime
    price: Decimal | None = None
    stop_price: Decimal | None = None


@dataclass(frozen=True, slots=True)
class Fill:
    """One execution, unique by (symbol, trade_id). Fee in `fee_asset` units. Time UTC."""

    symbol: str
    trade_id: str
    exchange_order_id: str
    client_order_id: str
    side: Side
    price: Decimal
    quantity: Decimal
    fee: Decimal
    fee_asset: str
    is_maker: bool
    time: datetime

    @property
    def quote(self) -> Decimal:
        """Traded value in the quote asset."""
        return self.price * self.quantity


def client_order_id(
    strategy: str, symbol: str, bar_open_time: datetime, leg: Leg, attempt: int = 0
) -> str:
    """Derive the id of the order that one decision may make (semantics §8).

    The same decision always gives the same id: at most 36 characters of `[A-Za-z0-9_-]`.
    Strategy and symbol enter by hash, so that any name fits.
    """
    digest = hashlib.sha256(f"{strategy}|{symbol}".encode()).hexdigest()[:10]
    minute = int(bar_open_time.timestamp() // 60)
    return f"th-{digest}-{minute:x}-{leg}-{attempt}"


def attempt_of(client_order_id: str) -> int:
    """Return the attempt in an id that `client_order_id` made: of one bar the later is the higher.

    >>> attempt_of("th-83df801976-1b96864-stop-12")
    12
    """
    return int(client_order_id.rpartition("-")[2])


_MADE_HERE = re.compile(r"th-[0-9a-f]{10}-[0-9a-f]+-")


def is_made_by_thunes(client_order_id: str) -> bool:
    """True for an id that `client_order_id` makes, of whatever ledger.

    >>> is_made_by_thunes("th-83df801976-1b96864-stop-0"), is_made_by_thunes("web_5f0c")
    (True, False)
    """
    return _MADE_HERE.match(client_order_id) is not None
