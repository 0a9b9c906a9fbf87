"""Labels of what came after each bar: the triple barrier.

Source: López de Prado, "Advances in Financial Machine Learning" (2018), chapter 3.

Add here: another label. Keep out: features, models.
"""

from __future__ import annotations

import numpy as np

from thunes_core.indicators.averages import Line
from thunes_core.indicators.columns import Columns
from thunes_core.indicators.features import usual_move


def triple_barrier(columns: Columns, horizon: int, barrier: float) -> Line:
    """Return 1.0 where a buy at the next open rises, 0.0 where not, NaN where nobody knows yet.

    The barriers stand `barrier` usual moves of `horizon` bars above and below the entry. Touching
    the upper one first is a rise; both in one bar count as the lower; neither within `horizon`
    bars: the last close decides. Known from bar t + horizon on.
    """
    entry = np.append(columns.open[1:], np.nan)
    reach = barrier * usual_move(columns) * horizon**0.5
    upper, lower = entry * (1.0 + reach), entry * (1.0 - reach)
    label = np.full(len(columns), np.nan)
    last = len(columns) - horizon
    for step in range(horizon, 0, -1):
        _overwrite(label, columns, (upper, lower), (step, horizon), last)
    label[: max(last, 0)][~np.isfinite(reach[: max(last, 0)])] = np.nan
    return label


def _overwrite(
    label: Line, columns: Columns, barriers: tuple[Line, Line], at: tuple[int, int], last: int
) -> None:
    """Let the bar `step` after each bar decide, unless a nearer one does later in the loop."""
    step, horizon = at
    upper, lower = (side[:last] for side in barriers)
    high, low, close = (c[step : step + last] for c in (columns.high, columns.low, columns.close))
    if step == horizon:
        entry = columns.open[1 : last + 1]
        label[:last] = (close > entry).astype(float)
    touched = label[:last]
    touched[high >= upper] = 1.0
    touched[low <= lower] = 0.0
