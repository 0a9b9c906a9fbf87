"""Bring the ledger to what the exchange says: orders, fills, balances; first act of every tick.

Restart and crash recovery are this code. What cannot be explained blocks entries on its symbols; a
holding that is missing halts trading.

Add here: a comparison of ledger and exchange. Keep out: deciding, sending.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from thunes_core.domain.bars import Interval
from thunes_core.domain.instrument import Instrument
from thunes_core.domain.orders import ZERO, Fill, Order
from thunes_core.domain.portfolio import Account
from thunes_core.domain.records import OrderRecord
from thunes_core.risk.losses import day_of
from thunes_core.trading.book import Terms, book_fill, close_if_dust, fee_in_quote, moved
from thunes_core.trading.discrepancy import Discrepancy
from thunes_core.trading.fees import worth
from thunes_core.trading.foreign import by_symbol, moved_by, told
from thunes_core.trading.ports import Broker, Journal, MarketData
from thunes_core.trading.quotes import mixed_quotes
from thunes_core.trading.resolve import drop_lost, resolve

DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Desk:
    """The ports and terms that booking needs, bound to one lease and one moment.

    `booked` collects every fill that was booked at this desk, oldest first, `notes` what people
    should know of it. `instruments` learns from refusals what one order may carry, `told` keeps
    what they were before. `missing` has the symbols that the exchange does not list any more, each
    with the sentence that says so. `beside`: symbols that nothing here trades, looked at for trades
    by hand alone.
    """

    market: MarketData
    broker: Broker
    journal: Journal
    instruments: dict[str, Instrument]
    now: datetime
    cooldown: timedelta = timedelta(0)
    intervals: Mapping[tuple[str, str], Interval] = field(default_factory=dict)
    booked: list[Fill] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    missing: Mapping[str, str] = field(default_factory=dict)
    told: dict[str, Instrument] = field(default_factory=dict)
    beside: dict[str, Instrument] = field(default_factory=dict)

    @property
    def seen(self) -> dict[str, Instrument]:
        """Every instrument whose trades are read."""
        return {**self.beside, **self.instruments}

    def terms(self, strategy: str, symbol: str) -> Terms:
        """Return the terms on which a fill of that book is booked."""
        interval = self.intervals.get((strategy, symbol))
        return Terms(self.seen[symbol], self.cooldown, interval)


@dataclass(frozen=True, slots=True)
class Reconciliation:
    """What reconciling found; `unresolved` maps symbols to the sentence that blocks entries."""

    account: Account
    notes: tuple[str, ...] = ()
    discrepancies: tuple[Discrepancy, ...] = ()
    unresolved: Mapping[str, str] = field(default_factory=dict)
    strangers: tuple[Order, ...] = ()
    delisted: tuple[str, ...] = ()
    foreign: tuple[Fill, ...] = ()

    @property
    def failed(self) -> str:
        """The sentence for which trading must halt, or empty."""
        return next((str(d) for d in self.discrepancies if d.is_missing), "")

    @property
    def fits(self) -> bool:
        """True when our fills and trades by hand explain every balance."""
        return all(one.is_explained for one in self.discrepancies)

    @property
    def doubted(self) -> set[str]:
        """The assets of which more was done than our fills explain."""
        return {one.asset for one in self.discrepancies}

    def as_dict(self) -> dict[str, Any]:
        """Return it as plain values that JSON can hold."""
        return {
            "notes": list(self.notes),
            "discrepancies": [str(d) for d in self.discrepancies if not d.is_explained],
            "unresolved": dict(self.unresolved),
            "foreign_orders": [
                {"symbol": order.symbol, "client_order_id": order.client_order_id}
                for order in self.strangers
            ],
            "foreign_trades": [
                {"symbol": symbol, "trades": len(trades), "last": trades[-1].trade_id}
                for symbol, trades in by_symbol(self.foreign).items()
            ],
            "delisted": list(self.delisted),
        }


def reconcile(desk: Desk) -> Reconciliation:
    """Resolve orders, book fills, compare balances and open orders; safe to repeat."""
    notes = resolve(desk.broker, desk.journal, desk.now)
    book_new_fills(desk, desk.seen)
    strangers = _strangers(desk)
    notes += drop_lost(desk.broker, desk.journal, desk.now)
    account, discrepancies = _compare(desk)
    foreign = desk.journal.foreign_trades()
    by_hand = {symbol: told(trades) for symbol, trades in by_symbol(foreign).items()}
    mixed = mixed_quotes(desk.instruments)
    unresolved = {
        **(dict.fromkeys(desk.instruments, mixed) if mixed else {}),
        **{order.symbol: _foreign_sentence(order) for order in strangers},
        **by_hand,
        **_unexplained(discrepancies, desk.instruments),
        **in_flight(desk.journal.open_orders()),
    }
    return Reconciliation(
        account=account,
        notes=(
            *([mixed] if mixed else []),
            *desk.missing.values(),
            *notes,
            *(str(one) for one in discrepancies if not one.is_explained),
            *by_hand.values(),
            *map(_foreign_sentence, strangers),
        ),
        discrepancies=discrepancies,
        unresolved=unresolved,
        strangers=tuple(strangers),
        delisted=delisted_symbols(desk),
        foreign=tuple(foreign),
    )


def delisted_symbols(desk: Desk) -> tuple[str, ...]:
    """Return the symbols that are gone and of which a book holds something or orders are open."""
    if not desk.missing:
        return ()
    held = {book.symbol for book in desk.journal.positions() if book.holding}
    asked = {record.request.symbol for record in desk.journal.open_orders()}
    return tuple(sorted((held | asked) & set(desk.missing)))


def book_new_fills(desk: Desk, symbols: Iterable[str]) -> None:
    """Book every fill beyond the cursor; what is not ours is kept until a person accepts it."""
    for symbol in symbols:
        cursor = desk.journal.cursor(symbol)
        newest, foreign = "-1" if cursor is None else cursor, list[Fill]()
        for fill in desk.broker.fills(symbol, cursor):
            newest = fill.trade_id
            if _book(desk, fill):
                desk.booked.append(fill)
            elif cursor is not None and not desk.journal.has_fill(symbol, fill.trade_id):
                foreign.append(fill)
        if foreign:
            desk.journal.keep_foreign(foreign)
        if newest != desk.journal.cursor(symbol):
            desk.journal.set_cursor(symbol, newest)  # once: a long history is not ours


def _book(desk: Desk, fill: Fill) -> bool:
    record = _order_of(desk.journal, fill)
    if record is None or desk.journal.has_fill(fill.symbol, fill.trade_id):
        return False
    position = desk.journal.position(record.strategy, fill.symbol)
    if position is None:
        return False
    terms = desk.terms(record.strategy, fill.symbol)
    fee_quote = fee_in_quote(fill, terms.instrument, _fee_price(desk, fill, terms.instrument))
    done = book_fill(position, fill, record, fee_quote, terms)
    return desk.journal.record_fill(
        fill,
        record=record,
        position=done.position,
        trade=done.trade,
        fee_quote=fee_quote,
        moved=moved(fill, terms.instrument),
    )


def close_dust(desk: Desk, record: OrderRecord, price: Decimal) -> None:
    """Close the trade of a finished exit that left less than the exchange lets us sell."""
    position = desk.journal.position(record.strategy, record.request.symbol)
    if position is None:
        return
    terms = desk.terms(record.strategy, record.request.symbol)
    done = close_if_dust(position, record, price, terms)
    if done.trade is not None:
        desk.journal.save_position(done.position, done.trade)


def _order_of(journal: Journal, fill: Fill) -> OrderRecord | None:
    known = journal.order_by_exchange_id(fill.symbol, fill.exchange_order_id)
    return known or (journal.order(fill.client_order_id) if fill.client_order_id else None)


def _fee_price(desk: Desk, fill: Fill, instrument: Instrument) -> Decimal | None:
    if fill.fee == ZERO or fill.fee_asset in {instrument.base_asset, instrument.quote_asset}:
        return None
    asset, quote = fill.fee_asset, instrument.quote_asset
    found = worth(asset, quote, instrument.base_asset, desk.market.price)
    if found is None:
        desk.notes.append(
            f"{fill.symbol}: fee of {fill.fee:f} {asset} is booked without a value, no listed pair "
            f"leads from {asset} to {quote}"
        )
    return found


def _compare(desk: Desk) -> tuple[Account, tuple[Discrepancy, ...]]:
    """Compare balances; a mismatch counts when a second look, after new fills, still shows it."""
    account = desk.broker.account()
    found = _discrepancies(desk, account)
    if not found:
        return account, ()
    book_new_fills(desk, desk.seen)
    account = desk.broker.account()
    return account, _discrepancies(desk, account)


def _discrepancies(desk: Desk, account: Account) -> tuple[Discrepancy, ...]:
    expected, traded = desk.journal.expected_balances(), _assets(desk.instruments)
    for asset in [*traded, *_fee_assets(desk)]:
        if asset not in expected:
            expected[asset] = account.total(asset)
            desk.journal.accept_balance(asset, expected[asset], desk.now, "first sight")
    foreign = moved_by(desk.journal.foreign_trades(), desk.seen)
    return tuple(
        Discrepancy(
            asset,
            total,
            account.total(asset),
            foreign.get(asset, ZERO),
            _held(desk, asset),
            is_traded=asset in traded or bool(desk.missing),
        )
        for asset, total in expected.items()
        if total != account.total(asset)
    )


def _fee_assets(desk: Desk) -> set[str]:
    """Return the assets that fees were paid in since yesterday; of a fill just booked none yet.

    Once such an asset is compared, every later fee moves what is expected of it.
    """
    if desk.booked:
        return set()
    dealings = desk.journal.dealings_since(day_of(desk.now) - DAY)
    return {dealing.fee_asset for dealing in dealings if dealing.fee}


def _held(desk: Desk, asset: str) -> Decimal:
    """Return what the books hold of `asset`."""
    of = {symbol for symbol, one in desk.instruments.items() if one.base_asset == asset}
    return sum((book.holding for book in desk.journal.positions() if book.symbol in of), ZERO)


def _assets(instruments: Mapping[str, Instrument]) -> list[str]:
    both = ((i.base_asset, i.quote_asset) for i in instruments.values())
    return sorted({asset for pair in both for asset in pair})


def _unexplained(
    discrepancies: Iterable[Discrepancy], instruments: Mapping[str, Instrument]
) -> dict[str, str]:
    return {
        symbol: str(discrepancy)
        for discrepancy in discrepancies
        if not discrepancy.is_explained
        for symbol, instrument in instruments.items()
        if discrepancy.asset in {instrument.base_asset, instrument.quote_asset}
    }


def _strangers(desk: Desk) -> list[Order]:
    """Return open orders that are neither ours nor accepted by a person."""
    known = desk.journal.accepted_orders()
    return [
        order
        for order in desk.broker.open_orders()
        if desk.journal.order(order.client_order_id) is None
        and (order.symbol, order.client_order_id) not in known
    ]


def _foreign_sentence(order: Order) -> str:
    return (
        f"{order.symbol}: open order {order.client_order_id} is not ours; "
        "cancel it, or `thunes reconcile --accept`"
    )


def in_flight(open_orders: Sequence[OrderRecord]) -> dict[str, str]:
    """Return, by symbol, the sentence about an order that is not settled though it should be."""
    return {
        record.request.symbol: f"{record.client_order_id} is {record.status}, not settled"
        for record in open_orders
        if record.status.is_in_flight or record.status.is_final
    }
