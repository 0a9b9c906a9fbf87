"""How much can be traded at once: everything, or what a seeded book holds.

Add here: another shape of book. Keep out: the order's money and state.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal

import numpy as np

from thunes_core.domain.orders import Side
from thunes_core.testnet.market import Traded
from thunes_core.testnet.orders import ExchangeOrder
from thunes_core.testnet.settlement import Settlement

Level = tuple[Decimal, Decimal]
DEEPEST = 1_000


@dataclass(frozen=True, slots=True)
class Depth:
    """A book of finite depth. Off by default: then every order finds what it wants.

    `level_quote` is the usual worth of one level in quote units, `levels` how many there are a
    side, `gap` how far apart they lie as a fraction of the price. Sizes are drawn from `seed`, the
    symbol and the second. Resting orders fill in parts, `pause_ms` or a few times that apart.
    """

    seed: int = 1
    level_quote: float = 2_000.0
    levels: int = 20
    gap: float = 0.0001
    pause_ms: int = 2_000


class Book:
    """The bids and asks around the last price of a symbol."""

    def __init__(self, depth: Depth | None = None) -> None:
        self._depth = depth

    @property
    def is_finite(self) -> bool:
        """True when orders may fill in parts."""
        return self._depth is not None

    def levels(self, traded: Traded, side: Side, time_ms: int, count: int = 20) -> Iterator[Level]:
        """Yield (price, quantity) that `side` could take, best first."""
        if self._depth is None:
            for ticks in _endless(traded, side, time_ms, min(count, DEEPEST)):
                yield _endless_level(traded, ticks)
            return
        price, tick, step = traded.price(time_ms), traded.listing.tick, traded.listing.step
        sign = 1 if side is Side.BUY else -1
        gap = _ticks(price * Decimal(str(self._depth.gap)), tick)
        for k, worth in enumerate(self._worths(self._depth, traded, side, time_ms, count)):
            level = price + sign * (tick + k * gap)
            if level > 0:
                lots = (Decimal(worth) / price / step).to_integral_value()
                yield level, max(lots, Decimal(1)) * step

    def changes(self, traded: Traded, side: Side, before_ms: int, now_ms: int) -> list[Level]:
        """Return the levels that differ between two moments, with quantity 0 where they are gone.

        Whoever knew the book before, and takes them over, knows it now.
        """
        if self._depth is None:
            was, has = (_endless(traded, side, t, DEEPEST) for t in (before_ms, now_ms))
            lost = [(ticks * traded.listing.tick, Decimal(0)) for ticks in was if ticks not in has]
            return lost + [_endless_level(traded, ticks) for ticks in has if ticks not in was]
        before, now = (dict(self.levels(traded, side, t, DEEPEST)) for t in (before_ms, now_ms))
        gone = [(price, Decimal(0)) for price in before if price not in now]
        return gone + [(price, size) for price, size in now.items() if before.get(price) != size]

    def _worths(
        self, depth: Depth, traded: Traded, side: Side, time_ms: int, count: int
    ) -> list[float]:
        draw = self._draw(traded.listing.symbol, side, time_ms // 1000)
        sizes = draw.lognormal(0, 0.8, depth.levels) * depth.level_quote
        return [float(round(s, 2)) for s in sizes[:count]]

    def resting_share(self, order: ExchangeOrder, step: Decimal, time_ms: int) -> Decimal:
        """Return how much of a resting order fills when the price goes through it."""
        if self._depth is None:
            return order.remaining
        share = self._draw(order.symbol, order.order_id, time_ms).uniform(0.2, 1.3)
        part = (order.remaining * Decimal(str(round(share, 4))) // step) * step
        most = order.asked.iceberg_quantity or order.remaining
        return min(max(part, step), most, order.remaining)

    def pause(self, order: ExchangeOrder, time_ms: int) -> int:
        """Return how long a thinly filled order waits before it may fill again."""
        if self._depth is None:
            return 0
        draw = self._draw(order.symbol, order.order_id, time_ms + 1)
        return 1 + int(draw.exponential(1.5) * self._depth.pause_ms)

    def _draw(self, symbol: str, *salt: int | str) -> np.random.Generator:
        seed = self._depth.seed if self._depth else 0
        numbers = [s if isinstance(s, int) else zlib.crc32(s.encode()) for s in salt]
        return np.random.default_rng([seed, zlib.crc32(symbol.encode()), *numbers])


def offers_to(
    order: ExchangeOrder,
    book: Book,
    settlement: Settlement,
    traded: Traded,
    price: Decimal,
    time_ms: int,
) -> list[Level]:
    """Return what `order` may take, best first and within its limit, the last price being `price`.

    An endless book offers everything at the slipped price; a finite one its levels.
    """
    side = order.asked.side
    if not book.is_finite:
        taken = settlement.taker_price(order.symbol, side, price)
        if order.is_limit:
            taken = (min if order.is_buy else max)(taken, order.limit_price)
        return [(taken, order.remaining)]
    sign = 1 if order.is_buy else -1
    levels = book.levels(traded, side, time_ms)
    return [
        (level, quantity)
        for level, quantity in levels
        if not order.is_limit or (level - order.limit_price) * sign <= 0
    ]


def _endless(traded: Traded, side: Side, time_ms: int, count: int) -> range:
    """Return the levels of an endless book, best first, as multiples of the tick."""
    last = int(traded.price(time_ms) / traded.listing.tick)
    if side is Side.BUY:
        return range(last + 1, last + 1 + count)
    return range(last - 1, max(last - 1 - count, 0), -1)


def _endless_level(traded: Traded, ticks: int) -> Level:
    """Return a level of an endless book: whenever it is seen, the same quantity stands there.

    So only few levels change when the price moves by a tick, as in a real book.
    """
    price, step = ticks * traded.listing.tick, traded.listing.step
    lots = (Decimal(10_000) * (1 + ticks % 7) / price / step).to_integral_value()
    return price, max(lots, Decimal(1)) * step


def _ticks(value: Decimal, tick: Decimal) -> Decimal:
    return max((value / tick).to_integral_value(), Decimal(1)) * tick
