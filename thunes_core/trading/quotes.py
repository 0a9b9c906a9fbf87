"""One account counts in one quote asset: limits and equity are sums. Pure.

Add here: what may be summed. Keep out: valuing a fee (`fees`).
"""

from __future__ import annotations

from collections.abc import Mapping

from thunes_core.domain.instrument import Instrument

DOLLARS = frozenset({"USDT", "USDC", "FDUSD", "TUSD", "BUSD", "DAI", "USD"})
"""Counted as one: their difference is far below what a limit means."""


def mixed_quotes(instruments: Mapping[str, Instrument]) -> str:
    """Return the sentence that says why these symbols do not fit together, or nothing."""
    by_unit: dict[str, str] = {}
    for symbol, one in sorted(instruments.items()):
        unit = "dollars" if one.quote_asset in DOLLARS else one.quote_asset
        by_unit.setdefault(unit, symbol)
    if len(by_unit) < 2:
        return ""
    told = ", ".join(f"{symbol} in {unit}" for unit, symbol in by_unit.items())
    return (
        f"symbols: expected one quote asset, for limits and equity are sums; there are {told}; "
        "entries wait until THUNES_SYMBOLS and what is held are of one, or trade the others with "
        "another THUNES_HOME and account"
    )
