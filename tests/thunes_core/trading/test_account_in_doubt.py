"""What the whole account shares under trouble: unknown orders, halts, losses, strangers."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from tests.contracts.test_broker import limit
from tests.thunes_core.trading.test_step import first_buy, first_buy_bar, held, run
from tests.worlds import HOUR, START, STUDY, WIDE, BarsMarket, bars_of, small_world, wave
from thunes_core.domain.limits import Protection
from thunes_core.domain.orders import Refusal, Side
from thunes_core.domain.parameters import Champion, ParameterSet, study_key
from thunes_core.domain.portfolio import TradingState
from thunes_core.errors import ExchangeRejected, OutcomeUnknown, StoreFailed, UnknownName
from thunes_core.trading.accept import accept
from thunes_core.trading.reconcile import reconcile
from thunes_core.trading.step import leased, looked, open_desk, tick
from thunes_core.trading.world import parse_study

OTHER = study_key("sma_crossover", "AAAUSDT", "1h")
BREAKOUT = study_key("donchian_breakout", "BTCUSDT", "1h")


@pytest.fixture()
def small(tmp_path):
    """Return a world on a wave of prices."""
    made = small_world(tmp_path, BarsMarket(bars_of(wave())))
    made.market.stand_at(46)
    yield made
    made.ledger.close()


@pytest.fixture()
def two(tmp_path):
    """Return a world with a second symbol that is not traded at first; 5 lost a day is too much."""
    market = BarsMarket(bars_of(wave()), bars_of([100.0] * 200, "AAAUSDT"))
    made = small_world(tmp_path, market, limits=replace(WIDE, daily_loss_quote=Decimal(5)))
    yield made
    made.ledger.close()


def settle(small) -> None:
    """Reconcile and accept what is found, as the command does."""
    with leased(small.world) as journal:
        studies = [parse_study(key) for key in small.plan.studies]
        desk = open_desk(small.world, small.plan, journal, studies)
        accept(desk, reconcile(desk))


def test_the_fill_of_an_unknown_order_is_booked_though_its_study_was_removed(two):
    """The symbol of an unsettled order is looked at until it is settled."""
    two.broker.script = [("after", OutcomeUnknown("timeout"))]
    bar = first_buy_bar(two)
    two.broker.hide_fills = 9
    run(two, bar)
    two.broker.hide_fills = 0
    tick(two.world, replace(two.plan, studies=(OTHER,)))
    assert two.ledger.fills().height == 1


class Two:
    """Champions of two strategies that both want to be in while the wave rises."""

    def champion(self, study: str) -> Champion:
        strategy = study.split(".")[0]
        crossing = strategy == "sma_crossover"
        values = {"fast": 5, "slow": 20} if crossing else {"entry": 10, "exit": 5}
        return Champion(study, ParameterSet(strategy, values), "1", "run")


def test_an_unknown_buy_blocks_the_next_sleeve_of_that_symbol_in_the_same_tick(small):
    """Two strategies share a symbol: the second does not enter on an unknown first."""
    small.market.stand_at(55)
    small.broker.script = [("before", OutcomeUnknown("timeout"))]
    plan = replace(small.plan, studies=(STUDY, BREAKOUT), allotment_quote=Decimal(400))
    report = tick(replace(small.world, parameters=Two()), plan)
    assert [refused.code for refused in report.refused] == [Refusal.UNRESOLVED_ORDER]
    assert len(small.broker.sent) == 1


def test_an_unknown_buy_counts_as_a_position_and_as_exposure_elsewhere(tmp_path):
    """What may have been bought is held, as far as limits go."""
    market = BarsMarket(bars_of(wave()), bars_of(wave(), "AAAUSDT"))
    limits = replace(WIDE, max_positions=1)
    small = small_world(tmp_path, market, studies=(OTHER, STUDY), limits=limits)
    small.market.stand_at(55)
    small.broker.script = [("before", OutcomeUnknown("timeout"))]
    report = tick(small.world, small.plan)
    assert [refused.code for refused in report.refused] == [Refusal.MAX_POSITIONS]
    small.ledger.close()


def test_a_halt_during_the_tick_is_neither_overwritten_nor_ignored(small):
    """A person halts while champions are read: nothing is sent afterwards."""
    bar = first_buy_bar(small)

    class Halting:
        def champion(self, study):
            small.ledger.set_trading_state(TradingState.HALTED, reason="stop it", author="me")
            return small.champions.champion(study)

    small.market.stand_at(bar)
    report = tick(replace(small.world, parameters=Halting()), small.plan)
    assert small.broker.sent == []
    assert report.state.state is TradingState.HALTED


def test_a_halt_between_reading_and_writing_the_state_wins(two, monkeypatch):
    """The daily loss must not turn a person's HALTED into REDUCING."""
    bar = first_buy(two)
    genuine = type(two.ledger).day_start

    def slow(self, day):
        two.ledger.set_trading_state(TradingState.HALTED, reason="stop it", author="me")
        return genuine(self, day)

    monkeypatch.setattr(type(two.ledger), "day_start", slow)
    two.market.prices["BTCUSDT"] = Decimal(50)
    run(two, bar + 1)
    assert two.ledger.trading_state().author == "me"


def test_a_study_added_at_noon_does_not_hide_the_days_loss(two):
    """Fresh allotment is no gain."""
    bar = first_buy(two)
    two.market.prices["BTCUSDT"] = Decimal(90)
    two.market.stand_at(bar + 1)
    report = tick(two.world, replace(two.plan, studies=(OTHER, STUDY)))
    assert report.state.state is TradingState.REDUCING


def test_the_day_is_measured_from_midnight_though_the_first_tick_comes_later(two):
    """A fall between 00:00 and the first tick counts; one of the evening before does not."""
    first_buy(two)
    holding, cash = held(two).holding, held(two).cash
    midnight = 72  # bar 72 opens at 00:00 UTC of the fourth day
    at_midnight = Decimal(repr(two.market.frames["BTCUSDT"]["close"][midnight - 1]))
    two.market.stand_at(midnight + 3)
    two.market.prices["BTCUSDT"] = at_midnight - 6 / holding
    report = tick(two.world, two.plan)
    assert two.ledger.day_start(START + midnight * HOUR) == cash + holding * at_midnight
    assert report.state.state is TradingState.REDUCING


def test_what_was_sold_after_midnight_is_undone_in_the_days_start(tmp_path):
    """A stop went off in the night: the day begins with the coins still held."""
    small = small_world(
        tmp_path, BarsMarket(bars_of(wave())), protection=Protection(stop_loss=0.05)
    )
    first_buy(small)
    book = held(small)
    at_midnight = Decimal(repr(small.market.frames["BTCUSDT"]["close"][71]))
    small.market.stand_at(72)
    small.market.prices["BTCUSDT"] = Decimal(80)
    small.market.now += HOUR / 2
    run_at = small.market.now
    tick(small.world, small.plan)
    assert small.ledger.fills()["time"].max() == run_at
    assert small.ledger.day_start(START + 72 * HOUR) == book.cash + book.holding * at_midnight
    small.ledger.close()


def test_a_fall_from_the_peak_reduces_until_a_person_resumes(tmp_path):
    """The peak begins anew where a person lifted the limit."""
    limits = replace(WIDE, max_drawdown=Decimal("0.05"))
    small = small_world(tmp_path, BarsMarket(bars_of(wave())), limits=limits)
    bar = first_buy(small)
    small.market.prices["BTCUSDT"] = Decimal(80)
    report = run(small, bar + 1)
    assert report.state.reason.startswith("drawdown: equity fell")
    assert run(small, bar + 1 + 24).state.state is TradingState.REDUCING
    small.ledger.set_trading_state(TradingState.ACTIVE, reason="seen", author="me")
    assert run(small, bar + 26).state.state is TradingState.ACTIVE
    small.ledger.close()


def test_an_intent_is_claimed_once(small):
    """One durable claim means one request: a second claim is refused."""
    first_buy(small)
    (order,) = small.ledger.orders().to_dicts()
    with pytest.raises(StoreFailed, match="to be INTENDED; it is FILLED"):
        small.ledger.claim([order["client_order_id"]], START)


def test_a_foreign_order_blocks_its_symbol_until_a_person_accepts_it(small):
    """It is shown at every tick; afterwards it is a person's own business."""
    small.plan = replace(small.plan, allotment_quote=Decimal(400))
    small.broker.inner.submit(limit("50", quantity="0.1", client_order_id="by-hand"))
    bar = first_buy_bar(small)
    report = run(small, bar)
    assert [refused.code for refused in report.refused] == [Refusal.UNRESOLVED_ORDER]
    assert any("open order by-hand is not ours" in note for note in report.notes)
    settle(small)
    report = run(small, bar + 1)
    assert [order.request.side for order in report.orders] == [Side.BUY]
    assert report.refused == ()
    assert "foreign_order_accepted" in [event["event"] for event in small.ledger.audit()]


def test_a_symbol_that_is_not_listed_any_more_does_not_end_the_tick(two):
    """The others are traded; it is named."""
    two.plan = replace(two.plan, studies=(study_key("sma_crossover", "GONEUSDT", "1h"), STUDY))
    first_buy(two)
    report = run(two, 60)
    assert any(note.startswith("GONEUSDT: symbol: GONEUSDT is not listed") for note in report.notes)


def test_a_fee_whose_asset_has_no_price_is_booked_without_a_value(small, monkeypatch):
    """The fill counts, the account's balance of that asset moves, a note says so."""
    honest = small.broker.inner.fills

    def in_points(symbol, after=None):
        return [replace(fill, fee=Decimal(1), fee_asset="PTS") for fill in honest(symbol, after)]

    monkeypatch.setattr(small.broker.inner, "fills", in_points)

    def no_such_pair(symbol, _honest=small.market.price):
        if "PTS" in symbol:
            raise UnknownName("no such symbol")
        return _honest(symbol)

    monkeypatch.setattr(small.market, "price", no_such_pair)
    bar = first_buy_bar(small)
    report = run(small, bar)
    assert held(small).is_open
    assert held(small).fees == 0
    assert any("no listed pair leads from PTS to USDT" in note for note in report.notes)


def test_a_refused_reconciliation_halts_with_the_reason(small, monkeypatch):
    """A key that may not read is no reason to go on."""

    def refused():
        raise ExchangeRejected("account: Invalid API-key", -2015)

    monkeypatch.setattr(small.broker.inner, "account", refused)
    with pytest.raises(ExchangeRejected):
        run(small, 46)
    record = small.ledger.trading_state()
    assert (record.state, record.author) == (TradingState.HALTED, "reconcile")
    assert record.reason.endswith("Invalid API-key; then `thunes resume`")


@pytest.mark.parametrize(("late", "state"), [(2, TradingState.ACTIVE), (99, TradingState.HALTED)])
def test_balances_that_lag_behind_fills_are_looked_at_again_before_trading_halts(
    small, monkeypatch, late, state
):
    """A sale's money is told a moment after its fill: no reason to halt; what stays missing is."""
    first_buy(small)
    honest, paused = small.broker.inner.account, []
    small.ledger.accept_balance("BTC", Decimal(99), START, "planted")

    def lagging():
        if len(paused) >= late:
            small.ledger.accept_balance("BTC", honest().total("BTC"), START, "caught up")
        return honest()

    monkeypatch.setattr(small.broker.inner, "account", lagging)
    report = tick(replace(small.world, pause=paused.append), small.plan)
    assert report.state.state is state
    assert len(paused) == min(late, 3)
    assert any("expected 99" in note for note in report.notes) is (state is TradingState.HALTED)
    again = tick(replace(small.world, pause=paused.append), small.plan)
    assert (again.state.state, len(paused)) == (state, min(late, 3))


def test_what_is_accepted_is_looked_at_again_too(small):
    """A person accepts what stays, not balances that lag: looks without a halt."""
    first_buy(small)
    small.ledger.accept_balance("BTC", Decimal(99), START, "planted")
    paused = []
    with leased(small.world) as journal:
        desk = open_desk(small.world, small.plan, journal, [parse_study(STUDY)])
        assert looked(desk, paused.append).failed
        assert looked(desk, None).failed
    assert len(paused) == 3
    assert small.ledger.trading_state().state is TradingState.ACTIVE
