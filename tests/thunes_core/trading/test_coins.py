"""What may be sold of a book, given what its unsettled orders may have taken."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

from tests.worlds import LOTS, START
from thunes_core.domain.instrument import Instrument
from thunes_core.domain.orders import Leg, OrderRequest, OrderStatus, OrderType, Side
from thunes_core.domain.portfolio import Position
from thunes_core.domain.records import OrderRecord
from thunes_core.trading.coins import is_spoken_for, sellable, uncovered

BOOK = Position("s", "BTCUSDT", cash=Decimal(0), quantity=Decimal(3))


def sell(quantity: str, status: OrderStatus, kind: OrderType = OrderType.STOP_LOSS) -> OrderRecord:
    """Return a sell of the book."""
    request = OrderRequest(
        "BTCUSDT", Side.SELL, kind, Decimal(quantity), "th-1", Leg.STOP, reduces=True
    )
    return OrderRecord(request, "s", START, status, START)


def test_fills_of_an_order_that_was_given_up_make_no_coins():
    """It arrived late, and only its fills are shown: the book is smaller, and that is all."""
    late = replace(sell("3", OrderStatus.REJECTED), booked_quantity=Decimal(3))
    assert sellable([late], BOOK) == 3


def test_a_stop_read_before_its_fill_takes_no_more_than_it_did():
    """Two of five were sold and booked, it is shown whole: what it has left covers the book."""
    stop = replace(sell("5", OrderStatus.NEW), booked_quantity=Decimal(2))
    assert sellable([stop], BOOK) == 5
    assert uncovered([stop], BOOK) == 0


def test_a_sale_of_unknown_outcome_may_have_taken_all_it_asked_for():
    """Less what is booked of it."""
    sale = sell("2", OrderStatus.UNKNOWN, OrderType.MARKET)
    assert sellable([sale], BOOK) == 1
    assert sellable([replace(sale, booked_quantity=Decimal(1))], BOOK) == 2


def test_less_than_a_lot_beside_a_sale_under_way_is_nothing_to_sell():
    """What fees in base left is no exit of its own: all that can be sold may be sold already."""
    book, lots = replace(BOOK, quantity=Decimal("3.0004")), Instrument("BTCUSDT", "BTC", "USDT")
    lots = replace(lots, filters=LOTS)
    sale = sell("3", OrderStatus.UNKNOWN, OrderType.MARKET)
    assert is_spoken_for([sale], book, lots)
    assert not is_spoken_for([sell("2", OrderStatus.UNKNOWN, OrderType.MARKET)], book, lots)
    assert not is_spoken_for([], replace(book, quantity=Decimal("0.0004")), lots)


def test_what_only_may_rest_is_covered():
    """One order of a list counts, not both."""
    legs = [replace(sell("2", OrderStatus.UNKNOWN), request=_listed(leg)) for leg in "ab"]
    assert uncovered(legs, BOOK) == 1


def _listed(name: str) -> OrderRequest:
    return replace(sell("2", OrderStatus.NEW).request, client_order_id=name, list_id="l")
