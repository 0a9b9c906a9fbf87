"""An exit is made once, whatever is unknown, and nothing unknown withholds it."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from tests.thunes_core.trading.test_step import first_buy, held, run
from tests.worlds import HOUR, START, BarsMarket, Small, bars_of, small_world, wave
from thunes_core.domain.limits import Protection
from thunes_core.domain.orders import Refusal, Side
from thunes_core.domain.parameters import study_key
from thunes_core.domain.portfolio import TradingState
from thunes_core.errors import (
    ExchangeUnavailable,
    OutcomeUnknown,
    ParametersInvalid,
    RegistryUnavailable,
    StoreFailed,
)
from thunes_core.trading.step import tick

OTHER = study_key("sma_crossover", "AAAUSDT", "1h")
STOP = Protection(stop_loss=0.05)


@pytest.fixture()
def small(tmp_path):
    """Return a world on a wave of prices."""
    made = small_world(tmp_path, BarsMarket(bars_of(wave())))
    yield made
    made.ledger.close()


@pytest.fixture()
def stopped(tmp_path):
    """Return a world whose positions have a stop 5 % below the entry, held at a bar's open."""
    made = small_world(tmp_path, BarsMarket(bars_of(wave())), protection=STOP)
    first_buy(made)
    made.market.now += timedelta(minutes=10)
    yield made
    made.ledger.close()


def sells(small: Small) -> list[dict[str, object]]:
    """Return the sell orders that were sent."""
    ids = set(small.broker.sent)
    rows = small.ledger.orders().to_dicts()
    return [row for row in rows if row["side"] == "SELL" and row["client_order_id"] in ids]


def fall(small: Small) -> None:
    """Let the price fall below the stop, and let the exchange's own stop miss it."""
    for order in small.broker.inner.open_orders():
        small.broker.inner.cancel("BTCUSDT", order.client_order_id)
    small.market.prices["BTCUSDT"] = Decimal(90)


def test_an_exit_of_unknown_outcome_is_not_sold_again_on_the_next_bar(small):
    """What may be sold already is not sold again, even from other people's coins."""
    bar = first_buy(small)
    small.broker.settle_time = 5 * HOUR
    small.broker.script = [("before", OutcomeUnknown("timeout"))]
    while not sells(small):
        bar += 1
        run(small, bar)
    report = run(small, bar + 1)
    run(small, bar + 2)
    assert len(sells(small)) == 1
    assert any("a sale is not settled yet" in note for note in report.notes)


def test_an_exit_whose_fills_cannot_be_read_is_not_sold_again_on_the_next_bar(small):
    """Filled at the exchange, not readable as trades: the book still looks open."""
    bar = first_buy(small)
    while not sells(small):
        bar += 1
        small.market.stand_at(bar)
        small.broker.hide_fills = 3
        tick(small.world, small.plan)
    small.market.stand_at(bar + 1)
    small.broker.hide_fills = 3
    tick(small.world, small.plan)
    assert len(sells(small)) == 1


def test_an_exit_that_was_not_executed_is_made_once_it_is_certain(small):
    """Unknown, then proved lost: the position is left after all, once."""
    bar = first_buy(small)
    small.broker.script = [("before", OutcomeUnknown("timeout"))]
    while held(small).is_open:
        bar += 1
        run(small, bar)
        small.market.now += timedelta(minutes=1)
        tick(small.world, small.plan)
    assert len(sells(small)) == 2
    assert [f["side"] for f in small.ledger.fills().to_dicts()] == ["BUY", "SELL"]


def test_a_deposit_does_not_withhold_a_stop(stopped):
    """More money than expected blocks entries; the stop still sells."""
    stopped.ledger.accept_balance("USDT", Decimal(-5), START, "planted: a deposit")
    fall(stopped)
    tick(stopped.world, stopped.plan)
    assert not held(stopped).is_open


@pytest.mark.parametrize("error", [ParametersInvalid("tampered"), ExchangeUnavailable("klines")])
def test_a_stop_needs_neither_champion_nor_bars(stopped, error):
    """A position is protected at the latest price though nothing can be decided."""
    fall(stopped)

    def broken(*_args):
        raise error

    if isinstance(error, ParametersInvalid):
        stopped.champions.error = error
        tick(stopped.world, stopped.plan)
    else:
        tick(replace(stopped.world, bars=broken), stopped.plan)
    assert not held(stopped).is_open


def test_without_a_decision_the_trail_still_rises_and_the_bars_are_watched(tmp_path):
    """A parameter set outside of its space decides nothing; the high water follows the highs."""
    small = small_world(
        tmp_path, BarsMarket(bars_of(wave())), protection=Protection(trailing_stop=0.04)
    )
    bar = first_buy(small)
    before = held(small).high_water
    small.champions.values = {"fast": 5, "slow": 20, "surplus": 1}
    run(small, bar + 4)
    assert held(small).high_water > before
    (stop,) = small.broker.inner.open_orders()
    assert float(stop.stop_price) == pytest.approx(held(small).high_water * 0.96)
    for later in range(bar + 5, bar + 25):
        run(small, later)
    assert not held(small).is_open
    assert small.ledger.trades()["reason"].to_list() == ["trailing_stop"]
    small.ledger.close()


def test_a_registry_that_is_down_for_a_new_study_does_not_stop_the_others(tmp_path):
    """Nothing is remembered of the first study; the second still leaves its position."""
    market = BarsMarket(bars_of(wave()), bars_of([100.0] * 200, "AAAUSDT"))
    small = small_world(tmp_path, market)
    first_buy(small)
    small.champions.error = RegistryUnavailable("MLflow is down")
    plan = replace(small.plan, studies=(OTHER, *small.plan.studies))
    for bar in range(55, 70):
        small.market.stand_at(bar)
        tick(small.world, plan)
    assert not any(book.is_open for book in small.ledger.positions())
    small.ledger.close()


def test_a_lake_that_cannot_be_read_stops_no_exit_and_holds_back_entries(small):
    """Doubts about bars concern entries only."""

    def doubts(*_args):
        raise StoreFailed("lake: locked")

    first_buy(small)
    for bar in range(55, 70):
        small.market.stand_at(bar)
        tick(replace(small.world, doubts=doubts), small.plan)
    assert not held(small).is_open
    for bar in range(70, 110):
        small.market.stand_at(bar)
        report = tick(replace(small.world, doubts=doubts), small.plan)
        assert {refused.code for refused in report.refused} <= {Refusal.BAD_BARS}
    assert not held(small).is_open


def test_a_refused_exit_is_told_once_and_not_at_every_tick(stopped):
    """HALTED refuses it; the ledger does not grow by a row a tick, and resuming sells."""
    fall(stopped)
    stopped.ledger.set_trading_state(TradingState.HALTED, reason="look", author="me")
    tick(stopped.world, stopped.plan)
    before = stopped.ledger.orders().height
    for _ in range(3):
        stopped.market.now += timedelta(minutes=1)
        tick(stopped.world, stopped.plan)
    assert stopped.ledger.orders().height == before
    stopped.ledger.set_trading_state(TradingState.ACTIVE, reason="fine", author="me")
    tick(stopped.world, stopped.plan)
    assert not held(stopped).is_open


def test_a_book_that_no_study_trades_any_more_keeps_its_protection(stopped):
    """It is named at every tick, its stop rests again, and it is sold where the stop says."""
    market = stopped.market
    market.frames |= BarsMarket(bars_of([100.0] * 200, "AAAUSDT")).frames
    stopped.plan = replace(stopped.plan, studies=(OTHER,))
    (stop,) = stopped.broker.inner.open_orders()
    stopped.broker.inner.cancel("BTCUSDT", stop.client_order_id)
    report = tick(stopped.world, stopped.plan)
    assert any("no study trades it any more" in note for note in report.notes)
    (again,) = stopped.broker.inner.open_orders()
    assert (again.side, again.stop_price) == (Side.SELL, stop.stop_price)
    fall(stopped)
    tick(stopped.world, stopped.plan)
    assert not any(book.is_open for book in stopped.ledger.positions())
