"""What the exchange limits for this account alone, on the local testnet over HTTP."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from decimal import Decimal

import pytest

from tests.thunes_core.trading.test_entry import Stand
from tests.worlds import START, STUDY, WIDE, Champions, bars_of, wave
from thunes_core.adapters.binance.broker import BinanceBroker
from thunes_core.adapters.binance.market import BinanceMarket
from thunes_core.adapters.ledger import open_ledger
from thunes_core.domain.instrument import MaxAsset
from thunes_core.domain.limits import Protection
from thunes_core.domain.orders import Refusal, Side
from thunes_core.settings import LOCAL_KEY, LOCAL_SECRET
from thunes_core.testnet.app import serve_in_thread
from thunes_core.testnet.faults import Fault, FaultKind
from thunes_core.testnet.market import replayed_market
from thunes_core.trading.world import TradingPlan, World

STOP = Protection(stop_loss=0.05)
NONE = Protection()
MY_FILTERS = "GET /api/v3/myFilters"


@contextmanager
def stood(tmp_path, protection: Protection) -> Iterator[Stand]:
    """Stand on a wave with 1,000 to trade."""
    market = replayed_market([bars_of(wave())], start=START)
    with serve_in_thread(market, cash=2000) as net:
        public, broker = BinanceMarket(net.url), BinanceBroker(net.url, LOCAL_KEY, LOCAL_SECRET)
        ledger = open_ledger(f"sqlite:///{tmp_path / 'l.db'}", synchronous="OFF")
        plan = TradingPlan((STUDY,), Decimal(1000), WIDE, protection)
        yield Stand(net, World(public, broker, ledger, Champions()), plan)
        for one in (public, broker, ledger):
            one.close()


def limit(stand: Stand, asset: str, most: str) -> None:
    """Let the exchange limit an asset."""
    rule = {"filterType": "MAX_ASSET", "asset": asset, "limit": most}
    exchange = stand.net.exchange
    exchange.options = replace(exchange.options, asset_filters=(rule,))


@pytest.mark.parametrize(("asset", "most"), [("USDT", "900"), ("BTC", "8")])
def test_an_entry_above_the_account_s_limit_is_refused_by_its_name(tmp_path, asset, most):
    """Nothing is sent: the gate names MAX_ASSET."""
    with stood(tmp_path, STOP) as stand:
        limit(stand, asset, most)
        refused = [one for bar in range(41, 60) for one in stand.tick_at(bar).refused]
        assert {one.code for one in refused} == {Refusal.FILTER}
        assert all(one.why.startswith("MAX_ASSET: ") and asset in one.why for one in refused)
        assert stand.net.exchange.records.orders("BTCUSDT") == []


@pytest.mark.parametrize(("asset", "most"), [("USDT", "400"), ("BTC", "4")])
@pytest.mark.parametrize("protection", [STOP, NONE], ids=["protected", "bare"])
def test_an_exit_above_the_limit_leaves_in_parts(tmp_path, protection, asset, most):
    """An exit is never refused: no order exceeds the limit, and the position is left."""
    with stood(tmp_path, protection) as stand:
        stand.enter()
        limit(stand, asset, most)
        stand.world.broker._own.forget()
        reports = [stand.tick_at(bar, minute) for bar in range(60, 75) for minute in range(4)]
        assert [one for report in reports for one in report.refused] == []
        (book,) = stand.world.journal.positions()
        assert not book.is_open
        sold = [t for t in stand.net.exchange.records.trades("BTCUSDT") if not t.is_buyer]
        moved = [t.quote if asset == "USDT" else t.quantity for t in sold]
        assert len(sold) >= 3
        assert max(moved) <= Decimal(most)


@pytest.mark.parametrize("kind", [FaultKind.ERROR, FaultKind.DROP, FaultKind.GARBAGE])
def test_a_tick_trades_though_they_cannot_be_read(tmp_path, kind):
    """Entry, protection and exit are those of any other day."""
    with stood(tmp_path, STOP) as stand:
        stand.net.exchange.faults.add(Fault(kind, MY_FILTERS, times=99))
        stand.enter()
        assert len(stand.net.exchange.records.open_orders()) == 1
        fills = [one for bar in range(60, 75) for one in stand.tick_at(bar).fills]
        assert [one.side for one in fills] == [Side.SELL]


def test_a_limit_that_was_not_told_is_learnt_from_a_refusal(tmp_path):
    """The exchange names it; from the next tick on the gate does."""
    with stood(tmp_path, NONE) as stand:
        stand.tick_at(40)
        limit(stand, "USDT", "900")
        sent = [one for bar in range(41, 60) for one in stand.tick_at(bar).orders]
        assert "MAX_ASSET" in sent[0].why
        assert stand.net.exchange.records.orders("BTCUSDT") == []
        told = stand.world.broker.own_filters(["BTCUSDT"])["BTCUSDT"]
        assert MaxAsset("USDT", Decimal(900)) in told
