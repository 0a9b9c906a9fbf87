"""Trades of an account with a history: orders are asked for their names only where it matters."""

from __future__ import annotations

from decimal import Decimal

import pytest

from tests.contracts.test_broker import COSTS, ROWS, order
from tests.worlds import START, BarsMarket, bars_of, candles_of, small_world, wave
from thunes_core.adapters.binance.broker import BinanceBroker
from thunes_core.adapters.ccxt.broker import CcxtBroker
from thunes_core.adapters.ccxt.client import Keys
from thunes_core.domain.orders import ApprovedOrder, Leg, OrderRequest, OrderType, Side
from thunes_core.domain.portfolio import TradingState
from thunes_core.errors import ExchangeUnavailable
from thunes_core.settings import LOCAL_KEY, LOCAL_SECRET
from thunes_core.testnet.app import serve_in_thread
from thunes_core.testnet.faults import Fault, FaultKind
from thunes_core.testnet.market import replayed_market
from thunes_core.trading.step import tick

ASKED = "GET /api/v3/order"


@pytest.fixture()
def net():
    """Serve an account that traded before: three orders that nobody here knows."""
    market = replayed_market([candles_of(ROWS)], start=START)
    with serve_in_thread(market, cash=1000, costs=COSTS) as net:
        earlier = BinanceBroker(net.url, LOCAL_KEY, LOCAL_SECRET)
        for number in range(3):
            earlier.submit(order(quantity="1", client_order_id=f"th-{number}"))
        earlier.close()
        yield net


def through_binance(url: str) -> BinanceBroker:
    """Return a broker that knows no order yet."""
    return BinanceBroker(url, LOCAL_KEY, LOCAL_SECRET)


def through_ccxt(url: str) -> CcxtBroker:
    """The same through CCXT."""
    return CcxtBroker("binance", url, Keys(LOCAL_KEY, LOCAL_SECRET))


@pytest.mark.parametrize("reach", [through_binance, through_ccxt])
def test_the_first_look_asks_for_no_order(net, reach):
    """An account of years has thousands: one request each would use up the weight of minutes."""
    broker = reach(net.url)
    net.exchange.faults.add(Fault(FaultKind.REFUSE, on=ASKED, code=-1003, times=0))
    assert [fill.client_order_id for fill in broker.fills("BTCUSDT")] == ["", "", ""]
    broker.close()


@pytest.mark.parametrize("reach", [through_binance, through_ccxt])
def test_later_looks_name_every_order(net, reach):
    """Beyond the cursor an order may be ours, and of another process."""
    broker = reach(net.url)
    names = [fill.client_order_id for fill in broker.fills("BTCUSDT", "-1")]
    assert names == ["th-0", "th-1", "th-2"]
    broker.close()


@pytest.mark.parametrize("reach", [through_binance, through_ccxt])
def test_a_trade_whose_order_is_not_shown_yet_is_a_read_that_lags(net, reach):
    """It is asked again later; it is no refusal, for which trading would halt."""
    broker = reach(net.url)
    net.exchange.faults.add(Fault(FaultKind.REFUSE, on=ASKED, code=-2013))
    with pytest.raises(ExchangeUnavailable, match="as a trade of it is; it is not yet; try again"):
        broker.fills("BTCUSDT", "-1")
    broker.close()


def test_a_history_that_is_not_ours_costs_one_commit(tmp_path):
    """At the first look the cursor is set once, behind all of it; nothing is foreign."""
    small = small_world(tmp_path, BarsMarket(bars_of(wave())))
    small.market.stand_at(30)
    for number in range(20):
        side = Side.SELL if number % 2 else Side.BUY
        asked = OrderRequest(
            "BTCUSDT", side, OrderType.MARKET, Decimal(1), f"old-{number}", Leg.ENTRY
        )
        small.broker.inner.submit(ApprovedOrder(asked, START))
    commits, honest = [], type(small.ledger).set_cursor

    def counted(ledger, symbol, trade_id):
        commits.append(trade_id)
        honest(ledger, symbol, trade_id)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(type(small.ledger), "set_cursor", counted)
        report = tick(small.world, small.plan)
    newest = small.broker.inner.fills("BTCUSDT")[-1].trade_id
    assert commits == [newest] == [small.ledger.cursor("BTCUSDT")]
    assert report.state.state is TradingState.ACTIVE
    assert not any("not ours" in note for note in report.notes)
    small.ledger.close()
