"""A window: the bars of one symbol and interval between two moments.

Add here: a fact about a window that needs no bars. Keep out: reading and storing bars.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from thunes_core.domain.bars import Interval


@dataclass(frozen=True, slots=True)
class Window:
    """Bars with start <= open_time < end; both aware, UTC."""

    symbol: str
    interval: Interval
    start: datetime
    end: datetime

    def __str__(self) -> str:
        return f"{self.symbol} {self.interval}"
