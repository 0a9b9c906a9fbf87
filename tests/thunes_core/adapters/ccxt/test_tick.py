"""The tick through CCXT: an order of unknown outcome is asked after and never sent again."""

from __future__ import annotations

from decimal import Decimal

import pytest
import stamina

from tests.worlds import HOUR, START, STUDY, WIDE, Champions, bars_of, wave
from thunes_core.adapters.ccxt.broker import CcxtBroker
from thunes_core.adapters.ccxt.client import Keys
from thunes_core.adapters.ccxt.market import CcxtMarket
from thunes_core.adapters.ledger import open_ledger
from thunes_core.clock import to_millis
from thunes_core.domain.limits import Costs, Protection
from thunes_core.domain.orders import OrderStatus
from thunes_core.settings import LOCAL_KEY, LOCAL_SECRET
from thunes_core.testnet.app import serve_in_thread
from thunes_core.testnet.conditions import give
from thunes_core.testnet.faults import Fault, FaultKind
from thunes_core.testnet.market import replayed_market
from thunes_core.trading.step import tick
from thunes_core.trading.world import TradingPlan, World

LOST = [
    Fault(FaultKind.DROP_AFTER, times=2),
    Fault(FaultKind.ERROR_AFTER, status=504, times=2),
    Fault(FaultKind.GARBAGE, times=2),
]


@pytest.mark.slow
@pytest.mark.parametrize("fault", LOST, ids=lambda fault: str(fault.kind))
def test_a_lost_answer_never_doubles_an_order(fault, tmp_path):
    """Entry and exit lose their answers: adopted at the next tick, one order each, all booked."""
    costs = Costs()
    replayed = replayed_market([bars_of(wave())], start=START)
    with (
        stamina.set_testing(True, attempts=2, cap=True),
        serve_in_thread(replayed, cash=1000, costs=costs) as net,
    ):
        keys = Keys(LOCAL_KEY, LOCAL_SECRET)
        market = CcxtMarket("binance", net.url)
        broker = CcxtBroker("binance", net.url, keys)
        ledger = open_ledger(f"sqlite:///{tmp_path / 'ledger.db'}", synchronous="OFF")
        plan = TradingPlan((STUDY,), Decimal(1000), WIDE, Protection(), costs)
        give(net.exchange, fault)
        notes = []
        for bar in range(44, 76):
            with net.exchange.lock:
                net.exchange.clock.move_to(to_millis(START + bar * HOUR))
                net.exchange.advance()
            report = tick(World(market, broker, ledger, Champions()), plan)
            notes += report.notes
        orders = broker.orders_since("BTCUSDT", START)
        books = {r["client_order_id"]: r["status"] for r in ledger.orders().iter_rows(named=True)}
        assert sum("never repeat" in note for note in notes) == 2
        assert [order.status for order in orders] == [OrderStatus.FILLED] * 2
        assert {order.client_order_id: "FILLED" for order in orders} == books
        (book,) = ledger.positions()
        assert book.quantity == 0
        assert book.cash == broker.account().total("USDT")
        ledger.close()
        market.close()
        broker.close()
