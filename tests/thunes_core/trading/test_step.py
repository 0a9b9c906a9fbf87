"""The tick on a small world: one bar, one decision, at most one order."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import timedelta
from decimal import Decimal

import pytest

from tests.worlds import (
    HOUR,
    START,
    STUDY,
    WIDE,
    BarsMarket,
    Frail,
    Small,
    bars_of,
    candles_of,
    small_world,
    wave,
)
from thunes_core.domain.limits import Protection, RiskLimits
from thunes_core.domain.orders import ApprovedOrder, Fill, Order, OrderStatus, Refusal
from thunes_core.domain.portfolio import TradingState
from thunes_core.errors import (
    ExchangeRejected,
    ExchangeUnavailable,
    LeaseHeld,
    NoChampion,
    OutcomeUnknown,
    RegistryUnavailable,
)
from thunes_core.trading.step import tick


@pytest.fixture()
def small(tmp_path):
    """Return a world on a wave of prices, standing at the first buy of the strategy."""
    made = small_world(tmp_path, BarsMarket(bars_of(wave())))
    made.market.stand_at(46)
    yield made
    made.ledger.close()


def run(small: Small, *bars: int):
    """Tick at the opens of `bars` and return the last report."""
    report = None
    for bar in bars:
        small.market.stand_at(bar)
        report = tick(small.world, small.plan)
    return report


def first_buy(small: Small) -> int:
    """Tick from bar 41 on until something is bought; return that bar."""
    for bar in range(41, 80):
        if run(small, bar).fills:
            return bar
    raise AssertionError("the wave never made the strategy buy")


def held(small: Small):
    """Return the one book."""
    (book,) = small.ledger.positions()
    return book


def test_a_signal_is_bought_and_its_fill_is_booked_in_the_same_tick(small):
    """Decision, order, fill, book and mark are all in the ledger afterwards."""
    first_buy(small)
    assert held(small).is_open
    assert held(small).level == 1.0
    (order,) = small.ledger.orders().to_dicts()
    assert (order["status"], order["side"], order["settled"]) == ("FILLED", "BUY", True)
    assert small.ledger.fills().height == 1
    assert small.ledger.verify_audit().whole


def test_a_second_tick_on_the_same_bar_makes_no_second_order(small):
    """One decision per bar, however often the tick runs."""
    bar = first_buy(small)
    report = run(small, bar, bar, bar)
    assert report.orders == ()
    assert len(small.broker.sent) == 1
    assert small.ledger.decisions().filter(bar=START + (bar - 1) * HOUR).height == 1


def test_the_sum_of_trades_is_the_ledgers_profit(small):
    """To the last digit, when everything is sold."""
    run(small, *range(41, 118))
    trades = small.ledger.trades()
    assert trades.height >= 2
    assert not held(small).is_open
    assert sum(map(Decimal, trades["pnl_text"])) == held(small).cash - 1000
    account = small.broker.account()
    assert account.total("USDT") == held(small).cash


def test_fees_in_base_leave_dust_that_is_sold_later(tmp_path):
    """A buy gives less than its quantity; nothing is lost for it."""
    small = small_world(tmp_path, BarsMarket(bars_of(wave())), fee_in="base")
    run(small, *range(41, 118))
    book, account = held(small), small.broker.account()
    assert small.ledger.trades().height >= 2
    assert book.dust == account.total("BTC")
    assert book.cash == account.total("USDT")
    small.ledger.close()


def test_while_another_tick_holds_the_lease_none_begins(small):
    """Two ticks never trade one account at once."""
    small.ledger.acquire_lease("elsewhere", timedelta(minutes=1))
    with pytest.raises(LeaseHeld, match="elsewhere"):
        tick(small.world, small.plan)


def test_a_tick_that_lost_its_lease_cannot_send(small):
    """The fence: a write under an old lease is refused, and without a claim nothing is sent."""

    class Interrupted:
        def champion(self, study):
            small.ledger.acquire_lease("thunes", timedelta(minutes=1))
            return small.champions.champion(study)

    world = replace(small.world, parameters=Interrupted())
    bar = first_buy(small_copy := small)
    assert bar
    sent = len(small_copy.broker.sent)
    small.market.stand_at(bar + 1)
    with pytest.raises(LeaseHeld, match="another tick took over"):
        tick(world, small.plan)
    assert len(small.broker.sent) == sent


def test_an_order_of_unknown_outcome_is_asked_for_and_never_sent_again(small):
    """The request was executed although the answer was lost: the next tick finds it."""
    small.broker.script = [("after", OutcomeUnknown("timeout"))]
    run(small, *range(41, 60))
    assert len(set(small.broker.sent)) == len(small.broker.sent)
    assert small.ledger.orders()["status"].to_list()[0] == "FILLED"
    assert held(small).is_open


def test_an_unknown_order_blocks_entries_and_then_counts_as_not_executed(small):
    """After the settle time and a second look it is dropped, and the next bar decides afresh."""
    small.broker.script = [("before", OutcomeUnknown("timeout"))]
    small.broker.settle_time = 2 * HOUR
    bar = first_buy_sent(small)
    statuses = []
    for later in range(bar + 1, bar + 5):
        run(small, later)
        statuses.append(small.ledger.orders()["status"].to_list()[0])
    assert statuses == ["UNKNOWN", "UNKNOWN", "REJECTED", "REJECTED"]
    codes = [c for c in small.ledger.orders()["code"].to_list() if c]
    assert codes == ["not_executed", "unresolved_order", "unresolved_order"]
    assert held(small).is_open


def first_buy_sent(small: Small) -> int:
    """Tick until something is sent; return that bar."""
    for bar in range(41, 80):
        run(small, bar)
        if small.broker.sent:
            return bar
    raise AssertionError("nothing was sent")


def test_a_rejection_is_recorded_with_its_code_and_changes_nothing(small):
    """A structured refusal proves that nothing was done."""
    small.broker.script = [("before", ExchangeRejected("no", -2010))]
    first_buy_sent(small)
    (order,) = small.ledger.orders().to_dicts()
    assert (order["status"], order["code"], order["settled"]) == ("REJECTED", "-2010", True)
    assert not held(small).is_open


def test_an_exit_that_failed_is_tried_again_within_the_bar(small):
    """The next tick of the same bar sends a new attempt under a new id."""
    bar = first_buy(small)
    small.broker.script = [("before", ExchangeUnavailable("no connection"))]
    while held(small).is_open and len(small.broker.sent) < 2:
        bar += 1
        run(small, bar)
    assert held(small).is_open
    run(small, bar)
    assert not held(small).is_open
    assert len(set(small.broker.sent)) == 3


@dataclass
class Noted(Frail):
    """A broker that notes when fills were read and orders sent."""

    asked: list[str] = field(default_factory=list)

    def fills(self, symbol: str, after_trade_id: str | None = None) -> list[Fill]:
        self.asked.append("fills")
        return super().fills(symbol, after_trade_id)

    def submit(self, approved: ApprovedOrder) -> Order:
        self.asked.append("submit")
        return super().submit(approved)


def test_an_exit_that_nothing_protects_waits_for_no_question_about_fills(small):
    """Reconciling booked them all; no stop can have sold since, and its own are read afterwards."""
    bar, noted = first_buy(small), Noted(small.broker.inner)
    small.broker = noted
    while held(small).is_open:
        noted.asked.clear()
        bar += 1
        run(small, bar)
    sent = noted.asked.index("submit")
    assert noted.asked[:sent] == ["fills"]
    assert "fills" in noted.asked[sent:]


def test_a_crash_between_claim_and_record_is_resolved_by_asking(small):
    """The process died after the exchange executed; the next tick adopts the order."""
    small.broker.script = [("after", KeyboardInterrupt())]
    with pytest.raises(KeyboardInterrupt):
        run(small, *range(41, 60))
    (order,) = small.ledger.open_orders()
    assert order.status is OrderStatus.SUBMITTED
    report = tick(small.world, small.plan)
    assert any("found at the exchange" in note for note in report.notes)
    assert held(small).is_open
    assert len(small.broker.sent) == 1


def test_fills_that_cannot_be_read_yet_hold_back_the_next_order(small):
    """The exchange says filled, its list of trades lags: nothing is decided on half a truth."""
    small.broker.hide_fills = 0
    bar = first_buy_after_hiding(small)
    (order,) = small.ledger.open_orders()
    assert (order.status, order.booked_quantity) == (OrderStatus.FILLED, Decimal(0))
    small.broker.hide_fills = 0
    run(small, bar + 1)
    assert held(small).is_open
    assert small.ledger.open_orders() == []


def first_buy_after_hiding(small: Small) -> int:
    """Tick with hidden fills until something is sent; return that bar."""
    for bar in range(41, 80):
        small.market.stand_at(bar)
        small.broker.hide_fills = 3
        tick(small.world, small.plan)
        if small.broker.sent:
            return bar
    raise AssertionError("nothing was sent")


def test_an_unreachable_registry_is_replaced_by_the_remembered_champion(small):
    """The ledger keeps the last known good copy; the report says so."""
    first_buy(small)
    small.champions.error = RegistryUnavailable("MLflow is down")
    report = run(small, *range(55, 70))
    assert any("as remembered" in note for note in report.notes)
    assert not held(small).is_open


def test_without_a_champion_nothing_is_decided(small):
    """A study that nobody promoted is left alone, with a note."""
    small.champions.error = NoChampion("nobody was promoted")
    report = run(small, 46)
    assert report.decisions == ()
    assert report.notes == (f"{STUDY}: nobody was promoted",)


def test_a_withdrawn_champion_still_looks_after_what_is_held(small):
    """No champion is no reason to sit on a position."""
    first_buy(small)
    small.champions.error = NoChampion("withdrawn")
    run(small, *range(55, 70))
    assert not held(small).is_open


def test_a_stale_bar_is_not_entered_on(small):
    """Newest bar older than one interval and the grace: the entry is refused with its code."""
    bar = first_buy_bar(small)
    small.market.now = START + bar * HOUR + HOUR + timedelta(seconds=61)
    frozen = small.market.frames["BTCUSDT"].head(bar)
    small.market.frames["BTCUSDT"] = frozen
    small.market.prices["BTCUSDT"] = Decimal(100)
    report = tick(small.world, small.plan)
    assert [refused.code for refused in report.refused] == [Refusal.STALE_BAR]


def first_buy_bar(small: Small) -> int:
    """Return the bar at whose open the strategy wants to buy, without ticking there."""
    from thunes_core.strategies.base import build

    bars = small.market.frames["BTCUSDT"]
    targets = build("sma_crossover", {"fast": 5, "slow": 20}).target_exposure(bars).to_list()
    return next(i for i in range(41, 90) if targets[i - 1] == 1.0)


def test_the_daily_loss_limit_reduces_and_the_next_day_is_free(tmp_path):
    """REDUCING by `risk`, with the reason; the exit goes through; 00:00 UTC sets ACTIVE again."""
    limits = replace(WIDE, daily_loss_quote=Decimal(5))
    small = small_world(tmp_path, BarsMarket(bars_of(wave())), limits=limits)
    first_buy(small)
    small.market.prices["BTCUSDT"] = Decimal(50)
    report = run(small, 56)
    assert report.state.state is TradingState.REDUCING
    assert report.state.author == "risk"
    assert "daily_loss" in report.state.reason
    del small.market.prices["BTCUSDT"]
    run(small, *range(57, 70))
    assert not held(small).is_open
    assert run(small, 72).state.state is TradingState.ACTIVE
    small.ledger.close()


def test_halted_sends_nothing_and_resuming_lets_the_exit_through(small):
    """HALTED refuses even exits; once a person resumes, the same bar's exit is tried again."""
    bar = first_buy(small)
    small.ledger.set_trading_state(TradingState.HALTED, reason="look", author="me")
    report = run(small, *range(bar + 1, 70))
    assert held(small).is_open
    assert report.state.state is TradingState.HALTED
    small.ledger.set_trading_state(TradingState.ACTIVE, reason="fine", author="me")
    run(small, 69)
    assert not held(small).is_open


def test_coins_that_are_missing_halt_trading(small):
    """The books hold what the account does not: a person must look."""
    first_buy(small)
    small.ledger.accept_balance("BTC", Decimal(99), START, "planted")
    report = run(small, 55)
    assert report.state.state is TradingState.HALTED
    assert report.state.author == "reconcile"
    assert "BTC" in report.state.reason


def test_a_deposit_blocks_entries_until_it_is_accepted(small):
    """More than expected is shown and holds back new entries; trading is not halted."""
    run(small, 41)
    small.ledger.accept_balance("USDT", Decimal(1), START, "planted")
    bar = first_buy_bar(small)
    report = run(small, bar)
    assert report.state.state is TradingState.ACTIVE
    assert [refused.code for refused in report.refused] == [Refusal.UNRESOLVED_ORDER]


def test_a_stop_between_bars_is_taken_at_the_next_tick(tmp_path):
    """The latest price fell through the stop: the position is closed in the same bar."""
    small = small_world(
        tmp_path, BarsMarket(bars_of(wave())), protection=Protection(stop_loss=0.05)
    )
    bar = first_buy(small)
    small.market.now += timedelta(minutes=10)
    small.market.prices["BTCUSDT"] = Decimal(90)
    tick(small.world, small.plan)
    assert not held(small).is_open
    assert held(small).blocked
    assert small.ledger.trades()["reason"].to_list() == ["stop_loss"]
    del small.market.prices["BTCUSDT"]
    run(small, bar + 1, bar + 2)
    assert not held(small).is_open
    small.ledger.close()


def test_a_tick_without_bars_says_so(tmp_path):
    """A market that has not begun yet is a note, not a crash."""
    small = small_world(tmp_path, BarsMarket(candles_of([(1, 1, 1, 1)])))
    report = tick(small.world, small.plan)
    assert report.notes == (f"{STUDY}: no closed bars",)
    small.ledger.close()


def test_the_report_is_kept_and_can_be_read_back(small):
    """`last_tick` is the newest report as plain values."""
    report = run(small, 46)
    assert small.ledger.last_tick() == report.as_dict()
    (mark,) = small.ledger.equity().to_dicts()
    assert Decimal(mark["equity_text"]) == report.equity


def test_limits_refuse_with_their_code_and_the_order_is_kept(tmp_path):
    """A refused order is a row with its reason, and nothing is sent."""
    limits = RiskLimits(max_order_notional=Decimal(10))
    small = small_world(tmp_path, BarsMarket(bars_of(wave())), limits=limits)
    report = run(small, first_buy_bar(small))
    assert [refused.code for refused in report.refused] == [Refusal.ORDER_NOTIONAL]
    (order,) = small.ledger.orders().to_dicts()
    assert (order["status"], order["code"]) == ("REFUSED", "order_notional")
    assert small.broker.sent == []
    small.ledger.close()
