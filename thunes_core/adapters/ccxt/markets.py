"""The spot markets of an exchange as CCXT tells them: names both ways, and instruments.

We call a symbol by base and quote (`BTCUSDT`), CCXT by both with a stroke (`BTC/USDT`). What an
exchange lists is remembered for a while by all processes.

Add here: a fact of a market the core needs. Keep out: candles, orders.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from thunes_core.adapters.binance.listings import Listings
from thunes_core.adapters.ccxt.client import Connection
from thunes_core.domain.instrument import (
    Filter,
    Instrument,
    LotSize,
    MarketLotSize,
    Notional,
    PriceFilter,
)
from thunes_core.domain.orders import ZERO, OrderType
from thunes_core.errors import UnknownName

Raw = Mapping[str, Any]
ALL = "*"
_TICK_SIZE, _DECIMALS = 4, 2
"""CCXT's numbers for how it writes precision: as a step, or as a count of decimals."""


class Markets:
    """The spot markets behind `connection`, loaded on first use through `listings` if given."""

    def __init__(self, connection: Connection, listings: Listings | None = None) -> None:
        self._connection = connection
        self._listings = listings
        self._by_name: dict[str, Raw] = {}

    def all(self) -> dict[str, Raw]:
        """Return CCXT's markets by our symbol; errors as `Connection.read`."""
        if not self._by_name:
            exchange = self._connection.exchange
            exchange.set_markets(self._known() or self._asked())
            self._by_name = {
                market["base"] + market["quote"]: market
                for market in exchange.markets.values()
                if market["spot"]
            }
        return self._by_name

    def market(self, symbol: str) -> Raw:
        """Return one; `UnknownName` when the exchange does not list it."""
        found = self.all().get(symbol)
        if found is None:
            raise UnknownName(f"symbol {symbol}: the exchange does not list it; give one it lists")
        return found

    def unified(self, symbol: str) -> str:
        """Return CCXT's name of `symbol`."""
        return str(self.market(symbol)["symbol"])

    def ours(self, unified: str) -> str:
        """Return our name of a market that CCXT calls `unified`."""
        return unified.split(":", 1)[0].replace("/", "")

    def forget(self) -> None:
        """Make every process ask the exchange again."""
        self._by_name = {}
        if self._listings is not None:
            self._listings.forget()

    def _known(self) -> list[Raw] | None:
        kept = self._listings.get([ALL]) if self._listings is not None else None
        return kept[0]["markets"] if kept else None

    def _asked(self) -> list[Raw]:
        found: list[Raw] = self._connection.read(
            self._connection.exchange.fetch_markets, what="markets"
        )
        self._connection.learn_limit()
        if self._listings is not None:
            self._listings.put({"symbols": [{"symbol": ALL, "markets": found}]})
        return found


def parse_instrument(market: Raw, precision_mode: int) -> Instrument:
    """Return the instrument of one of CCXT's markets; what it does not tell is left out."""
    limits, precision = market["limits"], market["precision"]
    names = (market.get("info") or {}).get("orderTypes") or ()
    return Instrument(
        symbol=market["base"] + market["quote"],
        base_asset=market["base"],
        quote_asset=market["quote"],
        status="BREAK" if market.get("active") is False else "TRADING",
        filters=tuple(_filters(limits, precision, precision_mode)),
        order_types=tuple(str(name) for name in names if str(name) in set(OrderType)),
    )


def _filters(limits: Raw, precision: Raw, mode: int) -> list[Filter]:
    low, high = _edges(limits, "amount")
    found: list[Filter] = [LotSize(low, high, _step(precision.get("amount"), mode))]
    low, high = _edges(limits, "price")
    found.append(PriceFilter(low, high, _step(precision.get("price"), mode)))
    low, high = _edges(limits, "market")
    if low or high:
        found.append(MarketLotSize(low, high, ZERO))
    low, high = _edges(limits, "cost")
    if low or high:
        found.append(Notional(low, high))
    return found


def _edges(limits: Raw, name: str) -> tuple[Decimal, Decimal]:
    edges = limits.get(name) or {}
    return _decimal(edges.get("min")), _decimal(edges.get("max"))


def _step(told: Any, mode: int) -> Decimal:
    """Return a step; zero (off) where it is not told, or told as significant digits."""
    if told is None or mode not in (_TICK_SIZE, _DECIMALS):
        return ZERO
    return _decimal(told) if mode == _TICK_SIZE else Decimal(1).scaleb(-int(_decimal(told)))


def _decimal(told: Any) -> Decimal:
    return Decimal(str(told)) if told is not None else ZERO
