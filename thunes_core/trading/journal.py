"""The ledger as the tick needs it: what it must remember, and what it promises of its writes.

One contract suite in `tests/contracts` holds every implementation to it.

Add here: a fact the tick must find again. Keep out: implementations, other ports (see `ports`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Protocol, Self

from thunes_core.domain.orders import Fill, Order
from thunes_core.domain.portfolio import Position, TradingState
from thunes_core.domain.records import (
    Arming,
    Dealing,
    DecisionContext,
    EquityMark,
    Lease,
    OrderRecord,
    StateRecord,
    Trade,
)
from thunes_core.domain.signal import Decision
from thunes_core.trading.memory import ChampionMemory


class Journal(ChampionMemory, Protocol):
    """The ledger as the tick needs it. Every write is durable when the call returns.

    Writers queue; a write under a lease that is no longer the newest raises `LeaseHeld`. Any
    method may raise `StoreFailed`. Moments are the exchange's clock, UTC, except in leases.
    """

    def acquire_lease(self, holder: str, ttl: timedelta) -> Lease:
        """Take the account's lease until now + `ttl` (machine clock), or raise `LeaseHeld`."""
        ...

    def under(self, lease: Lease) -> Self:
        """Return this journal with every write fenced by `lease`."""
        ...

    def release_lease(self, lease: Lease) -> None:
        """Give the lease back if it is still ours."""
        ...

    def trading_state(self) -> StateRecord:
        """Return the trading state in force; ACTIVE while nobody ever set one."""
        ...

    def arming(self) -> Arming | None:
        """Return the arming in force (machine clock), or None."""
        ...

    def set_trading_state(
        self,
        state: TradingState,
        *,
        reason: str,
        author: str,
        since: datetime | None = None,
        instead_of: StateRecord | None = None,
    ) -> StateRecord:
        """Store the trading state with its reason and author; return what is in force then.

        With `instead_of` nothing is stored unless that is in force: a person's change wins.
        """
        ...

    def breaker_open(self) -> bool:
        """True while the breaker, shared by all processes, is open (machine clock)."""
        ...

    def heard_exchange(self, *, answered: bool, asked_to_wait: bool = False) -> None:
        """Tell the breaker whether the exchange answered, and whether it wants no more requests."""
        ...

    def is_decided(self, strategy: str, symbol: str, bar: datetime) -> bool:
        """True when that bar was decided on."""
        ...

    def record_decision(
        self, decision: Decision, context: DecisionContext, orders: Sequence[OrderRecord]
    ) -> bool:
        """Store decision, book and orders at once; False (and nothing) if the bar was decided."""
        ...

    def record_intents(self, position: Position, orders: Sequence[OrderRecord]) -> None:
        """Store a book and new orders at once, outside of a bar's decision."""
        ...

    def claim(self, client_order_ids: Sequence[str], at: datetime) -> None:
        """Mark intents as leaving together: after it exactly one request may follow.

        An intent is claimed once: `StoreFailed` for one that is not INTENDED.
        """
        ...

    def record_outcome(self, order: Order, at: datetime, why: str = "") -> None:
        """Store what the exchange says of an order."""
        ...

    def change_order(self, client_order_id: str, at: datetime, **changes: Any) -> None:
        """Store changed fields of an order."""
        ...

    def order(self, client_order_id: str) -> OrderRecord | None:
        """Return one order, or None."""
        ...

    def order_by_exchange_id(self, symbol: str, exchange_order_id: str) -> OrderRecord | None:
        """Return the order that the exchange calls by that id, or None."""
        ...

    def open_orders(self) -> list[OrderRecord]:
        """Return every order that is not settled, oldest first."""
        ...

    def orders_of(self, strategy: str, symbol: str, bar: datetime) -> list[OrderRecord]:
        """Return the orders of one decision, refused ones included."""
        ...

    def last_exit(self, strategy: str, symbol: str) -> OrderRecord | None:
        """Return the newest order that sold something and was to leave nothing, or None."""
        ...

    def positions(self) -> list[Position]:
        """Return every book."""
        ...

    def position(self, strategy: str, symbol: str) -> Position | None:
        """Return one book, or None before it was opened."""
        ...

    def save_position(self, position: Position, trade: Trade | None = None) -> None:
        """Replace one book, with the trade that was closed by it."""
        ...

    def has_fill(self, symbol: str, trade_id: str) -> bool:
        """True when that fill is booked."""
        ...

    def record_fill(
        self,
        fill: Fill,
        *,
        record: OrderRecord,
        position: Position,
        trade: Trade | None,
        fee_quote: Decimal,
        moved: Mapping[str, Decimal],
    ) -> bool:
        """Book one fill exactly once, with all that follows from it; False if it was known."""
        ...

    def cursor(self, symbol: str) -> str | None:
        """Return the newest trade id seen of `symbol`; None before the first look."""
        ...

    def set_cursor(self, symbol: str, trade_id: str) -> None:
        """Remember the newest trade id seen of `symbol`."""
        ...

    def expected_balances(self) -> dict[str, Decimal]:
        """Return what each known asset's total must be, as far as our fills explain it."""
        ...

    def accept_balance(self, asset: str, total: Decimal, at: datetime, why: str) -> None:
        """Take `total` as the expected balance of `asset`, and tell the audit."""
        ...

    def day_start(self, day: datetime) -> Decimal | None:
        """Return the equity at 00:00 UTC of `day`, or None before its first tick."""
        ...

    def set_day_start(self, day: datetime, value: Decimal) -> None:
        """Remember the equity at 00:00 UTC of `day`, in place of what was remembered."""
        ...

    def dealings_since(self, moment: datetime) -> list[Dealing]:
        """Return what every fill at or after `moment` did to its book, oldest first."""
        ...

    def peak(self) -> Decimal | None:
        """Return the highest equity remembered; None at first, and after a person lifted a stop."""
        ...

    def set_peak(self, value: Decimal) -> None:
        """Remember the highest equity."""
        ...

    def entries_since(self, moment: datetime) -> int:
        """Return how many orders that increase were sent at or after `moment`."""
        ...

    def stop_outs_since(self, moment: datetime) -> int:
        """Return how many trades protection ended at a loss at or after `moment`."""
        ...

    def interval_of(self, strategy: str, symbol: str) -> str | None:
        """Return the interval of the newest decision of a book, or None."""
        ...

    def accepted_orders(self) -> set[tuple[str, str]]:
        """Return the foreign orders that a person accepted, by symbol and id."""
        ...

    def accept_order(self, symbol: str, client_order_id: str, at: datetime) -> None:
        """Take an open order that is not ours as a person's, and tell the audit."""
        ...

    def foreign_trades(self) -> list[Fill]:
        """Return the trades that are not ours and that nobody accepted yet, oldest first."""
        ...

    def keep_foreign(self, trades: Sequence[Fill]) -> None:
        """Keep trades that are not ours until they are accepted; known ones stay as they are."""
        ...

    def accept_foreign(self, trades: Sequence[Fill], at: datetime) -> None:
        """Take trades that are not ours as a person's, and tell the audit."""
        ...

    def record_tick(self, mark: EquityMark, report: Mapping[str, Any]) -> None:
        """Store the end of a tick: its equity mark and its report."""
        ...

    def last_tick(self) -> Mapping[str, Any] | None:
        """Return the report of the newest tick, or None."""
        ...

    def note(self, at: datetime, event: str, body: Mapping[str, Any]) -> None:
        """Add one event to the audit."""
        ...
