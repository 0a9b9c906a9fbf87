"""The filters that Binance sets one account (`myFilters`), MAX_ASSET above all: no listing has it.

Asked for once a symbol and kept like the listings, for all processes of the account where these
share a folder. That there are none is kept as well; an answer that did not come counts as none for
one tick. The exchange itself refuses what breaks a filter, by its name, and that makes the next
reader ask again.

Add here: when they are asked for. Keep out: what they mean (`exchange_info`), checking them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from thunes_core.adapters.binance.exchange_info import parse_filters
from thunes_core.adapters.binance.failures import understood
from thunes_core.adapters.binance.listings import Listings
from thunes_core.domain.instrument import Filter
from thunes_core.errors import BadInput, ExchangeRejected, ExchangeUnavailable

NOT_FOUND = 404
NOT_SUPPORTED = -1020
BAD_REQUEST = range(-1199, -1099)
"""Codes that the same request gets again: the exchange knows no such door, or not the symbol."""
KINDS = ("exchangeFilters", "symbolFilters", "assetFilters")
Told = dict[str, tuple[Filter, ...]]


def account_file(api_key: str) -> str:
    """Return the name of the file of an account; it does not tell the key."""
    return f"filters-{hashlib.sha256(api_key.encode()).hexdigest()[:16]}.json"


class OwnFilters:
    """What the exchange told of an account: in a file, or while this object lives without one."""

    def __init__(self, kept: Listings | None) -> None:
        self._kept = kept
        self._told: Told = {}

    def of(self, symbols: Sequence[str], ask: Callable[[str], Any]) -> Told:
        """Return the filters by symbol; `ask` is called for those that are not known."""
        known = self._known(symbols)
        missing = [symbol for symbol in symbols if symbol not in known]
        if not missing:
            return known
        fresh = _asked(missing, ask)
        self._keep(fresh)
        told = {symbol: parse_filters(rows) for symbol, rows in fresh.items()}
        return dict.fromkeys(symbols, ()) | known | told

    def forget(self) -> None:
        """Make the next reader ask the exchange."""
        self._told.clear()
        if self._kept is not None:
            self._kept.forget()

    def _known(self, symbols: Sequence[str]) -> Told:
        if self._kept is None:
            return {symbol: self._told[symbol] for symbol in symbols if symbol in self._told}
        found = self._kept.known(symbols)
        return {symbol: parse_filters(one["filters"]) for symbol, one in found.items()}

    def _keep(self, fresh: dict[str, list[Any]]) -> None:
        if self._kept is None:
            self._told |= {symbol: parse_filters(rows) for symbol, rows in fresh.items()}
            return
        rows = [{"symbol": symbol, "filters": filters} for symbol, filters in fresh.items()]
        self._kept.put({"symbols": rows})


def _asked(symbols: Iterable[str], ask: Callable[[str], Any]) -> dict[str, list[Any]]:
    """Return the rows of each answer; after one that did not come, the rest is not asked for."""
    found: dict[str, list[Any]] = {}
    for symbol in symbols:
        try:
            found[symbol] = _rows(ask(symbol), symbol)
        except (BadInput, ExchangeRejected, ExchangeUnavailable) as error:
            if not _has_none(error):
                break
            found[symbol] = []
    return found


def _has_none(error: BadInput | ExchangeRejected | ExchangeUnavailable) -> bool:
    """True when the exchange tells this account nothing of that symbol, and will not tomorrow."""
    if isinstance(error, ExchangeRejected):
        return error.code == NOT_SUPPORTED or error.code in BAD_REQUEST
    answered = getattr(error.__cause__, "status_code", 0)
    return isinstance(error, BadInput) or answered == NOT_FOUND


def _rows(answer: Any, symbol: str) -> list[Any]:
    """Return the filters of an answer, once they could be read; else `ExchangeUnavailable`."""
    what = f"filters of the account on {symbol}"
    rows = understood(lambda: [row for kind in KINDS for row in answer[kind]], what=what)
    understood(lambda: parse_filters(rows), what=what)
    return rows
