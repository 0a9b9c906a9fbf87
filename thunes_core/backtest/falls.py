"""How deep equity falls from its peaks, compiled: a division only where it can matter.

Add here: a figure about falls that is asked for at every bar. Keep out: what a sweep skips
(`terrain`), falls of finished curves (`metrics`).
"""

from __future__ import annotations

from thunes_core.backtest.compiled import compiled
from thunes_core.backtest.kernel import Floats

ROUNDED_UP = 1.0 + 1e-15
"""Makes up for the rounding of a product that stands in for a division."""


@compiled
def deepest_fall(equity: Floats, start_cash: float) -> float:
    """Return the least equity / peak, at most 1; `start_cash` is the first peak.

    Equity at or above `harmless` cannot lower the answer: a product in place of a division, with
    room for its rounding, so that the answer is that of dividing at every bar.
    """
    peak, worst = start_cash, 1.0
    harmless = worst * peak * ROUNDED_UP
    for u in range(len(equity)):
        if equity[u] > peak:
            peak = equity[u]
            harmless = worst * peak * ROUNDED_UP
        elif equity[u] < harmless:
            worst = min(worst, equity[u] / peak)
            harmless = worst * peak * ROUNDED_UP
    return worst
