"""What a refusal teaches of how much one order may carry, for the rest of a tick.

The limit may be new (MARKET_LOT_SIZE moves with the volume), or not told to us (MAX_ASSET), and in
the quote asset only the exchange knows at which price it values an order. So the next one is half
as large, until one is taken.

Add here: another refusal that tells of a size. Keep out: the filters themselves (`domain`).
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal

from thunes_core.domain.instrument import at_most, floor_to_step
from thunes_core.domain.orders import OrderStatus
from thunes_core.domain.records import OrderRecord
from thunes_core.trading.reconcile import Desk
from thunes_core.trading.stops import is_too_small

TOO_LARGE = ("MAX_ASSET", "MARKET_LOT_SIZE", "NOTIONAL")
"""Filters by whose names an order may be refused as too large, though it passed what we knew."""


def is_too_large(record: OrderRecord) -> bool:
    """True when the exchange refused an order by the name of a filter on its size."""
    return record.status is OrderStatus.REJECTED and any(name in record.why for name in TOO_LARGE)


def learn_size(desk: Desk, client_order_ids: Iterable[str], price: Decimal) -> bool:
    """Halve what an order of a symbol may carry where one of these was too large; True if so.

    False as well where half of it would be too small for an order, at `price` in quote units.
    """
    known = (desk.journal.order(client_order_id) for client_order_id in client_order_ids)
    refused = next((one for one in known if one is not None and is_too_large(one)), None)
    if refused is None:
        return False
    symbol = refused.request.symbol
    instrument = desk.instruments[symbol]
    lot, quantity = instrument.step_size, refused.request.quantity
    half = floor_to_step(quantity / 2, lot) + lot  # up, so that as few as can be are the whole
    if half >= quantity or is_too_small(half, price, instrument):
        return False
    desk.told.setdefault(symbol, instrument)
    desk.instruments[symbol] = at_most(instrument, half)
    return True


def forget_size(desk: Desk, symbol: str) -> None:
    """Believe what the exchange told of a symbol again: no size was taken, so it taught nothing."""
    desk.instruments[symbol] = desk.told.pop(symbol, desk.instruments[symbol])
