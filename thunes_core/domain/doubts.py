"""Why new entries should wait for better bars: broken, missing or spiking ones (semantics §1).

Asked at every tick, so it works on arrays and takes tens of microseconds. Exits never wait for any
of this.

Add here: a doubt that the bars themselves raise. Keep out: doubts that need a second source.
"""

from __future__ import annotations

from datetime import datetime

import numpy as np
import numpy.typing as npt

from thunes_core.domain.bars import Arrays, Interval, moment_of
from thunes_core.domain.spikes import CLEARING_BARS, LEAST_BARS, SPIKE_FACTOR, TRAILING_BARS

Line = npt.NDArray[np.float64]
_LOOKED_AT = TRAILING_BARS + CLEARING_BARS + 1


def why_wait(bars: Arrays, interval: Interval, cleared_until: datetime | None = None) -> str | None:
    """Return the first reason why entries should wait after the last of `bars`, or None.

    `bars`: those a decision reads, sorted, of one symbol and interval. `cleared_until`: a person
    cleared spikes up to and including this open time.
    """
    broken = _broken(bars)
    if broken:
        return f"{broken} of the {bars['close'].size} bars read are broken; look at the quarantine"
    times: list[int] = bars["open_time"][-CLEARING_BARS:].tolist()
    span = (times[-1] - times[0]) // (interval.minutes * 60_000_000) + 1 if times else 0
    if span > len(times):
        return f"{span - len(times)} of the last {span} bars are missing"
    back = _last_spike(bars["close"])
    spike = moment_of(times[-back]) if back else None
    if spike is None or (cleared_until is not None and spike <= cleared_until):
        return None
    return (
        f"the close of {spike:%Y-%m-%d %H:%M} moved more than {SPIKE_FACTOR:.0f} times the usual; "
        f"entries wait for {CLEARING_BARS} calmer bars"
    )


def _broken(bars: Arrays) -> int:
    """Count bars whose prices or volume break semantics §1; null and NaN count as broken."""
    low, high = bars["low"], bars["high"]
    sound = (low > 0) & (high < np.inf) & (bars["volume"] >= 0)
    for price in (bars["open"], bars["close"]):
        sound &= low <= price
        sound &= price <= high
    return sound.size - int(np.count_nonzero(sound))


def _last_spike(closes: Line) -> int:
    """Return how many bars back the newest spike among the last `CLEARING_BARS` is; 0 for none."""
    moves: list[float] = np.abs(np.diff(closes[-_LOOKED_AT:])).tolist()
    for back in range(1, min(CLEARING_BARS, len(moves)) + 1):
        usual = moves[:-back][-TRAILING_BARS:]
        if len(usual) >= LEAST_BARS and moves[-back] > SPIKE_FACTOR * (sum(usual) / len(usual)):
            return back
    return 0
