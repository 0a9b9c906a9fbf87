"""The ports of the tick: everything the core asks of the world, as small protocols.

Guarantees stand in the docstrings; one contract suite in `tests/contracts` holds every
implementation to them, fakes included.

Add here: a question the core must ask. Keep out: implementations.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import Protocol

import polars as pl

from thunes_core.domain.bars import Interval
from thunes_core.domain.instrument import Instrument
from thunes_core.domain.orders import ApprovedOrder, Fill, Order
from thunes_core.domain.parameters import Champion
from thunes_core.domain.portfolio import Account


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
    """Private side of an exchange account. Reads may be repeated; `submit` never is."""

    def submit(self, approved: ApprovedOrder) -> Order:
        """Send one approved order, once, and return what the exchange says of it.

        Raises `ExchangeRejected` (proof it does not exist), `ExchangeUnavailable` (provably never
        left), or `OutcomeUnknown` (anything else: the caller must ask, never send again).
        """
        ...

    def cancel(self, symbol: str, client_order_id: str) -> Order:
        """Cancel an open order and return its last state; errors as `submit`."""
        ...

    def order(self, symbol: str, client_order_id: str) -> Order | None:
        """Return the newest order with that id, or None when the exchange knows none (now)."""
        ...

    def open_orders(self, symbol: str | None = None) -> list[Order]:
        """Return all open orders."""
        ...

    def fills(self, symbol: str, after_trade_id: str | None = None) -> list[Fill]:
        """Return all fills with a trade id above the cursor, oldest first, complete."""
        ...

    def account(self) -> Account:
        """Return the balances."""
        ...


class ParameterSource(Protocol):
    """Where the champion parameter set of a study comes from."""

    def champion(self, study: str) -> Champion:
        """Return the champion of `study` (`strategy.SYMBOL.interval`).

        Raises `NoChampion` when none was promoted, `RegistryUnavailable` when it cannot be asked.
        """
        ...
