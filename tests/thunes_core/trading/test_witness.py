"""A wiped test network, or another account: the ledger's trades are not there; local testnet."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal

import pytest

from tests.databases import on_every_database
from tests.thunes_core.trading.test_entry import Stand
from tests.thunes_core.trading.test_foreign import look
from tests.worlds import START, STUDY, WIDE, Champions, bars_of, wave
from thunes_core.adapters.binance.broker import BinanceBroker
from thunes_core.adapters.binance.market import BinanceMarket
from thunes_core.adapters.ledger import Ledger, open_ledger
from thunes_core.domain.portfolio import TradingState
from thunes_core.errors import AnswerIsNo
from thunes_core.settings import LOCAL_KEY, LOCAL_SECRET
from thunes_core.testnet.admin import deposit
from thunes_core.testnet.app import serve_in_thread
from thunes_core.testnet.market import replayed_market
from thunes_core.trading.world import TradingPlan, World


@contextmanager
def served(ledger: Ledger) -> Iterator[Stand]:
    """Serve an account that has never traded, and trade it with `ledger`."""
    with serve_in_thread(replayed_market([bars_of(wave())], start=START), cash=2000) as net:
        public, broker = BinanceMarket(net.url), BinanceBroker(net.url, LOCAL_KEY, LOCAL_SECRET)
        plan = TradingPlan((STUDY,), Decimal(1000), WIDE)
        yield Stand(net, World(public, broker, ledger, Champions()), plan)
        public.close()
        broker.close()


@pytest.fixture()
def ledger(database) -> Iterator[Ledger]:
    """Return a ledger that outlives its testnet."""
    made = open_ledger(database, synchronous="OFF")
    yield made
    made.close()


@pytest.mark.parametrize(
    ("database", "until"),
    [("sqlite", 50), ("sqlite", 90), ("postgres", 50)],
    ids=["a position is held", "nothing is held", "held, on PostgreSQL"],
    indirect=["database"],
)
def test_a_wiped_test_network_halts_and_is_not_accepted(ledger, until):
    """Its trade ids begin anew: what comes would be taken for what is booked."""
    with served(ledger) as before:
        for bar in range(41, until):
            before.tick_at(bar)
    with served(ledger) as after:
        report = after.tick_at(until)
        assert report.state.state is TradingState.HALTED
        assert report.state.reason.startswith("BTCUSDT: the exchange does not show the newest")
        assert report.state.reason in report.notes
        with pytest.raises(AnswerIsNo, match=r"nothing is accepted; .* another THUNES_HOME"):
            look(after, accepts=True)


@on_every_database
def test_a_deposit_to_the_same_account_is_no_strange_account(ledger):
    """The newest trade is shown: it may be accepted."""
    with served(ledger) as stand:
        stand.enter()
        stand.tick_at(90)
        with stand.net.exchange.lock:
            deposit(stand.net.exchange, {"asset": "USDT", "amount": "7"})
        assert stand.tick_at(91).state.state is TradingState.ACTIVE
        assert look(stand, accepts=True)[1] == ["USDT: accepted, the account holds " + total(stand)]
        assert stand.tick_at(92).notes == ()


def total(stand: Stand) -> str:
    """Return what the account holds of the quote asset."""
    return format(stand.world.broker.account().total("USDT"), "f")
