"""The daily loss limit: from equity now and at 00:00 UTC to the trading state that follows.

Add here: another limit that changes the trading state. Keep out: storing it.
"""

from __future__ import annotations

from datetime import datetime, time
from decimal import Decimal

from thunes_core.domain.limits import RiskLimits
from thunes_core.domain.portfolio import TradingState
from thunes_core.domain.records import StateRecord

AUTHOR = "risk"
REASON = "daily_loss"


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
