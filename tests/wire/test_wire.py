"""A connection that breaks around an order: one order per decision, ledger equal, protected."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import pytest

from tests.crash.trials import BARS, BUY_AT, SELL_AT, assert_ledger_is_the_exchange
from tests.wire.proxy import Break, Wire, wire_before
from tests.worlds import HOUR, START, STUDY, WIDE, Champions
from thunes_core.adapters.binance.broker import BinanceBroker
from thunes_core.adapters.binance.market import BinanceMarket
from thunes_core.adapters.ledger import Ledger, open_ledger
from thunes_core.clock import to_millis
from thunes_core.domain.limits import Protection
from thunes_core.settings import LOCAL_KEY, LOCAL_SECRET
from thunes_core.testnet.app import RunningTestnet, serve_in_thread
from thunes_core.testnet.market import replayed_market
from thunes_core.trading.step import tick
from thunes_core.trading.world import TradingPlan, World

PATIENCE_SECONDS = 1.0
TRAIL = Protection(trailing_stop=0.04)
STAGES = {
    "entry": (BUY_AT, 1, "POST /api/v3/order"),
    "protection": (BUY_AT, 2, "POST /api/v3/order"),
    "exit": (SELL_AT, 1, "POST /api/v3/order/cancelReplace"),
}


@dataclass
class Trial:
    """One exchange behind one wire, and one ledger."""

    net: RunningTestnet
    wire: Wire
    world: World
    ledger: Ledger

    def tick(self, bar: int, minute: int = 0) -> Any:
        """Tick `minute` minutes after the open of `bar`."""
        with self.net.exchange.lock:
            self.net.exchange.clock.move_to(to_millis(START + bar * HOUR) + minute * 60_000)
            self.net.exchange.advance()
        return tick(self.world, TradingPlan((STUDY,), Decimal(1000), WIDE, TRAIL))

    def decided(self) -> list[str]:
        """Return the sides of the orders that decisions made, as the exchange took them."""
        taken = self.net.exchange.records.orders("BTCUSDT")
        return [str(o.asked.side) for o in taken if o.asked.type == "MARKET"]

    def is_guarded(self) -> bool:
        """True when nothing is held, or exactly one stop rests for it."""
        held = self.net.exchange.wallet.total("BTC") >= Decimal("0.001")
        resting = [str(o.asked.type) for o in self.net.exchange.records.open_orders()]
        return resting == (["STOP_LOSS"] if held else [])


@pytest.fixture()
def trial(tmp_path) -> Iterator[Trial]:
    """Put an unmodified client behind the wire; it waits one second for an answer."""
    with (
        serve_in_thread(replayed_market([BARS], start=START), cash=1000) as net,
        wire_before(net.url) as wire,
    ):
        broker = BinanceBroker(wire.url, LOCAL_KEY, LOCAL_SECRET)
        broker.entry_lists = ()
        broker.client._requests_params = {"timeout": (3.05, PATIENCE_SECONDS)}
        market = BinanceMarket(net.url)
        ledger = open_ledger(f"sqlite:///{tmp_path / 'ledger.db'}", synchronous="OFF")
        yield Trial(net, wire, World(market, broker, ledger, Champions()), ledger)
        broker.close()
        market.close()
        ledger.close()


@pytest.mark.parametrize("kind", Break)
@pytest.mark.parametrize("stage", STAGES)
def test_a_broken_connection_around_an_order_is_asked_after_and_never_sent_again(
    trial, stage, kind
):
    """One order per decision; the clean ticks find it, protect what is held, and sell it once."""
    bar, nth, request = STAGES[stage]
    if stage == "exit":
        trial.tick(BUY_AT)
    trial.wire.strike(kind, nth)
    trial.tick(bar)
    assert trial.wire.over.wait(timeout=20)
    assert trial.wire.struck == [request]
    trial.tick(bar, 1)
    if kind is not Break.RESET_BEFORE:  # what never arrived is looked for twice
        assert_ledger_is_the_exchange(trial.ledger, trial.net)
    trial.tick(bar, 2)
    assert_ledger_is_the_exchange(trial.ledger, trial.net)
    assert trial.is_guarded()
    for later in sorted({BUY_AT + 1, SELL_AT, SELL_AT + 1} - set(range(bar + 1))):
        trial.tick(later)
        assert trial.is_guarded()
    assert trial.decided() == ["BUY", "SELL"]
    assert trial.ledger.trades().height == 1
    assert_ledger_is_the_exchange(trial.ledger, trial.net)
