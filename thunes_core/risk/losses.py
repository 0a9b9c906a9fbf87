"""The limits on losses: from equity now, at 00:00 UTC and at its peak to the state that follows.

Add here: another limit that changes the trading state. Keep out: storing it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, time
from decimal import Decimal

from thunes_core.domain.instrument import Instrument
from thunes_core.domain.limits import RiskLimits
from thunes_core.domain.orders import ZERO, Side
from thunes_core.domain.portfolio import TradingState
from thunes_core.domain.records import Dealing, StateRecord

AUTHOR = "risk"
REASON = "daily_loss"
DRAWDOWN = "drawdown"


def day_of(moment: datetime) -> datetime:
    """Return 00:00 UTC of the day of `moment`."""
    return datetime.combine(moment.date(), time(0), moment.tzinfo)


def state_after(
    record: StateRecord, start: Decimal, equity: Decimal, limits: RiskLimits, now: datetime
) -> StateRecord:
    """Return the state that follows: REDUCING on the limit, ACTIVE again on the next UTC day.

    `start` is the equity at 00:00 UTC, so that the cost is constant whatever the history. What a
    person set stays; HALTED stays.
    """
    lost = start - equity
    if record.state is TradingState.ACTIVE and lost >= limits.daily_loss_quote:
        why = f"{REASON}: lost {lost:f} since 00:00 UTC, {limits.daily_loss_quote:f} is allowed"
        return StateRecord(TradingState.REDUCING, why, AUTHOR, now)
    is_ours = record.author == AUTHOR and record.reason.startswith(REASON)
    if record.state is TradingState.REDUCING and is_ours and record.since < day_of(now):
        return StateRecord(TradingState.ACTIVE, f"{REASON}: a new day began", AUTHOR, now)
    return record


def state_below_peak(
    record: StateRecord, peak: Decimal, equity: Decimal, limits: RiskLimits, now: datetime
) -> StateRecord:
    """Return the state that follows from the fall since `peak`: REDUCING until a person resumes.

    A daily loss that is in force gives way to it, because a new day would end that one.
    """
    if limits.max_drawdown <= 0 or peak <= 0:
        return record
    fallen = (peak - equity) / peak
    is_daily = record.author == AUTHOR and record.reason.startswith(REASON)
    free = record.state is TradingState.ACTIVE or is_daily
    if not free or fallen < limits.max_drawdown:
        return record
    why = (
        f"{DRAWDOWN}: equity fell {fallen:.2%} from its peak of {peak:f}, "
        f"{limits.max_drawdown:.2%} is allowed; look at it, then `thunes resume`"
    )
    return StateRecord(TradingState.REDUCING, why, AUTHOR, now)


def undone(
    equity: Decimal,
    dealings: Iterable[Dealing],
    instruments: Mapping[str, Instrument],
    prices: Mapping[str, Decimal],
) -> Decimal:
    """Return what the books were worth before `dealings`, at the same `prices`; quote units.

    Where there is no price, what was dealt at counts: the dealing gained and lost nothing.
    """
    changes = (_change(one, instruments, prices) for one in dealings)
    return equity - sum(changes, ZERO)


def _change(
    one: Dealing, instruments: Mapping[str, Instrument], prices: Mapping[str, Decimal]
) -> Decimal:
    """Return by how much a fill changed the value of its book; a fee in base is not held (§8)."""
    sign = 1 if one.side is Side.BUY else -1
    in_base = one.symbol in instruments and one.fee_asset == instruments[one.symbol].base_asset
    base = sign * one.quantity - (one.fee if in_base else ZERO)
    cash = -sign * one.quote - (ZERO if in_base else one.fee_quote)
    return cash + base * prices.get(one.symbol, one.quote / one.quantity)
