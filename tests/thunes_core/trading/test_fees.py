"""Fees in an asset that is neither bought nor spent: valued, and compared with the account."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

import pytest

from tests.databases import on_every_database
from tests.thunes_core.trading.test_entry import Stand
from tests.thunes_core.trading.test_foreign import look
from tests.worlds import START, STUDY, WIDE, Champions, bars_of, wave
from thunes_core.adapters.binance.broker import BinanceBroker
from thunes_core.adapters.binance.market import BinanceMarket
from thunes_core.adapters.ledger import open_ledger
from thunes_core.domain.limits import Protection
from thunes_core.domain.portfolio import TradingState
from thunes_core.errors import ExchangeRejected
from thunes_core.settings import LOCAL_KEY, LOCAL_SECRET
from thunes_core.testnet.admin import deposit
from thunes_core.testnet.app import serve_in_thread
from thunes_core.testnet.market import replayed_market
from thunes_core.trading.fees import worth
from thunes_core.trading.world import TradingPlan, World

LISTED = {"BNBUSDT": Decimal(600), "EURUSDT": Decimal(2), "BTCUSDT": Decimal(90000)}


def price(symbol: str) -> Decimal:
    """Return the price of a listed symbol."""
    if symbol not in LISTED:
        raise ExchangeRejected("Invalid symbol.", -1121)
    return LISTED[symbol]


@pytest.mark.parametrize(
    ("asset", "quote", "expected"),
    [
        ("BNB", "USDT", Decimal(600)),
        ("USDT", "BTC", Decimal("0.000011111111")),
        ("BNB", "EUR", Decimal(300)),
        ("PTS", "USDT", None),
        ("USDT", "TRY", None),
    ],
    ids=["its own pair", "the pair turned round", "through a third", "unlisted", "unlisted quote"],
)
def test_a_fee_is_valued_by_the_pairs_that_are_listed(asset, quote, expected):
    """600 / 2 = 300 euros where no pair of both is listed; none where nothing leads there."""
    assert worth(asset, quote, "ETH", price) == expected


@pytest.fixture()
def stand(database) -> Iterator[Stand]:
    """Trade BTC alone where fees are paid in BNB, of which there is enough."""
    frames = [bars_of(wave()), bars_of([600.0] * 200, "BNBUSDT")]
    with serve_in_thread(replayed_market(frames, start=START), cash=2000, fee_asset="bnb") as net:
        with net.exchange.lock:
            deposit(net.exchange, {"asset": "BNB", "amount": "5"})
        public, broker = BinanceMarket(net.url), BinanceBroker(net.url, LOCAL_KEY, LOCAL_SECRET)
        ledger = open_ledger(database, synchronous="OFF")
        plan = TradingPlan((STUDY,), Decimal(1000), WIDE, Protection(stop_loss=0.3))
        yield Stand(net, World(public, broker, ledger, Champions()), plan)
        for one in (public, broker, ledger):
            one.close()


def test_the_asset_of_fees_is_compared_from_the_first_fee_on(stand):
    """Every later fee moves what is expected of it, to the last digit."""
    for bar in range(41, 150):
        assert stand.tick_at(bar).notes == ()
    ledger, account = stand.world.journal, stand.world.broker.account()
    assert ledger.fills().height >= 4
    assert set(ledger.fills()["fee_asset"]) == {"BNB"}
    assert ledger.expected_balances()["BNB"] == account.total("BNB") < 5


@on_every_database
def test_what_happens_to_the_asset_of_fees_is_told_and_halts_nothing(stand):
    """No book holds it, and no symbol of ours is concerned."""
    stand.enter()
    stand.tick_at(90)
    with stand.net.exchange.lock:
        stand.net.exchange.wallet.add("BNB", Decimal(-1))
    report = stand.tick_at(91)
    assert report.state.state is TradingState.ACTIVE
    assert any(note.startswith("BNB: expected 4.99") for note in report.notes)
    _, said = look(stand, accepts=True)
    assert [one.split(":")[0] for one in said] == ["BNB"]
    assert stand.tick_at(92).notes == ()
