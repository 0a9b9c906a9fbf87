"""Limits that a tick must look things up for: stop-outs, entries an hour, what moves alike."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

from tests.thunes_core.trading.test_step import first_buy, held, run
from tests.worlds import WIDE, BarsMarket, bars_of, small_world, wave
from thunes_core.domain.limits import Protection
from thunes_core.domain.orders import Refusal
from thunes_core.domain.parameters import study_key
from thunes_core.trading.step import tick

OTHER = study_key("sma_crossover", "AAAUSDT", "1h")


def refusals(small, bars) -> set[Refusal]:
    """Return every code of the ticks at the opens of `bars`."""
    return {refused.code for bar in bars for refused in run(small, bar).refused}


def test_a_stop_out_keeps_entries_waiting_for_a_day(tmp_path):
    """One loss by protection within 24 hours; on the second day it is entered again."""
    limits = replace(WIDE, max_stop_outs=1)
    small = small_world(
        tmp_path,
        BarsMarket(bars_of(wave())),
        protection=Protection(stop_loss=0.02),
        limits=limits,
    )
    bar = first_buy(small)
    small.market.prices["BTCUSDT"] = Decimal(90)
    run(small, bar + 1)
    assert not held(small).is_open
    del small.market.prices["BTCUSDT"]
    assert refusals(small, range(bar + 2, bar + 25)) <= {Refusal.STOP_OUT_GUARD}
    assert small.ledger.trades().height == 1
    run(small, *range(bar + 25, bar + 60))
    assert small.ledger.fills().height > 2
    small.ledger.close()


def test_only_so_many_entries_are_sent_in_an_hour(tmp_path):
    """Two symbols want in at once, one entry an hour is allowed."""
    market = BarsMarket(bars_of(wave()), bars_of(wave(), "AAAUSDT"))
    limits = replace(WIDE, max_entries_per_hour=1)
    small = small_world(tmp_path, market, studies=(OTHER, "x"), limits=limits)
    small.plan = replace(small.plan, studies=(OTHER, OTHER.replace("AAA", "BTC")))
    small.market.stand_at(55)
    report = tick(small.world, small.plan)
    assert [refused.code for refused in report.refused] == [Refusal.ORDER_RATE]
    assert [fill.symbol for fill in report.fills] == ["AAAUSDT"]
    small.ledger.close()


def test_what_moves_alike_shares_one_limit(tmp_path):
    """The same wave twice: together they may hold no more than one of them."""
    market = BarsMarket(bars_of(wave()), bars_of(wave(), "AAAUSDT"))
    limits = replace(WIDE, max_correlated_exposure=Decimal(1500))
    small = small_world(tmp_path, market, studies=(OTHER, "x"), limits=limits)
    small.plan = replace(small.plan, studies=(OTHER, OTHER.replace("AAA", "BTC")))
    small.market.stand_at(55)
    report = tick(small.world, small.plan)
    assert [refused.code for refused in report.refused] == [Refusal.CORRELATED_EXPOSURE]
    small.ledger.close()
