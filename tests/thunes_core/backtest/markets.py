"""Hypothesis strategies: random bars, targets and terms that look like markets.

Add here: an input that several property tests draw. Keep out: properties.
"""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st

from thunes_core.backtest.kernel import Terms
from thunes_core.backtest.simulate import MINUTE_US, BarArrays
from thunes_core.domain.limits import LimitEntry

HOUR_US = 60 * MINUTE_US
START_US = 1_640_995_200_000_000


@st.composite
def bar_arrays(draw, max_size: int = 60) -> BarArrays:
    """Draw hourly bars, some missing, with prices on a grid of 1/8 so that touches happen."""
    size = draw(st.integers(1, max_size))
    seed = draw(st.integers(0, 2**32 - 1))
    wild = draw(st.sampled_from([1, 3, 12]))
    return random_bars(np.random.default_rng(seed), size, wild)


def random_bars(rng: np.random.Generator, size: int, wild: int, gaps: float = 0.05) -> BarArrays:
    """Return `size` bars whose steps are up to `wild` eighths a bar, around 100."""
    steps = rng.integers(-wild, wild + 1, (size, 2))
    path = np.maximum(100 + np.cumsum(steps.ravel()) / 8, 5.0).reshape(size, 2)
    open_, close = path[:, 0].copy(), path[:, 1].copy()
    high = np.maximum(open_, close) + rng.integers(0, wild + 1, size) / 8
    low = np.maximum(np.minimum(open_, close) - rng.integers(0, wild + 1, size) / 8, 1.0)
    hours = np.cumsum(1 + (rng.random(size) < gaps) * rng.integers(0, 40, size))
    return BarArrays(START_US + hours.astype(np.int64) * HOUR_US, open_, high, low, close, HOUR_US)


@st.composite
def targets(draw, size: int) -> np.ndarray:
    """Draw exposures that hold for a while and then change."""
    levels = draw(st.sampled_from([[0.0, 1.0], [0.0, 0.5, 1.0], [0.0, 0.25, 0.6, 1.0]]))
    seed = draw(st.integers(0, 2**32 - 1))
    rng = np.random.default_rng(seed)
    change = rng.random(size) < draw(st.sampled_from([0.05, 0.2, 0.7]))
    drawn = np.where(change, rng.choice(levels, size), np.nan)
    drawn[0] = rng.choice(levels)
    last = np.maximum.accumulate(np.where(np.isnan(drawn), 0, np.arange(size)))
    return drawn[last]


@st.composite
def terms(draw, filters: bool = True) -> Terms:
    """Draw costs, protection and lots, each often off."""
    rate = st.sampled_from([0.0, 0.0, 0.001, 0.01])
    exit_ = st.sampled_from([0.0, 0.0, 0.01, 0.02, 0.1])
    off = st.just(0.0)
    return Terms(
        taker_fee=draw(rate),
        maker_fee=draw(rate),
        slippage=draw(st.sampled_from([0.0, 0.0005, 0.01])),
        stop_loss=draw(exit_),
        take_profit=draw(exit_),
        trailing_stop=draw(exit_),
        trailing_activation=draw(exit_),
        cooldown_us=draw(st.sampled_from([0.0, 0.0, 1.0, 3.0, 30.0])) * HOUR_US,
        step_size=draw(st.sampled_from([0.0, 0.0, 0.1, 7.0]) if filters else off),
        min_quantity=draw(st.sampled_from([0.0, 0.0, 20.0]) if filters else off),
        min_notional=draw(st.sampled_from([0.0, 0.0, 3000.0, 9999.0]) if filters else off),
    )


def entries() -> st.SearchStrategy[LimitEntry | None]:
    """Draw entries at the market or by limit orders."""
    limit = st.builds(
        LimitEntry,
        offset=st.sampled_from([0.0, 0.005, 0.02]),
        timeout_bars=st.integers(1, 4),
        then_market=st.booleans(),
    )
    return st.none() | limit


@st.composite
def runs(draw, max_size: int = 60, filters: bool = True):
    """Draw bars, a target for each, and terms."""
    bars = draw(bar_arrays(max_size))
    return bars, draw(targets(len(bars.time))), draw(terms(filters))
