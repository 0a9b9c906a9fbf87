"""Coins that a person sold or took away leave the books when that is accepted."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from tests.thunes_core.trading.test_step import first_buy, held, run
from tests.worlds import START, BarsMarket, Small, bars_of, small_world, wave
from thunes_core.domain.limits import Protection
from thunes_core.domain.orders import ApprovedOrder, Leg, OrderRequest, OrderType, Side
from thunes_core.domain.portfolio import TradingState
from thunes_core.errors import OutcomeUnknown
from thunes_core.trading.accept import accept
from thunes_core.trading.reconcile import reconcile
from thunes_core.trading.step import leased, open_desk
from thunes_core.trading.world import parse_study


@pytest.fixture()
def small(tmp_path):
    """Return a world on a wave of prices, protected by a stop."""
    made = small_world(tmp_path, BarsMarket(bars_of(wave())), protection=Protection(stop_loss=0.2))
    yield made
    made.ledger.close()


def sell_by_hand(small: Small, quantity: Decimal) -> None:
    """Cancel what rests and sell at the market, as a person does at the exchange."""
    for order in small.broker.inner.open_orders():
        small.broker.inner.cancel("BTCUSDT", order.client_order_id)
    asked = OrderRequest("BTCUSDT", Side.SELL, OrderType.MARKET, quantity, "by-hand", Leg.EXIT)
    small.broker.inner.submit(ApprovedOrder(asked, START))


def settle(small: Small) -> list[str]:
    """Reconcile and accept, as `thunes reconcile --accept` does; then resume."""
    with leased(small.world) as journal:
        studies = [parse_study(key) for key in small.plan.studies]
        desk = open_desk(small.world, small.plan, journal, studies)
        said = accept(desk, reconcile(desk))
    small.ledger.set_trading_state(TradingState.ACTIVE, reason="sold by hand", author="me")
    return said


def test_a_position_sold_by_hand_is_closed_and_nothing_is_sent_for_it(small):
    """The runbook's way out of the market: no ghost is left to be protected or sold."""
    bar = first_buy(small)
    before = held(small)
    sell_by_hand(small, before.quantity)
    assert run(small, bar + 1).state.state is TradingState.HALTED
    said = settle(small)
    assert any("left the book of sma_crossover" in sentence for sentence in said)
    book, sent = held(small), len(small.broker.sent)
    assert (book.quantity, book.dust, book.level, book.blocked) == (0, 0, 0.0, True)
    (trade,) = small.ledger.trades().to_dicts()
    assert (trade["reason"], trade["parameters"]) == ("accepted", before.parameters)
    price = small.market.price("BTCUSDT")
    assert book.cash == before.cash + before.quantity * price
    report = run(small, bar + 2)
    assert report.state.state is TradingState.ACTIVE
    assert (report.orders, report.uncertain, len(small.broker.sent)) == ((), (), sent)


def test_accepting_again_takes_nothing_out(small):
    """It may be repeated: a crash in its midst is mended by the next."""
    bar = first_buy(small)
    sell_by_hand(small, held(small).quantity)
    run(small, bar + 1)
    settle(small)
    before = held(small)
    assert settle(small) == []
    assert held(small) == before


def test_a_part_sold_by_hand_leaves_the_rest_protected(small):
    """What the account still holds stays in the book, with a stop of its size."""
    bar = first_buy(small)
    before = held(small)
    part = Decimal("1.000")
    sell_by_hand(small, part)
    run(small, bar + 1)
    settle(small)
    assert held(small).quantity == before.quantity - part
    assert held(small).is_open
    run(small, bar + 2)
    (stop,) = small.broker.inner.open_orders()
    assert stop.quantity == held(small).quantity
    assert small.ledger.trades().is_empty()


def test_coins_of_an_order_that_is_not_settled_stay_in_the_books(small):
    """It may have sold them itself: its fill is still to come."""
    bar = first_buy(small)
    before = held(small)
    small.plan = replace(small.plan, protection=Protection())
    for order in small.broker.inner.open_orders():
        small.broker.inner.cancel("BTCUSDT", order.client_order_id)
    small.broker.hide_orders = small.broker.hide_fills = 99
    small.broker.script = [("after", OutcomeUnknown("timeout"))]
    while not any(row["side"] == "SELL" and row["leg"] == "exit" for row in orders(small)):
        bar += 1
        run(small, bar)
        small.broker.hide_orders = small.broker.hide_fills = 99
    assert any("an order is not settled" in sentence for sentence in settle(small))
    assert held(small).quantity == before.quantity


def orders(small: Small) -> list[dict[str, object]]:
    """Return every order in the ledger."""
    return small.ledger.orders().to_dicts()
