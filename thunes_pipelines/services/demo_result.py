"""What the demo did: read back from the ledger, and held against the exchange.

Add here: a figure the demo shows. Keep out: the loop (`demo.py`), how it is printed.
"""

from __future__ import annotations

import hashlib
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from thunes_core.domain.portfolio import Position
    from thunes_core.settings import Settings

CASH = Decimal(10_000)
"""What the testnet's account begins with, in quote units."""

ORDER_COLUMNS = ("client_order_id", "side", "quantity_text", "status", "executed_quote_text")


@dataclass(frozen=True, slots=True)
class DemoResult:
    """What the demo did. Money in quote units; times UTC.

    `trades_difference` is what the books realised less the sum of the trades, `cash_difference` the
    books' change of cash less the exchange's own: both must be 0, to the last digit.
    """

    home: Path
    studies: tuple[str, ...]
    start: datetime
    end: datetime
    bars: int
    ticks: int
    orders: int
    fills: int
    reports: tuple[Path, ...]
    trades: tuple[dict[str, Any], ...]
    held: tuple[dict[str, Any], ...]
    champions: dict[str, dict[str, Any]]
    realised: Decimal
    equity: Decimal
    trades_difference: Decimal
    cash_difference: Decimal
    orders_fingerprint: str
    tracking_uri: str
    state: str


def sum_up(settings: Settings, begin: datetime, end: datetime, ticks: int) -> DemoResult:
    """Read back from the ledger what happened, and hold its trades against its books."""
    from thunes_pipelines.resources import wiring

    market, broker = wiring.market(settings), wiring.broker(settings)
    store = wiring.bar_store(settings)
    with closing(wiring.ledger(settings)) as ledger:
        books, trades, orders = ledger.positions(), ledger.trades().to_dicts(), ledger.orders()
        fills, state = len(ledger.fills()), str(ledger.trading_state().state)
    quote = market.instruments(settings.symbols)[settings.symbols[0]].quote_asset
    earned = sum((book.cash for book in books), Decimal(0)) - settings.allotment_quote * len(books)
    realised = sum((book.realised for book in books), Decimal(0))
    return DemoResult(
        home=settings.home,
        studies=tuple(f"{b.strategy}.{b.symbol}.{settings.interval}" for b in books),
        start=begin,
        end=end,
        bars=sum(store.read(s, settings.interval).height for s in settings.symbols),
        ticks=ticks,
        orders=len(orders),
        fills=fills,
        reports=tuple(sorted(settings.reports_root.glob("*.html"))),
        trades=tuple(trades),
        held=tuple(_held(book, market.price(book.symbol)) for book in books if book.is_open),
        champions=_champions(settings),
        realised=realised,
        equity=sum((book.equity(market.price(book.symbol)) for book in books), Decimal(0)),
        trades_difference=realised - sum((Decimal(t["pnl_text"]) for t in trades), Decimal(0)),
        cash_difference=earned - (broker.account().total(quote) - CASH),
        orders_fingerprint=_fingerprint(orders.select(ORDER_COLUMNS).rows()),
        tracking_uri=settings.tracking_uri,
        state=state,
    )


def _held(book: Position, price: Decimal) -> dict[str, Any]:
    """Return what is still held at the end, marked at `price`."""
    return {
        "strategy": book.strategy,
        "symbol": book.symbol,
        "entry_time": book.entry_time,
        "quantity": book.quantity,
        "entry_price": book.average_price,
        "price": price,
        "pnl": book.received - book.spent + book.holding * price,
    }


def _fingerprint(rows: list[tuple[Any, ...]]) -> str:
    return hashlib.sha256(repr(rows).encode()).hexdigest()[:16]


def _champions(settings: Settings) -> dict[str, dict[str, Any]]:
    from thunes_core.domain.parameters import study_key
    from thunes_pipelines.resources import wiring

    registry = wiring.registry(settings)
    found = {
        study_key(v["strategy"], v["symbol"], v["interval"]): v
        for v in registry.versions()
        if "champion" in v["aliases"]
    }
    return {
        study: {**version, "parameters": registry.champion(study).parameters.shown}
        for study, version in found.items()
    }
