"""What all studies of one tick share, and the facts that the gate is shown of it.

Add here: a fact of the account that a check needs. Keep out: checking (risk), deciding, sending.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import polars as pl

from thunes_core.domain.bars import Interval
from thunes_core.domain.filters import ALGO, Open, Standing
from thunes_core.domain.orders import ZERO, OrderRequest, Side
from thunes_core.domain.portfolio import Account, TradingState
from thunes_core.domain.records import OrderRecord
from thunes_core.errors import BadInput, ExchangeRejected, ExchangeUnavailable
from thunes_core.risk.correlation import CORRELATION_BARS, correlation
from thunes_core.risk.facts import RiskFacts
from thunes_core.risk.gate import judge
from thunes_core.trading.coins import pending_buys
from thunes_core.trading.leave import Judge
from thunes_core.trading.look import Sight
from thunes_core.trading.reconcile import Desk, in_flight
from thunes_core.trading.stops import trail_of
from thunes_core.trading.world import Study, TradingPlan, World

HOUR = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Floor:
    """What all studies of one tick share.

    `values` are prices of books for the limits only: also of one that cannot be traded now.
    """

    world: World
    plan: TradingPlan
    desk: Desk
    account: Account
    prices: Mapping[str, Decimal]
    unresolved: Mapping[str, str] = field(default_factory=dict)
    values: Mapping[str, Decimal] = field(default_factory=dict)

    @property
    def is_armed(self) -> bool:
        """True when this account may be increased; an arming may end while a tick runs."""
        plan = self.plan
        if not plan.armed or not plan.identity:
            return plan.armed
        given = self.desk.journal.arming()
        armed_for = "" if given is None else given.identity
        return plan.identity == self.account.identity == armed_for

    @property
    def may_enter(self) -> bool:
        """True while neither the state in force nor arming holds entries back."""
        return self.is_armed and self.desk.journal.trading_state().state is TradingState.ACTIVE

    @property
    def native_trail(self) -> bool:
        """True when the exchange shall follow with a trail, and the broker can say so."""
        return self.plan.native_trail and self.desk.broker.follows_price

    def follows(self, symbol: str) -> bool:
        """True when the exchange itself is to follow `symbol` with the trail, and takes it."""
        instrument = self.desk.instruments[symbol]
        return self.native_trail and trail_of(self.plan.protection, instrument) is not None


def priced_anew(floor: Floor, symbols: Iterable[str]) -> Floor:
    """Return the floor with the price of now of `symbols`; of before, where it cannot be read."""
    found: dict[str, Decimal] = {}
    for symbol in symbols:
        with suppress(BadInput, ExchangeRejected, ExchangeUnavailable):
            found[symbol] = floor.desk.market.price(symbol)
    return replace(floor, prices={**floor.prices, **found})


def facts_of(
    floor: Floor, study: Study, unsettled: Sequence[OrderRecord] | None = None, **more: Any
) -> RiskFacts:
    """Return the facts of this moment, and `more` of them; the state is read anew every time.

    `unsettled`: the orders that are not settled, where the caller has just read them.
    """
    desk = floor.desk
    unsettled = desk.journal.open_orders() if unsettled is None else unsettled
    return RiskFacts(
        state=desk.journal.trading_state(),
        limits=floor.plan.limits,
        instrument=desk.instruments[study.symbol],
        price=floor.prices[study.symbol],
        now=desk.now,
        positions=tuple(desk.journal.positions()),
        strategy=study.strategy,
        prices={**floor.values, **floor.prices},
        account=floor.account,
        unresolved={**floor.unresolved, **in_flight(unsettled)},
        armed=floor.is_armed,
        breaker_open=desk.journal.breaker_open(),
        pending=pending_buys(unsettled, floor.prices),
        standing=standing_of(floor, study.symbol, unsettled),
        **more,
    )


def judge_of(floor: Floor, study: Study) -> Judge:
    """Return the gate for orders that reduce, on the facts of this moment."""
    facts = facts_of(floor, study)
    return lambda request: judge(request, facts)


def standing_of(floor: Floor, symbol: str, unsettled: Sequence[OrderRecord]) -> Standing:
    """Count what is open, as far as it is ours, and what the account holds of the symbol."""
    everywhere = [r.request for r in unsettled if not r.status.is_final]
    mine = [request for request in everywhere if request.symbol == symbol]
    coming = sum((request.quantity for request in mine if request.side is Side.BUY), ZERO)
    held = floor.account.total(floor.desk.instruments[symbol].base_asset)
    return Standing(_counted(mine), _counted(everywhere), held + coming)


def _counted(requests: Sequence[OrderRequest]) -> Open:
    stops = sum(1 for request in requests if request.type in ALGO)
    return Open(len(requests), stops, len({request.list_id for request in requests} - {""}))


def entry_facts(floor: Floor, study: Study, sight: Sight, bar: datetime) -> dict[str, Any]:
    """Return the facts of this moment that only an entry is asked for, by their names."""
    limits, journal = floor.plan.limits, floor.desk.journal
    stop_outs_since = floor.desk.now - limits.stop_out_hours * HOUR
    return {
        "stale": _is_stale(bar, study.interval, floor),
        "bad_bars": sight.doubt,
        "bar_close": sight.close,
        "entries_last_hour": _asked(
            limits.max_entries_per_hour, lambda: journal.entries_since(floor.desk.now - HOUR)
        ),
        "stop_outs": _asked(limits.max_stop_outs, lambda: journal.stop_outs_since(stop_outs_since)),
        "correlations": _correlations(floor, study),
    }


def _asked(limit: int, question: Callable[[], int]) -> int:
    """Ask only for what is limited."""
    return question() if limit else 0


def _correlations(floor: Floor, study: Study) -> Mapping[str, float]:
    """Return the correlation with each other symbol held; 1 where it cannot be known."""
    if not floor.plan.limits.max_correlated_exposure:
        return {}
    others = {symbol for _, symbol in facts_of(floor, study).open_books} - {study.symbol}
    end = study.interval.floor(floor.desk.now)
    start = end - CORRELATION_BARS * study.interval.duration
    mine = _closes(floor, study.symbol, study.interval, start, end)
    return {
        other: correlation(mine, _closes(floor, other, study.interval, start, end))
        for other in sorted(others)
    }


def _closes(
    floor: Floor, symbol: str, interval: Interval, start: datetime, end: datetime
) -> pl.DataFrame | None:
    try:
        return floor.desk.market.klines(symbol, interval, start, end).select("open_time", "close")
    except (BadInput, ExchangeRejected, ExchangeUnavailable):
        return None


def _is_stale(bar: datetime, interval: Interval, floor: Floor) -> bool:
    grace = timedelta(seconds=floor.plan.limits.bar_grace_seconds)
    return floor.desk.now > bar + 2 * interval.duration + grace
