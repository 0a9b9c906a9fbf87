"""What of the account stands without a stop, and since when: watched by the exchange itself.

Zero-length moments (a cancel and its replacement in one request) are none. Times are the
exchange's, in milliseconds.

Add here: what counts as covered. Keep out: why it happened, whose doing it was.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING

from thunes_core.testnet.orders import Change, ExchangeOrder, Status, Trade

if TYPE_CHECKING:
    from thunes_core.testnet.matching import Exchange

LEAST_WORTH = Decimal(10)
"""Quote units; less could not be sold, and so not protected."""


@dataclass(frozen=True, slots=True)
class Bare:
    """A symbol of which more than the least was held without a stop, from `since_ms` on."""

    symbol: str
    since_ms: int
    until_ms: int
    began_with: str
    """What the exchange had just done: the order and its change."""

    @property
    def seconds(self) -> float:
        """How long it lasted."""
        return (self.until_ms - self.since_ms) / 1000


class BareWatch:
    """A watcher of the exchange; `events` counts what it was told."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self._since: dict[str, tuple[int, str]] = {}
        self.events = 0
        self.ended: list[Bare] = []
        exchange.watchers.append(self)

    @property
    def now_bare(self) -> bool:
        """True while something stands bare."""
        return bool(self._since)

    def order_changed(self, order: ExchangeOrder, change: Change, trade: Trade | None) -> None:
        """Look at the order's symbol again."""
        self.events += 1
        at_ms = trade.time_ms if trade is not None else order.update_ms
        self._look(order.symbol, at_ms, f"{order.client_id} {str(change).lower()}")

    def money_came(self, asset: str, amount: Decimal) -> None:
        """Look at what is traded in the asset."""
        self.events += 1
        market, now_ms = self._exchange.market, self._exchange.present_ms
        for symbol in market.symbols:
            if market.listing(symbol).base == asset:
                self._look(symbol, now_ms, f"{amount} {asset} came")

    def all_until(self, now_ms: int) -> list[Bare]:
        """Return every interval, those that still last up to `now_ms`; none of zero length."""
        last = [Bare(s, since, now_ms, what) for s, (since, what) in self._since.items()]
        return [one for one in (*self.ended, *last) if one.until_ms > one.since_ms]

    def _look(self, symbol: str, at_ms: int, what: str) -> None:
        if self._is_bare(symbol):
            self._since.setdefault(symbol, (at_ms, what))
        elif symbol in self._since:
            since, began_with = self._since.pop(symbol)
            self.ended.append(Bare(symbol, since, at_ms, began_with))

    def _is_bare(self, symbol: str) -> bool:
        exchange = self._exchange
        listing = exchange.market.listing(symbol)
        stopped = sum(
            (o.quantity - o.executed for o in exchange.records.open_orders(symbol) if _stops(o)),
            Decimal(0),
        )
        price = exchange.market.price(symbol, exchange.present_ms)
        return (exchange.wallet.total(listing.base) - stopped) * price > LEAST_WORTH


def _stops(order: ExchangeOrder) -> bool:
    works = order.status is not Status.PENDING_NEW
    return works and order.asked.is_stop and order.asked.triggers_falling and not order.is_buy
