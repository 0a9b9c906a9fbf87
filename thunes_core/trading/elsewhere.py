"""Trades by hand of symbols that nothing here looks at: sought where balances do not fit.

Somebody bought SOL with the dollars of the account. What was bought lies in the account, so that
only pairs of an asset that is there with the one that does not fit are asked for trades since the
last tick. One that has such trades is looked at from then on, until a person accepts them.

Add here: another sign of a trade elsewhere. Keep out: what such trades explain (`foreign`).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any

from thunes_core.domain.instrument import Instrument
from thunes_core.domain.orders import ZERO
from thunes_core.errors import AskedToWait, ExchangeRejected, ExchangeUnavailable, UnknownName
from thunes_core.trading.discrepancy import Discrepancy
from thunes_core.trading.ports import Journal, MarketData
from thunes_core.trading.reconcile import Desk, Reconciliation, book_new_fills

MOST_PAIRS = 8
"""Asked for their trades in one search, of weight 20 each; where more may be, none is."""


def seek(desk: Desk, found: Reconciliation) -> bool:
    """Keep trades by hand, since the last tick, that may be why balances do not fit.

    True when there are any: reconciling again then knows them.
    """
    before = desk.journal.last_tick()
    doubted = {one.asset for one in found.discrepancies if _is_new(one, before)}
    if not doubted or before is None:
        return False
    since = datetime.fromisoformat(str(before["server_time"]))
    pairs = _pairs(desk, found, doubted)
    if not pairs or len(pairs) > MOST_PAIRS:
        return False
    begun = {symbol: one for symbol, one in pairs.items() if _begin(desk, symbol, since)}
    desk.beside.update(begun)
    book_new_fills(desk, begun)
    kept = {trade.symbol for trade in desk.journal.foreign_trades()} & set(begun)
    for symbol in set(begun) - kept:
        del desk.beside[symbol]
    return bool(kept)


def looked_at_beside(
    market: MarketData, journal: Journal, traded: Collection[str]
) -> dict[str, Instrument]:
    """Return, of trades by hand that wait to be accepted, the instruments not among `traded`."""
    found: dict[str, Instrument] = {}
    for symbol in {trade.symbol for trade in journal.foreign_trades()} - set(traded):
        try:
            found |= market.instruments([symbol])
        except UnknownName:
            continue  # not listed any more: its trades explain nothing
    return found


def _is_new(one: Discrepancy, report: Mapping[str, Any] | None) -> bool:
    """True for what nothing explains and the last tick did not tell yet: it had its search."""
    told = report.get("notes", ()) if report else ()
    return one.is_traded and not one.is_explained and str(one) not in told


def _pairs(desk: Desk, found: Reconciliation, doubted: Collection[str]) -> Mapping[str, Instrument]:
    """Return what is listed of a doubted asset and another that the account has, or had."""
    had = {asset for asset, held in found.account.balances.items() if held.total > ZERO}
    had |= set(desk.journal.expected_balances())
    try:
        listed = desk.market.instruments()
    except AskedToWait:
        raise
    except (ExchangeUnavailable, ExchangeRejected):
        return {}  # the search is an attempt: what is missing halts without it
    return {
        symbol: one
        for symbol, one in listed.items()
        if symbol not in desk.seen
        and {one.base_asset, one.quote_asset} <= had
        and {one.base_asset, one.quote_asset} & set(doubted)
    }


def _begin(desk: Desk, symbol: str, since: datetime) -> bool:
    """Set the cursor behind the last trade up to `since`: what came before was there then.

    False where the exchange tells nothing of the symbol to this account.
    """
    known = desk.journal.cursor(symbol)
    try:
        trades = desk.broker.fills(symbol, known)
    except ExchangeRejected:
        return False
    before = [trade for trade in trades if trade.time <= since]
    last = before[-1].trade_id if before else known or "-1"
    if last != known:
        desk.journal.set_cursor(symbol, last)
    return True
