"""What of a book rests or waits at the exchange, as the ledger knows it.

Add here: a question about resting orders. Keep out: asking the exchange, placing, cancelling.
"""

from __future__ import annotations

from collections.abc import Sequence

from thunes_core.domain.orders import ZERO, Leg, OrderStatus, OrderType, TimeInForce
from thunes_core.domain.records import OrderRecord
from thunes_core.trading.ports import Journal


def resting_orders(journal: Journal, strategy: str, symbol: str) -> list[OrderRecord]:
    """Return the protective orders of a book that are not final.

    Sells that wait for the whole fill of their buy protect nothing yet and are not among them.
    """
    return resting_among(journal.open_orders(), strategy, symbol)


def resting_among(records: Sequence[OrderRecord], strategy: str, symbol: str) -> list[OrderRecord]:
    """Return `resting_orders` of what is not settled."""
    return [
        record
        for record in _open_among(records, strategy, symbol)
        if record.request.rests and record.status is not OrderStatus.PENDING_NEW
    ]


def waiting_entry(journal: Journal, strategy: str, symbol: str) -> OrderRecord | None:
    """Return the limit entry of a book that rests, or may rest, at the exchange."""
    return waiting_among(journal.open_orders(), strategy, symbol)


def waiting_among(records: Sequence[OrderRecord], strategy: str, symbol: str) -> OrderRecord | None:
    """Return `waiting_entry` of what is not settled."""
    for record in _open_among(records, strategy, symbol):
        request = record.request
        if request.leg is Leg.ENTRY and request.time_in_force is TimeInForce.GTC:
            return record
    return None


def entry_in_part(journal: Journal, strategy: str, symbol: str) -> OrderRecord | None:
    """Return the limit entry of a book whose sells wait for its whole fill while it has a part."""
    found = waiting_entry(journal, strategy, symbol)
    if found is None or not found.request.list_id or found.booked_quantity == ZERO:
        return None
    return None if found.status.is_in_flight else found


def of_one_list(journal: Journal, record: OrderRecord) -> list[OrderRecord]:
    """Return the orders that end together with `record`, itself first; final ones are left out."""
    list_id = record.request.list_id
    others = _open_ones(journal, record.strategy, record.request.symbol)
    beside = [one for one in others if list_id and one.request.list_id == list_id]
    known = [one for one in beside if one.client_order_id != record.client_order_id]
    return [record, *known]


def fills_in_parts(records: Sequence[OrderRecord]) -> OrderRecord:
    """Return the one of a list that may be executed in parts: its limit order; else the first.

    To be named where all of them are cancelled on the condition that nothing was executed.
    """
    limits = (one for one in records if one.request.type is OrderType.LIMIT_MAKER)
    return next(limits, records[0])


def _open_ones(journal: Journal, strategy: str, symbol: str) -> list[OrderRecord]:
    """Return the orders of a book that are not final, oldest first."""
    return _open_among(journal.open_orders(), strategy, symbol)


def _open_among(records: Sequence[OrderRecord], strategy: str, symbol: str) -> list[OrderRecord]:
    return [
        record
        for record in records
        if (record.strategy, record.request.symbol) == (strategy, symbol)
        and not record.status.is_final
    ]
