"""A strategy inside another: named by its registered name and JSON of its parameters.

Add here: what every wrapper needs. Keep out: what a wrapper does to the exposure.
"""

from __future__ import annotations

import json

from thunes_core.errors import BadInput
from thunes_core.strategies.base import FromColumns, build

WRAPPABLE = ("sma_crossover", "ema_crossover", "donchian_breakout", "macd_trend")
"""What a search tries as the inner strategy, each with its default parameters."""


def inner_strategy(name: str, parameters: str) -> FromColumns:
    """Return the strategy `name` with `parameters` (a JSON object), or raise `ValueError`."""
    try:
        strategy = build(name, json.loads(parameters))
    except (BadInput, ValueError, TypeError) as error:
        raise ValueError(f"expected a strategy to wrap; {error}") from error
    if not isinstance(strategy, FromColumns):
        raise ValueError(f"expected a strategy that computes on columns; it was {name!r}")
    return strategy
