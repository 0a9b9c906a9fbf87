"""The ports of the tick: everything the core asks of the world, as small protocols.

Guarantees stand in the docstrings; one contract suite in `tests/contracts` holds every
implementation to them, fakes included.

Add here: a question the core must ask. Keep out: implementations.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Protocol

import polars as pl

from thunes_core.domain.bars import Arrays, Interval
from thunes_core.domain.instrument import Filter, Instrument
from thunes_core.domain.orders import ApprovedOrder, Fill, Order
from thunes_core.domain.parameters import Champion
from thunes_core.domain.portfolio import Account
from thunes_core.trading.journal import Journal

__all__ = ["BarDoubts", "BarsReader", "Broker", "Journal", "MarketData", "ParameterSource"]


class MarketData(Protocol):
    """Public facts of an exchange. Reads may raise `ExchangeUnavailable`; all may be repeated."""

    def server_time(self) -> datetime:
        """Return the exchange's clock, UTC."""
        ...

    def instruments(self, symbols: Sequence[str] | None = None) -> dict[str, Instrument]:
        """Return instruments by symbol; `UnknownName` for one that is not listed."""
        ...

    def klines(
        self, symbol: str, interval: Interval, start: datetime, end: datetime
    ) -> pl.DataFrame:
        """Return the *closed* bars with start <= open_time < end, in the schema of bars.

        Pages as often as needed; sorted, unique; empty where the exchange has none.
        """
        ...

    def price(self, symbol: str) -> Decimal:
        """Return the latest traded price, quote units."""
        ...


class Broker(Protocol):
    """Private side of an exchange account. Reads may be repeated; `submit` never is.

    `settle_time` is how long after its submission (exchange's clock) a request may still reach the
    matching or still be missing from reads: only later does "not found" count. `entry_lists` names
    the kinds of list that `submit_entry` takes, the preferred one first. `follows_price`: it can
    say `trailing_delta` to the exchange. `locks_coins`: a sell that rests, a stop too, holds its
    coins, so that no other order can sell them.
    """

    settle_time: timedelta
    entry_lists: tuple[str, ...]
    follows_price: bool
    locks_coins: bool

    def ready(self) -> datetime:
        """Prepare the next request that changes orders; return the exchange's clock, UTC.

        To be called before the claim: what takes time is done here. A request that would leave more
        than a few seconds later is not sent (`ExchangeUnavailable`), so that `settle_time` counts
        from this moment. Errors as reads.
        """
        ...

    def submit(self, approved: ApprovedOrder) -> Order:
        """Send one approved order, once, and return what the exchange says of it.

        Raises `ExchangeRejected` (proof it does not exist), `ExchangeUnavailable` (provably never
        left), or `OutcomeUnknown` (anything else: the caller must ask, never send again).
        """
        ...

    def submit_pair(self, stop: ApprovedOrder, target: ApprovedOrder) -> tuple[Order, Order]:
        """Send two orders of which one cancels the other (OCO), once; errors as `submit`."""
        ...

    def submit_entry(
        self, entry: ApprovedOrder, legs: Sequence[ApprovedOrder], kind: str
    ) -> tuple[Order, ...]:
        """Send a buy and the sells that come to rest once it is filled entirely, as one list.

        Once. `kind` is one of `entry_lists`: in an OPO the sells get the size of what the buy
        received, in an OTO their own. Returns buy and sells in that order; errors as `submit`.
        """
        ...

    def replace(
        self, client_order_id: str, approved: ApprovedOrder, *, only_new: bool = False
    ) -> Order:
        """Cancel an open order and send another in one request, once; return the new one.

        With `only_new`, nothing is cancelled and nothing sent where some of it was executed.
        Errors as `submit`. After `ExchangeRejected` the new one does not exist; whether the old one
        still does must be asked.
        """
        ...

    def replace_by_pair(
        self,
        client_order_id: str,
        executed: Decimal,
        stop: ApprovedOrder,
        target: ApprovedOrder,
    ) -> tuple[Order, Order]:
        """Cancel an open order with its list, then send a pair with nothing in between, once.

        The pair is sent only when the cancel is answered and tells that `executed` (base units) is
        all that the orders it ended did; else `ExchangeUnavailable`: the pair never left,
        and what became of the old orders must be asked. Other errors as `submit`, of the pair.
        """
        ...

    def cancel(self, symbol: str, client_order_id: str) -> Sequence[Order]:
        """Cancel an open order with its list; return the last states that are told of them.

        Its own is among them. Errors as `submit`.
        """
        ...

    def orders_since(self, symbol: str, since: datetime) -> list[Order]:
        """Return every order of `symbol` sent at or after `since`, open or not."""
        ...

    def order(self, symbol: str, client_order_id: str) -> Order | None:
        """Return the newest order with that id, or None when the exchange knows none (now)."""
        ...

    def open_orders(self, symbol: str | None = None) -> list[Order]:
        """Return all open orders."""
        ...

    def fills(self, symbol: str, after_trade_id: str | None = None) -> list[Fill]:
        """Return all fills with a trade id above the cursor, oldest first, complete.

        Without a cursor, at the first look at a symbol, orders are not asked for their names: the
        client order id of a fill whose order is not known here is empty.
        """
        ...

    def account(self) -> Account:
        """Return the balances."""
        ...

    def own_filters(self, symbols: Sequence[str]) -> Mapping[str, tuple[Filter, ...]]:
        """Return the filters that the exchange sets this account, by symbol, as far as it tells.

        Never raises: an exchange that tells none, or cannot be asked, refuses by itself. What it
        told is remembered for about an hour.
        """
        ...


class ParameterSource(Protocol):
    """Where the champion parameter set of a study comes from."""

    def champion(self, study: str) -> Champion:
        """Return the champion of `study` (`strategy.SYMBOL.interval`).

        Raises `NoChampion` when none was promoted, `RegistryUnavailable` when it cannot be asked.
        """
        ...


class BarsReader(Protocol):
    """Where a tick reads closed bars; the exchange itself unless another is given."""

    def __call__(
        self, symbol: str, interval: Interval, start: datetime, end: datetime
    ) -> pl.DataFrame:
        """Return the closed bars with start <= open_time < end, in the schema of bars, sorted."""
        ...


class BarDoubts(Protocol):
    """Who may say that the bars of a symbol are not good enough to enter on."""

    def __call__(self, symbol: str, interval: Interval) -> Callable[[Arrays], str | None]:
        """Return what tells why new entries should wait after the last of some bars, or None.

        Asked before the bars are there, so that what does not depend on them is known by then.
        Exits never ask.
        """
        ...
