"""Which adapter the settings choose; another exchange is never the local one in silence."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from decimal import Decimal

import pytest

from tests.contracts.test_broker import order
from tests.worlds import HOUR, START, bars_of, wave
from thunes_core.adapters.bars.ingest import ingest_window
from thunes_core.adapters.binance.broker import BinanceBroker
from thunes_core.adapters.binance.market import BinanceMarket
from thunes_core.adapters.ccxt.broker import CcxtBroker
from thunes_core.adapters.ccxt.market import CcxtMarket
from thunes_core.clock import SystemClock
from thunes_core.domain.bars import Interval
from thunes_core.domain.limits import LimitEntry
from thunes_core.domain.portfolio import TradingState
from thunes_core.domain.records import Arming
from thunes_core.errors import SettingsInvalid
from thunes_core.settings import Settings, load
from thunes_core.testnet.admin import deposit
from thunes_core.testnet.app import RunningTestnet, serve_in_thread
from thunes_core.testnet.market import replayed_market
from thunes_core.trading import tend
from thunes_pipelines.resources import arming, wiring
from thunes_pipelines.services.stream import follow


@pytest.fixture
def net() -> Iterator[RunningTestnet]:
    """Serve 200 hours, 100 of them closed."""
    with serve_in_thread(replayed_market([bars_of(wave())]), start=START + 100 * HOUR) as running:
        yield running


def through_ccxt(tmp_path, **more: str) -> Settings:
    """Return settings of `ccxt:binance`."""
    return load(home=tmp_path, exchange="ccxt:binance", **more)


def test_binance_and_its_kin_are_reached_directly(tmp_path):
    """No detour through CCXT."""
    for exchange in ("local", "binance", "binance-testnet", "binance-demo"):
        settings = load(home=tmp_path, exchange=exchange)
        assert isinstance(wiring.market(settings), BinanceMarket)
        assert isinstance(wiring.account(settings), BinanceBroker)


def test_how_to_enter_and_to_trail_reach_the_plan(tmp_path):
    """By default at the market, and the trail follows closed bars."""
    usual = wiring.plan(load(home=tmp_path))
    assert (usual.entry, usual.native_trail) == (None, False)
    asked = {"entry": "limit", "entry_limit_offset": "0.01", "trailing_native": "true"}
    plan = wiring.plan(load(home=tmp_path, **asked))
    assert plan.entry == LimitEntry(offset=0.01, timeout_bars=1)
    assert plan.native_trail


def test_ccxt_names_another_exchange_and_its_own_host(tmp_path):
    """Never the local testnet in silence."""
    settings = load(home=tmp_path, exchange="ccxt:kraken")
    market = wiring.market(settings)
    assert isinstance(market, CcxtMarket)
    assert settings.rest_url == ""
    hosts = str(market.connection.exchange.urls["api"])
    assert "kraken.com" in hosts
    assert "127.0.0.1" not in hosts
    market.close()


def test_orders_through_ccxt_go_where_they_were_tried(tmp_path):
    """Binance with keys of one's own; the adapter is CCXT's."""
    keys = {"binance_api_key": "k" * 64, "binance_api_secret": "s" * 64}
    settings = through_ccxt(tmp_path, broker="exchange", **keys)
    assert settings.rest_url == "https://api.binance.com"
    assert isinstance(wiring.broker(settings), CcxtBroker)
    with pytest.raises(SettingsInvalid, match=r"never tried.*paper"):
        load(home=tmp_path, exchange="ccxt:kraken", broker="exchange", **keys)


def test_paper_trades_on_prices_read_through_ccxt(net, tmp_path):
    """Ingestion and the paper account stand on the same market."""
    settings = through_ccxt(tmp_path, binance_rest_url=net.url)
    market, broker = wiring.market(settings), wiring.broker(settings)
    store = wiring.bar_store(settings)
    done = ingest_window(market, store, "BTCUSDT", Interval.H1, START, START + 200 * HOUR)
    assert done.written == 100
    bought = broker.submit(order(quantity="2"))
    assert bought.executed_quote > Decimal(200)
    assert broker.account().free("BTC") > 0
    market.close()


def test_reconciling_halts_where_coins_are_missing_until_it_is_accepted(net, tmp_path):
    """Whoever reconciles finds it: the command as well as what the account's events wake."""
    settings = load(home=tmp_path, binance_rest_url=net.url, broker="exchange")
    wiring.reconcile(settings)
    withdraw = {"asset": "USDT", "amount": "-5"}
    deposit(net.exchange, withdraw)
    for look in (wiring.reconcile, wiring.tend):
        with closing(wiring.ledger(settings)) as ledger:
            ledger.set_trading_state(TradingState.ACTIVE, reason="planted", author="me")
        look(settings)
        with closing(wiring.ledger(settings)) as ledger:
            record = ledger.trading_state()
        assert (record.state, record.author) == (TradingState.HALTED, "reconcile")
        assert "USDT: expected 10000" in record.reason
    wiring.reconcile(settings, accept=True)
    assert wiring.reconcile(settings)["discrepancies"] == []


def test_what_the_accounts_events_wake_is_armed_like_a_tick(tmp_path, monkeypatch):
    """The rest of an entry that was filled in part goes on waiting under the same arming."""
    told = []
    monkeypatch.setattr(tend, "tend", lambda _world, plan: told.append(plan))
    monkeypatch.setattr(arming, "is_needed", lambda _settings: True)
    settings = load(home=tmp_path)
    until = SystemClock().now() + timedelta(hours=1)
    wiring.tend(settings)
    with closing(wiring.ledger(settings)) as ledger:
        ledger.arm(Arming("4711", until, Decimal(500), "me"))
    wiring.tend(settings)
    assert [(plan.armed, plan.identity) for plan in told] == [(False, ""), (True, "4711")]


def test_what_a_real_exchange_weighs_is_shared_through_ccxt_too(net, tmp_path):
    """Budget and listings stand in the files that all processes read."""
    settings = through_ccxt(tmp_path, binance_rest_url=net.url)
    market = wiring.market(settings)
    market.instruments(["BTCUSDT"])
    market.klines("BTCUSDT", Interval.H1, START, START + 5 * HOUR)
    market.close()
    (folder,) = (tmp_path / "shared").iterdir()
    assert {path.name for path in folder.iterdir()} == {"weights", "ccxt-markets.json"}
    budget = wiring._shared(settings)["limiter"].ration()
    assert budget.used >= 20 + 2


def test_the_stream_says_that_it_does_not_read_other_exchanges(tmp_path):
    """Exit code 2 with a way on, before anything is sent."""
    with pytest.raises(SettingsInvalid, match=r"stream: .*ccxt:kraken is read by REST only"):
        follow(load(home=tmp_path, exchange="ccxt:kraken"), lambda _: None)
