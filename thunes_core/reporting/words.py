"""How figures are worded: money, fractions, times and spans, the same in every report.

None and NaN are worded "unknown" or "–", never as zero.

Add here: a wording that two reports share. Keep out: facts, templates.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from thunes_core.reporting.facts import PositionFact

NONE = "–"


def money(amount: Decimal | None, asset: str, *, signed: bool = False) -> str:
    """Word an amount with two decimals and its asset.

    >>> money(Decimal("-1234.567"), "USDT")
    '−1,234.57 USDT'
    """
    if amount is None:
        return NONE
    sign = "+" if signed else "-"
    return f"{amount:{sign},.2f} {asset}".replace("-", "−")


def percent(fraction: float | None, *, signed: bool = False) -> str:
    """Word a fraction as per cent.

    >>> percent(0.1234), percent(None), percent(0.5, signed=True)
    ('12.3 %', '–', '+50.0 %')
    """
    if fraction is None or not math.isfinite(fraction):
        return NONE
    digits = 2 if abs(fraction) < 0.1 else 1
    return f"{fraction * 100:{'+' if signed else '-'}.{digits}f} %".replace("-", "−")


def number(value: object) -> str:
    """Word a figure: four significant digits for a float, the exact text for anything else.

    >>> number(1.23456), number(Decimal("0.00010")), number(float("nan"))
    ('1.235', '0.0001', '–')
    """
    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        return NONE
    if isinstance(value, float):
        return f"{value:,.4g}".replace("-", "−")
    if isinstance(value, Decimal):
        return f"{value.normalize():,f}".replace("-", "−")
    return str(value)


def moment(time: datetime | None) -> str:
    """Word a time to the minute, UTC."""
    return NONE if time is None else time.strftime("%Y-%m-%d %H:%M")


def span(length: timedelta | None) -> str:
    """Word a length of time with its largest fitting unit.

    >>> span(timedelta(minutes=90)), span(timedelta(seconds=5)), span(None)
    ('1.5 h', '5 s', 'an unknown time')
    """
    if length is None:
        return "an unknown time"
    seconds = max(0.0, length.total_seconds())
    for unit, size in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds:.0f} s"


def count(amount: int, noun: str) -> str:
    """Word a count with its noun.

    >>> count(1, "trade"), count(0, "trade")
    ('1 trade', 'no trades')
    """
    return f"{amount or 'no'} {noun}{'' if amount == 1 else 's'}"


def tone(amount: Decimal | None) -> str:
    """Return good, bad or plain for a gain."""
    return "plain" if not amount else "good" if amount > 0 else "bad"


def unrealised(positions: Iterable[PositionFact], asset: str) -> str:
    """Word the unrealised gain of all positions; unknown when a price is missing."""
    gains = [position.unrealised for position in positions]
    known = [gain for gain in gains if gain is not None]
    if not gains:
        return "flat"
    if len(known) < len(gains):
        return "price unknown"
    return f"unrealised {money(sum(known, Decimal(0)), asset, signed=True)}"


def pairs(values: Mapping[str, object]) -> str:
    """Word a mapping as `name value, name value`."""
    return ", ".join(f"{name} {number(value)}" for name, value in values.items()) or NONE


def cell(text: object) -> str:
    """Make a text safe inside a Markdown table: no pipe, line break, tag or link can start."""
    escaped = str(text).translate(_MARKDOWN)
    return " ".join(escaped.split())


_MARKDOWN = str.maketrans({mark: f"\\{mark}" for mark in "\\`*_[]|"} | {"<": "&lt;", ">": "&gt;"})
FILTERS: dict[str, Callable[..., Any]] = {
    "money": money,
    "percent": percent,
    "number": number,
    "moment": moment,
    "pairs": pairs,
    "tone": tone,
    "cell": cell,
}
