"""Fees that the exchange takes out of a book's own coins leave that book, on the local testnet."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

import pytest

from tests.thunes_core.trading.test_entry import Stand
from tests.worlds import START, STUDY, WIDE, Champions, bars_of, wave
from thunes_core.adapters.binance.broker import BinanceBroker
from thunes_core.adapters.binance.market import BinanceMarket
from thunes_core.adapters.ledger import open_ledger
from thunes_core.domain.limits import Protection
from thunes_core.domain.portfolio import TradingState
from thunes_core.settings import LOCAL_KEY, LOCAL_SECRET
from thunes_core.testnet.app import serve_in_thread
from thunes_core.testnet.market import replayed_market
from thunes_core.trading.world import TradingPlan, World

BNB = "sma_crossover.BNBUSDT.1h"
TICKS = range(60, 168, 3)


@pytest.fixture(params=[0.0, 0.3], ids=["bare", "stop"])
def stand(request, tmp_path) -> Iterator[Stand]:
    """Trade BNB slowly and BTC quickly where fees are paid in BNB, of which none is spare."""
    market = replayed_market(
        [bars_of(wave(period=160), "BNBUSDT"), bars_of(wave(period=40))], start=START
    )
    with serve_in_thread(market, cash=4000, fee_asset="bnb") as net:
        public, broker = BinanceMarket(net.url), BinanceBroker(net.url, LOCAL_KEY, LOCAL_SECRET)
        ledger = open_ledger(f"sqlite:///{tmp_path / 'l.db'}", synchronous="OFF")
        plan = TradingPlan((BNB, STUDY), 1000, WIDE, Protection(stop_loss=request.param))
        yield Stand(net, World(public, broker, ledger, Champions()), plan)
        for one in (public, broker, ledger):
            one.close()


def held(stand: Stand) -> Decimal:
    """Return what the book of BNB holds."""
    book = stand.world.journal.position("sma_crossover", "BNBUSDT")
    return book.holding if book else Decimal(0)


def refused(stand: Stand) -> list[str]:
    """Return why the exchange refused orders."""
    orders = stand.world.journal.orders().to_dicts()
    return [one["why"] for one in orders if one["status"] == "REJECTED"]


def test_an_exit_goes_through_though_fees_were_paid_in_its_coins(stand):
    """They leave the book, so that it never sells more than there is; a stop keeps them from it."""
    reports = [stand.tick_at(bar) for bar in TICKS]
    notes = [note for report in reports for note in report.notes]
    assert refused(stand) == []
    assert reports[-1].state.state is TradingState.ACTIVE
    if stand.plan.protection.is_off:
        assert "that the account does not hold left the book of sma_crossover" in notes[0]
    else:
        assert notes == []  # what rests is locked: the fees are paid in what is received
    assert held(stand) == stand.world.broker.account().total("BNB")
    sold = [one for one in stand.world.journal.trades().to_dicts() if one["symbol"] == "BNBUSDT"]
    assert [one["reason"] for one in sold] == ["signal"]
