"""What every broker promises (`trading.ports.Broker`): paper, and the testnet by two roads."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from tests.worlds import HOUR, START, BarsMarket, candles_of
from thunes_core.adapters.binance.broker import BinanceBroker
from thunes_core.adapters.binance.market import BinanceMarket
from thunes_core.adapters.binance.names import OrderNames
from thunes_core.adapters.ccxt.broker import CcxtBroker
from thunes_core.adapters.ccxt.client import Keys
from thunes_core.adapters.ccxt.market import CcxtMarket
from thunes_core.adapters.paper import PaperBroker
from thunes_core.clock import to_millis
from thunes_core.domain.limits import Costs
from thunes_core.domain.orders import (
    ApprovedOrder,
    Leg,
    OrderRequest,
    OrderStatus,
    OrderType,
    Side,
    TimeInForce,
)
from thunes_core.errors import ExchangeRejected, ExchangeUnavailable
from thunes_core.settings import LOCAL_KEY, LOCAL_SECRET
from thunes_core.testnet.app import serve_in_thread
from thunes_core.testnet.market import replayed_market

ROWS = [(100.0, 104, 98, 103), (103, 110, 102, 109), (109, 112, 95, 96), (96, 97, 90, 91)]
COSTS = Costs(taker_fee=0.001, maker_fee=0.001, slippage=0.001)


@dataclass
class Bench:
    """A broker on a market whose clock the test moves."""

    broker: Any
    market: Any
    stand_at: Callable[[int], None]


def paper(tmp_path) -> Iterator[Bench]:
    """Stand a paper account on the bars."""
    market = BarsMarket(candles_of(ROWS))
    broker = PaperBroker(tmp_path / "paper.db", market, COSTS, Decimal(1000), synchronous="OFF")
    yield Bench(broker, market, market.stand_at)


def testnet(_tmp_path) -> Iterator[Bench]:
    """Stand an account at the local testnet on the same bars, reached through python-binance."""
    yield from stand(BinanceMarket, lambda url: BinanceBroker(url, LOCAL_KEY, LOCAL_SECRET))


def ccxt(_tmp_path) -> Iterator[Bench]:
    """The same, reached through CCXT."""
    keys = Keys(LOCAL_KEY, LOCAL_SECRET)
    yield from stand(
        lambda url: CcxtMarket("binance", url), lambda url: CcxtBroker("binance", url, keys)
    )


def stand(market_at: Callable[[str], Any], broker_at: Callable[[str], Any]) -> Iterator[Bench]:
    """Serve the bars as a testnet and reach it by both of these."""
    replayed = replayed_market([candles_of(ROWS)], start=START)
    with serve_in_thread(replayed, cash=1000, costs=COSTS) as net:
        public, broker = market_at(net.url), broker_at(net.url)

        def stand_at(bar: int) -> None:
            with net.exchange.lock:
                net.exchange.clock.move_to(to_millis(START + bar * HOUR))
                net.exchange.advance()

        yield Bench(broker, public, stand_at)
        public.close()
        broker.close()


testnet.__test__ = False  # type: ignore[attr-defined] # its name says what it serves


@pytest.fixture(params=[paper, testnet, ccxt], ids=["paper", "testnet", "ccxt"])
def bench(request, tmp_path) -> Iterator[Bench]:
    """Give every test all brokers."""
    yield from request.param(tmp_path)


def order(
    side: Side = Side.BUY, quantity: str = "2", client_order_id: str = "th-1", **more: Any
) -> ApprovedOrder:
    """Return an order of the test."""
    kind = more.pop("type", OrderType.MARKET)
    request = OrderRequest(
        "BTCUSDT", side, kind, Decimal(quantity), client_order_id, Leg.ENTRY, **more
    )
    return ApprovedOrder(request, START)


def limit(price: str, **more: Any) -> ApprovedOrder:
    """Return an approved limit order that rests."""
    return order(type=OrderType.LIMIT, price=Decimal(price), time_in_force=TimeInForce.GTC, **more)


def test_a_market_buy_is_filled_at_once_worse_by_the_slippage(bench):
    """100 × 1.001; what was executed is told in the answer."""
    done = bench.broker.submit(order())
    assert done.status is OrderStatus.FILLED
    assert done.executed_quantity == Decimal(2)
    assert done.executed_quote == Decimal("200.2")
    assert done.client_order_id == "th-1"


def test_fills_carry_our_id_their_fee_and_the_order_they_belong_to(bench):
    """A buy pays its fee in the base asset."""
    done = bench.broker.submit(order())
    (fill,) = bench.broker.fills("BTCUSDT")
    assert (fill.client_order_id, fill.exchange_order_id) == ("th-1", done.exchange_order_id)
    assert (fill.price, fill.quantity, fill.side) == (Decimal("100.1"), Decimal(2), Side.BUY)
    assert (fill.fee, fill.fee_asset, fill.is_maker) == (Decimal("0.002"), "BTC", False)
    assert fill.time == START


def test_a_fresh_object_still_knows_our_id_of_a_fill(bench):
    """After a restart nothing is remembered in the process."""
    bench.broker.submit(order())
    if not isinstance(bench.broker, PaperBroker):
        bench.broker._names = OrderNames()
    (fill,) = bench.broker.fills("BTCUSDT", "-1")
    assert fill.client_order_id == "th-1"


def test_fills_come_after_the_cursor_oldest_first(bench):
    """The cursor itself is not repeated."""
    for number in range(3):
        bench.broker.submit(order(quantity="1", client_order_id=f"th-{number}"))
    all_fills = bench.broker.fills("BTCUSDT")
    assert [f.client_order_id for f in all_fills] == ["th-0", "th-1", "th-2"]
    later = bench.broker.fills("BTCUSDT", all_fills[0].trade_id)
    assert later == all_fills[1:]
    assert bench.broker.fills("BTCUSDT", all_fills[-1].trade_id) == []


def test_the_account_moves_by_what_was_traded(bench):
    """Quote paid, base received less its fee."""
    bench.broker.submit(order())
    account = bench.broker.account()
    assert account.free("USDT") == Decimal("799.8")
    assert account.free("BTC") == Decimal("1.998")
    bench.broker.submit(order(Side.SELL, "1.9", "th-2"))
    account = bench.broker.account()
    assert account.free("BTC") == Decimal("0.098")
    assert account.free("USDT") == Decimal("799.8") + Decimal("1.9") * Decimal("99.9") * Decimal(
        "0.999"
    )


def test_more_than_is_there_cannot_be_sold_or_spent(bench):
    """A structured refusal with Binance's code; nothing changes."""
    for request in (order(Side.SELL, "1"), order(Side.BUY, "11")):
        with pytest.raises(ExchangeRejected) as refused:
            bench.broker.submit(request)
        assert refused.value.code == -2010
    assert bench.broker.account().free("USDT") == Decimal(1000)
    assert bench.broker.fills("BTCUSDT") == []


def test_a_broken_filter_is_refused(bench):
    """Below the minimum notional."""
    with pytest.raises(ExchangeRejected) as refused:
        bench.broker.submit(order(quantity="0.001"))
    assert refused.value.code == -1013


def test_an_order_nobody_sent_is_none(bench):
    """Asking is always allowed."""
    assert bench.broker.order("BTCUSDT", "nobody") is None


def test_an_order_is_found_by_our_id(bench):
    """What the answer said is what the question finds."""
    sent = bench.broker.submit(order())
    found = bench.broker.order("BTCUSDT", "th-1")
    assert found is not None
    assert (found.exchange_order_id, found.status, found.executed_quantity) == (
        sent.exchange_order_id,
        OrderStatus.FILLED,
        Decimal(2),
    )


def test_a_limit_order_rests_and_locks_what_it_would_spend(bench):
    """It is open until its price comes."""
    rest = bench.broker.submit(limit("90"))
    assert rest.status is OrderStatus.NEW
    assert [o.client_order_id for o in bench.broker.open_orders("BTCUSDT")] == ["th-1"]
    assert bench.broker.account().balances["USDT"].locked == Decimal(180)
    assert bench.broker.account().free("USDT") == Decimal(820)


def test_a_resting_limit_order_fills_when_its_price_comes(bench):
    """At its limit, as a maker."""
    bench.broker.submit(limit("99"))
    bench.stand_at(3)
    found = bench.broker.order("BTCUSDT", "th-1")
    assert found is not None
    assert found.status is OrderStatus.FILLED
    (fill,) = bench.broker.fills("BTCUSDT")
    assert (fill.price, fill.is_maker) == (Decimal(99), True)
    assert bench.broker.open_orders() == []
    assert bench.broker.account().balances["USDT"].locked == 0


def test_a_cancelled_order_gives_its_lock_back(bench):
    """Its last state says CANCELED."""
    bench.broker.submit(limit("90"))
    (gone,) = bench.broker.cancel("BTCUSDT", "th-1")
    assert (gone.status, gone.client_order_id) == (OrderStatus.CANCELED, "th-1")
    assert bench.broker.account().free("USDT") == Decimal(1000)
    assert bench.broker.open_orders() == []


def test_cancelling_what_is_not_open_is_refused(bench):
    """There is nothing to cancel."""
    with pytest.raises(ExchangeRejected) as refused:
        bench.broker.cancel("BTCUSDT", "nobody")
    assert refused.value.code == -2011


def test_an_id_is_unique_only_among_open_orders(bench):
    """Refused while the first is open; accepted again after it is filled: no idempotency key."""
    bench.broker.submit(limit("90"))
    with pytest.raises(ExchangeRejected) as refused:
        bench.broker.submit(limit("91"))
    assert refused.value.code == -2010
    bench.broker.cancel("BTCUSDT", "th-1")
    first = bench.broker.submit(order(quantity="1"))
    second = bench.broker.submit(order(quantity="1"))
    assert first.exchange_order_id != second.exchange_order_id
    newest = bench.broker.order("BTCUSDT", "th-1")
    assert newest is not None
    assert newest.exchange_order_id == second.exchange_order_id


def test_money_never_becomes_a_float(bench):
    """Every amount is a Decimal."""
    done = bench.broker.submit(order())
    (fill,) = bench.broker.fills("BTCUSDT")
    amounts = (done.quantity, done.executed_quote, fill.price, fill.fee)
    assert {type(amount) for amount in amounts} == {Decimal}


def test_the_settle_time_is_told(bench):
    """Resolving needs to know how long nothing proves nothing."""
    assert timedelta(0) <= bench.broker.settle_time <= timedelta(minutes=1)


@pytest.mark.parametrize(
    "broker",
    [
        BinanceBroker("http://127.0.0.1:9", LOCAL_KEY, LOCAL_SECRET),
        CcxtBroker("binance", "http://127.0.0.1:9", Keys(LOCAL_KEY, LOCAL_SECRET)),
    ],
    ids=["python-binance", "ccxt"],
)
def test_an_exchange_that_is_not_there_is_unavailable(broker):
    """No connection is proof that nothing was sent."""
    broker._synced_at = float("inf")
    if isinstance(broker, CcxtBroker):
        broker.connection.exchange.set_markets([known_market()])
        broker.markets._by_name = {"BTCUSDT": broker.connection.exchange.markets["BTC/USDT"]}
    with pytest.raises(ExchangeUnavailable, match="nothing was sent"):
        broker.submit(order())
    broker.close()


def known_market() -> dict[str, Any]:
    """Return a market as CCXT tells it."""
    return {
        "id": "BTCUSDT", "symbol": "BTC/USDT", "base": "BTC", "quote": "USDT",
        "spot": True, "type": "spot", "contract": False, "linear": None,
        "precision": {"amount": "0.001", "price": "0.01"}, "limits": {},
        "info": {"orderTypes": ["MARKET"]},
    }  # fmt: skip
