"""What fills do to a book."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from tests.worlds import HOUR, LOTS, START
from thunes_core.domain.bars import Interval
from thunes_core.domain.instrument import Instrument
from thunes_core.domain.orders import Fill, Leg, OrderRequest, OrderStatus, OrderType, Side
from thunes_core.domain.portfolio import Position
from thunes_core.domain.records import OrderRecord
from thunes_core.trading.book import Terms, book_fill, close_if_dust, fee_in_quote, moved

INSTRUMENT = Instrument("BTCUSDT", "BTC", "USDT", filters=LOTS)
TERMS = Terms(INSTRUMENT, timedelta(minutes=60), Interval.H1)
FLAT = Position("s", "BTCUSDT", cash=Decimal(1000))


def order(side: Side, quantity: str, level: float, reason: str = "signal") -> OrderRecord:
    """Return an order of the test."""
    leg = Leg.ENTRY if side is Side.BUY else Leg.EXIT
    request = OrderRequest(
        "BTCUSDT", side, OrderType.MARKET, Decimal(quantity), "id", leg, reason, level=level
    )
    return OrderRecord(request, "s", START, OrderStatus.FILLED, START, updated_at=START)


def fill(side: Side, price: str, quantity: str, fee: str = "0", asset: str = "USDT") -> Fill:
    """Return one execution."""
    return Fill(
        "BTCUSDT",
        "1",
        "9",
        "id",
        side,
        Decimal(price),
        Decimal(quantity),
        Decimal(fee),
        asset,
        False,
        START + HOUR,
    )


def booked(position: Position, what: Fill, record: OrderRecord):
    """Book a fill with its fee valued."""
    return book_fill(position, what, record, fee_in_quote(what, INSTRUMENT, None), TERMS)


def test_a_buy_with_its_fee_in_base_holds_less_than_was_bought():
    """The fee leaves the quantity, not the cash."""
    held = booked(FLAT, fill(Side.BUY, "100", "2", "0.002", "BTC"), order(Side.BUY, "2", 1.0))
    assert held.position.quantity == Decimal("1.998")
    assert held.position.cash == Decimal(800)
    assert held.position.fees == Decimal("0.200")
    assert held.position.level == 1.0
    assert held.trade is None


def test_a_buy_with_its_fee_in_quote_pays_it_from_cash():
    """The quantity is whole; the cash pays value and fee."""
    held = booked(FLAT, fill(Side.BUY, "100", "2", "0.2"), order(Side.BUY, "2", 1.0))
    assert (held.position.quantity, held.position.cash) == (Decimal(2), Decimal("799.8"))


def test_a_fee_in_a_third_asset_is_valued_and_taken_from_cash():
    """BNB fees cost their worth."""
    what = fill(Side.BUY, "100", "2", "0.001", "BNB")
    worth = fee_in_quote(what, INSTRUMENT, Decimal(500))
    held = book_fill(FLAT, what, order(Side.BUY, "2", 1.0), worth, TERMS)
    assert (worth, held.position.cash) == (Decimal("0.5"), Decimal("799.5"))
    assert moved(what, INSTRUMENT) == {
        "BTC": Decimal(2),
        "USDT": Decimal(-200),
        "BNB": Decimal("-0.001"),
    }


def test_selling_all_closes_the_trade_with_received_minus_spent():
    """Profit is exact, fees included, and the book is flat again."""
    held = booked(FLAT, fill(Side.BUY, "100", "2", "0.2"), order(Side.BUY, "2", 1.0)).position
    done = booked(held, fill(Side.SELL, "110", "2", "0.22"), order(Side.SELL, "2", 0.0))
    assert done.trade is not None
    assert done.trade.pnl == Decimal("19.58")
    assert (done.trade.entry_price, done.trade.exit_price) == (Decimal(100), Decimal(110))
    assert done.trade.fees == Decimal("0.42")
    assert not done.position.is_open
    assert done.position.cash == Decimal("1019.58")
    assert done.position.realised == Decimal("19.58")
    assert done.position.cooldown_until is None


def test_what_is_below_a_step_stays_as_dust_and_joins_the_next_entry():
    """Nothing is lost: dust keeps its value in the equity and is sold with the next exit."""
    held = booked(FLAT, fill(Side.BUY, "100", "2", "0.0025", "BTC"), order(Side.BUY, "2", 1.0))
    done = booked(held.position, fill(Side.SELL, "100", "1.997"), order(Side.SELL, "1.997", 0.0))
    assert not done.position.is_open
    assert done.position.dust == Decimal("0.0005")
    assert done.position.equity(Decimal(100)) == Decimal(1000) - Decimal("0.25")
    again = booked(done.position, fill(Side.BUY, "100", "1"), order(Side.BUY, "1", 1.0))
    assert (again.position.quantity, again.position.dust) == (Decimal("1.0005"), Decimal(0))


def test_a_loss_starts_the_cool_down_at_the_open_of_the_bar_it_was_decided_for():
    """A signal exit counts from the open after its bar, however late its fill is."""
    held = booked(FLAT, fill(Side.BUY, "100", "2"), order(Side.BUY, "2", 1.0)).position
    late = replace(fill(Side.SELL, "90", "2"), time=START + HOUR + timedelta(seconds=3))
    done = booked(held, late, order(Side.SELL, "2", 0.0))
    assert done.position.cooldown_until == START + 2 * HOUR
    assert not done.position.blocked


def test_a_protective_exit_blocks_and_cools_down_from_the_end_of_its_bar():
    """Inside a bar, §3 counts the exit at the bar's end."""
    held = booked(FLAT, fill(Side.BUY, "100", "2"), order(Side.BUY, "2", 1.0)).position
    inside = replace(fill(Side.SELL, "90", "2"), time=START + timedelta(minutes=90))
    done = booked(held, inside, order(Side.SELL, "2", 0.0, reason="stop_loss"))
    assert done.position.cooldown_until == START + 3 * HOUR
    assert done.position.blocked
    assert done.trade is not None
    assert done.trade.reason == "stop_loss"


def test_a_reduction_keeps_the_trade_open():
    """Selling a part changes level and quantity only."""
    held = booked(FLAT, fill(Side.BUY, "100", "2"), order(Side.BUY, "2", 1.0)).position
    done = booked(held, fill(Side.SELL, "110", "1"), order(Side.SELL, "1", 0.5))
    assert (done.trade, done.position.quantity, done.position.level) == (None, Decimal(1), 0.5)


def test_a_finished_exit_whose_rest_is_below_the_minimum_closes_the_trade():
    """What the exchange would not let us sell counts as dust."""
    held = booked(FLAT, fill(Side.BUY, "100", "2"), order(Side.BUY, "2", 1.0)).position
    part = booked(held, fill(Side.SELL, "100", "1.96"), order(Side.SELL, "2", 0.0)).position
    assert part.is_open
    done = close_if_dust(part, order(Side.SELL, "2", 0.0), Decimal(100), TERMS)
    assert done.trade is not None
    assert done.position.dust == Decimal("0.04")


cents = st.integers(1, 10**6).map(lambda n: Decimal(n) / 100)
lots = st.integers(1, 5000).map(lambda n: Decimal(n) / 1000)


@given(
    rounds=st.lists(st.tuples(cents, cents, lots, st.booleans()), min_size=1, max_size=8),
    fee_rate=st.integers(0, 50).map(lambda n: Decimal(n) / 10000),
)
def test_the_sum_of_trades_is_the_change_of_cash_to_the_last_digit(rounds, fee_rate):
    """Whatever is bought, sold and charged, profit and cash agree exactly."""
    position, trades = FLAT, Decimal(0)
    for buy_price, sell_price, quantity, in_base in rounds:
        value = buy_price * quantity
        fee, asset = (quantity * fee_rate, "BTC") if in_base else (value * fee_rate, "USDT")
        bought = Fill(
            "BTCUSDT", "1", "9", "id", Side.BUY, buy_price, quantity, fee, asset, False, START
        )
        position = booked(position, bought, order(Side.BUY, str(quantity), 1.0)).position
        sellable = position.quantity // Decimal("0.001") * Decimal("0.001")
        if sellable == 0:
            continue
        gain = sell_price * sellable
        sold = Fill(
            "BTCUSDT",
            "2",
            "9",
            "id",
            Side.SELL,
            sell_price,
            sellable,
            gain * fee_rate,
            "USDT",
            False,
            START,
        )
        done = booked(position, sold, order(Side.SELL, str(sellable), 0.0))
        assert done.trade is not None
        position, trades = done.position, trades + done.trade.pnl
    if not position.is_open:
        assert position.cash - Decimal(1000) == trades == position.realised


def test_a_partly_filled_stop_blocks_at_once_and_stays_blocked():
    """The next bar sells the rest instead of buying back; its reason is only `signal`."""
    opened = booked(FLAT, fill(Side.BUY, "100", "2"), order(Side.BUY, "2", 1.0)).position
    half = booked(opened, fill(Side.SELL, "90", "1"), order(Side.SELL, "2", 0.0, "stop_loss"))
    assert (half.position.level, half.position.blocked) == (0.0, True)
    rest = booked(half.position, fill(Side.SELL, "89", "1"), order(Side.SELL, "1", 0.0))
    assert rest.trade is not None
    assert rest.position.blocked


def test_a_partly_filled_signal_blocks_nothing():
    """Only protection blocks."""
    opened = booked(FLAT, fill(Side.BUY, "100", "2"), order(Side.BUY, "2", 1.0)).position
    half = booked(opened, fill(Side.SELL, "90", "1"), order(Side.SELL, "2", 0.0))
    assert not half.position.blocked
