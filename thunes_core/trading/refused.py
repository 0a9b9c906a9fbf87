"""What the exchange refused for good: asking again for the same reason changes nothing. Pure.

A refusal that may pass by itself (balances that lag, a clock that is off, too many orders at once)
is none of these.

Add here: a refusal that passes, or what follows from one that does not. Keep out: asking, sizes
(`sizes`).
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from thunes_core.domain.orders import OrderStatus
from thunes_core.domain.records import OrderRecord
from thunes_core.trading.resolve import NEVER_LEFT

PASSING_CODES = ("-1003", "-1008", "-1015", "-1021")
"""Too many requests, overloaded, too many orders, a timestamp outside of the window."""
PASSING_WORDS = "insufficient balance"
"""What a balance that lags behind its fills is refused with, under a code of many meanings."""
FULL = "MAX_NUM_"
"""How the filters begin that count open orders."""
MOST_PASSING = 10
"""Sales that a tick may have refused for what passes by itself: five looks within seven seconds."""


def is_refused_for_good(record: OrderRecord) -> bool:
    """True when the exchange answered that it does not take an order, and waiting changes nothing.

    Codes of our own (never left, held back) are none of the exchange's.
    """
    return _is_refused(record) and not _passes(record)


def is_one_too_many(record: OrderRecord | None) -> bool:
    """True when the exchange refused an order for the number of those that are open already.

    Binance counts the old order of a `cancelReplace` among them.
    """
    return record is not None and is_refused_for_good(record) and FULL in record.why


def may_pass(records: Sequence[OrderRecord], since: datetime) -> bool:
    """True when the last sale among `records` was refused for what passes by itself, not too often.

    Counted since a moment (UTC): the beginning of the tick.
    """
    sales = [one for one in records if one.request.reduces and not one.request.rests]
    passing = [_is_refused(one) and _passes(one) for one in sales if one.intended_at >= since]
    return bool(passing) and passing[-1] and sum(passing) < MOST_PASSING


def refused_alike(records: Sequence[OrderRecord]) -> bool:
    """True when the last two sales among `records` were refused for good, for the same reason."""
    sales = [one for one in records if one.request.reduces and not one.request.rests][-2:]
    reasons = {(one.code, _words(one)) for one in sales}
    return len(sales) == 2 and len(reasons) == 1 and all(map(is_refused_for_good, sales))


def stands_refused(records: Sequence[OrderRecord], since: datetime) -> bool:
    """True when nothing asked of the exchange since a moment lets a book be protected or sold.

    `records`: the orders of its last decided bar, oldest first. The last is a sale refused like the
    one before it, and all the protection asked for between the two was refused as well.
    """
    asked = [one for one in records if one.intended_at >= since]
    if not asked or asked[-1].request.rests or not refused_alike(asked):
        return False
    sales = [number for number, one in enumerate(asked) if not one.request.rests]
    between = asked[sales[-2] + 1 : -1]
    refused = (one.status is OrderStatus.REJECTED and one.code != NEVER_LEFT for one in between)
    return bool(between) and all(refused)


def _is_refused(record: OrderRecord) -> bool:
    return record.status is OrderStatus.REJECTED and record.code.lstrip("-").isdigit()


def _passes(record: OrderRecord) -> bool:
    return record.code in PASSING_CODES or PASSING_WORDS in record.why.lower()


def _words(record: OrderRecord) -> str:
    """Return why an order was refused, without its name."""
    return record.why.partition(": ")[2]
