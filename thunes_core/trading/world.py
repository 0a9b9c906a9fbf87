"""What a tick is given (its world and its plan) and what it returns (its report).

Add here: a port or an option of the tick. Keep out: acting.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from thunes_core.domain.bars import Interval, parse_interval
from thunes_core.domain.limits import Costs, LimitEntry, Protection, RiskLimits
from thunes_core.domain.orders import Fill, RefusedOrder
from thunes_core.domain.parameters import split_study_key
from thunes_core.domain.records import OrderRecord, StateRecord
from thunes_core.domain.signal import Decision
from thunes_core.trading.ports import (
    BarDoubts,
    BarsReader,
    Broker,
    Journal,
    MarketData,
    ParameterSource,
)


@dataclass(frozen=True, slots=True)
class World:
    """The ports of one account. `bars` defaults to the market's own klines, `doubts` to none.

    `holder` names this process for the lease; a lease not given back runs out after `lease_ttl`
    (machine clock). `pause` waits until the exchange's clock has moved so far, or gives up; with it
    a tick clears up unknown outcomes itself instead of leaving them to the next.
    """

    market: MarketData
    broker: Broker
    journal: Journal
    parameters: ParameterSource
    bars: BarsReader | None = None
    doubts: BarDoubts | None = None
    holder: str = "thunes"
    lease_ttl: timedelta = timedelta(seconds=120)
    pause: Callable[[timedelta], None] | None = None


@dataclass(frozen=True, slots=True)
class Study:
    """One strategy on one symbol and interval."""

    key: str
    strategy: str
    symbol: str
    interval: Interval


def parse_study(key: str) -> Study:
    """Read `strategy.SYMBOL.interval`; raises `ParametersInvalid` or `UnknownName`."""
    strategy, symbol, interval = split_study_key(key)
    return Study(key, strategy, symbol, parse_interval(interval))


@dataclass(frozen=True, slots=True)
class TradingPlan:
    """What to trade and how far: study keys, quote units allotted to each, limits, costs.

    `entry` makes increases limit orders; None enters at the market. `native_trail` lets the
    exchange itself follow with a trail, where it can: the backtest's prices are not promised then.

    `armed` is False where an order that increases would need arming first. Where `identity` is
    given, only the account of that name may be increased, and only while its arming in the ledger
    is in force. A position keeps the parameters that
    opened it until it is closed, or until `takeover` after a newer champion was first seen.
    """

    studies: tuple[str, ...]
    allotment_quote: Decimal = Decimal(1000)
    limits: RiskLimits = field(default_factory=RiskLimits)
    protection: Protection = field(default_factory=Protection)
    costs: Costs = field(default_factory=Costs)
    armed: bool = True
    identity: str = ""
    entry: LimitEntry | None = None
    native_trail: bool = False
    takeover: timedelta = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class TickReport:
    """What one tick saw and did; `notes` are sentences for people. Money in quote units.

    `uncertain` names the symbols of which an order's fate, its fills, an exit or the protection is
    still open: the next tick should not be waited for long. `prices` are those that what is held
    was valued at, by symbol; of one that has none any more the last that was known.
    """

    server_time: datetime
    state: StateRecord
    decisions: tuple[Decision, ...] = ()
    orders: tuple[OrderRecord, ...] = ()
    refused: tuple[RefusedOrder, ...] = ()
    fills: tuple[Fill, ...] = ()
    equity: Decimal = Decimal(0)
    notes: tuple[str, ...] = ()
    uncertain: tuple[str, ...] = ()
    prices: Mapping[str, Decimal] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """Return the report as plain values that JSON can hold; Decimals and times as text."""
        return {
            "server_time": self.server_time.isoformat(),
            "state": str(self.state.state),
            "state_reason": self.state.reason,
            "decisions": [_decision(d) for d in self.decisions],
            "orders": [_order(o) for o in self.orders],
            "refused": [_refused(r) for r in self.refused],
            "fills": [_plain(asdict(f)) for f in self.fills],
            "equity": format(self.equity, "f"),
            "notes": list(self.notes),
            "uncertain": list(self.uncertain),
            "prices": {symbol: format(price, "f") for symbol, price in self.prices.items()},
        }


def _decision(decision: Decision) -> dict[str, Any]:
    return {
        "strategy": decision.strategy,
        "symbol": decision.symbol,
        "bar": decision.bar.isoformat(),
        "target": decision.target,
        "previous_target": decision.previous_target,
        "why": decision.why,
    }


def _order(record: OrderRecord) -> dict[str, Any]:
    own = {
        "strategy": record.strategy,
        "bar": record.bar,
        "status": record.status,
        "exchange_order_id": record.exchange_order_id,
        "executed_quantity": record.executed_quantity,
        "executed_quote": record.executed_quote,
        "why": record.why,
    }
    return _plain(asdict(record.request) | own)


def _refused(refused: RefusedOrder) -> dict[str, Any]:
    return _plain(asdict(refused.request) | {"code": refused.code, "why": refused.why})


def _plain(values: Mapping[str, Any]) -> dict[str, Any]:
    return {key: _text(value) for key, value in values.items()}


def _text(value: Any) -> Any:
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, datetime):
        return value.isoformat()
    return str(value) if isinstance(value, str) else value
