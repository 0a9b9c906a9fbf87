"""What a fee in a third asset is worth in the quote asset, by the pairs that are listed.

Add here: another way to value a fee. Keep out: booking it (`reconcile`, `book`).
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

from thunes_core.errors import BadInput, ExchangeRejected

Price = Callable[[str], Decimal]
BRIDGES = ("USDT", "BTC")
"""What nearly everything is traded against."""
_DIGITS = Decimal("1e-12")


def worth(asset: str, quote: str, base: str, price: Price) -> Decimal | None:
    """Return the price of `asset` in `quote`: of their own pair, or through a third asset.

    `price` asks for a symbol's. None where no listed pair leads there. To 12 decimals.
    """
    found = _rate(asset, quote, price)
    for bridge in (base, *BRIDGES):
        if found is not None:
            break
        found = _through(bridge, asset, quote, price)
    return found


def _through(bridge: str, asset: str, quote: str, price: Price) -> Decimal | None:
    if bridge in {asset, quote}:
        return None
    first = _rate(asset, bridge, price)
    second = None if first is None else _rate(bridge, quote, price)
    return None if first is None or second is None else (first * second).quantize(_DIGITS)


def _rate(asset: str, quote: str, price: Price) -> Decimal | None:
    """Return the price of the pair, whichever of both comes first in its name."""
    try:
        return price(f"{asset}{quote}")
    except (BadInput, ExchangeRejected):
        pass  # not listed so
    try:
        return (1 / price(f"{quote}{asset}")).quantize(_DIGITS)
    except (BadInput, ExchangeRejected):
        return None
