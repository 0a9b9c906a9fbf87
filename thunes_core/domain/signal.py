"""The decision of one bar: what the strategy wants and what is asked of the exchange for it.

Add here: a fact that a decision must carry to be explained later. Keep out: deciding.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from thunes_core.domain.orders import OrderRequest
from thunes_core.domain.portfolio import Position


@dataclass(frozen=True, slots=True)
class Decision:
    """What one closed bar led to for one (strategy, symbol).

    `bar` is the open time of the newest closed bar, `target` the exposure the strategy wants,
    `previous_target` that of the bar decided on before. `orders` may be empty. `position` is the
    book as it is to be stored once the decision is recorded (level and such change on fills).
    `why` is one sentence for people.
    """

    strategy: str
    symbol: str
    bar: datetime
    target: float
    previous_target: float
    orders: tuple[OrderRequest, ...]
    position: Position
    why: str
