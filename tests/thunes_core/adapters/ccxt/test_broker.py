"""What an order through CCXT proves, answer by answer, at the local testnet."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest
import stamina

from tests.contracts.test_broker import limit, order
from tests.thunes_core.adapters.binance.scripted import Reply, scripted
from tests.worlds import HOUR, START, candles_of
from thunes_core.adapters.binance.listings import Listings
from thunes_core.adapters.ccxt.broker import CcxtBroker
from thunes_core.adapters.ccxt.client import Keys, keys_of
from thunes_core.adapters.ccxt.markets import ALL
from thunes_core.adapters.limiter import WeightLimiter
from thunes_core.domain.orders import OrderStatus, OrderType, TimeInForce
from thunes_core.errors import ExchangeRejected, ExchangeUnavailable, OutcomeUnknown
from thunes_core.settings import LOCAL_KEY, LOCAL_SECRET
from thunes_core.testnet.app import RunningTestnet, serve_in_thread
from thunes_core.testnet.conditions import give
from thunes_core.testnet.faults import Fault
from thunes_core.testnet.faults import FaultKind as K
from thunes_core.testnet.market import replayed_market

ROWS = [(100.0, 104, 98, 103), (103, 110, 102, 109)]
KEYS = Keys(LOCAL_KEY, LOCAL_SECRET)


@pytest.fixture(autouse=True)
def no_waiting() -> Iterator[None]:
    """Repeat reads at once."""
    with stamina.set_testing(True, attempts=3, cap=True):
        yield


@pytest.fixture
def net() -> Iterator[RunningTestnet]:
    """Serve two bars."""
    with serve_in_thread(replayed_market([candles_of(ROWS)], start=START), cash=1000) as running:
        yield running


@pytest.fixture
def broker(net: RunningTestnet, tmp_path) -> Iterator[CcxtBroker]:
    """Reach the account, budget and listings shared in a folder; markets are known already."""
    made = CcxtBroker(
        "binance",
        net.url,
        KEYS,
        WeightLimiter(tmp_path / "weights"),
        Listings(tmp_path / "markets.json"),
    )
    made.open_orders("BTCUSDT")
    yield made
    made.close()


def sent(net: RunningTestnet) -> int:
    """Return how many orders the exchange has taken, by its own books."""
    probe = CcxtBroker("binance", net.url, KEYS)
    try:
        return len(probe.orders_since("BTCUSDT", START - HOUR))
    finally:
        probe.close()


UNKNOWN = [
    (Fault(K.ERROR_AFTER, status=502), 1),
    (Fault(K.ERROR_AFTER, status=504), 1),
    (Fault(K.ERROR, status=503), 0),
    (Fault(K.DROP_AFTER), 1),
    (Fault(K.DROP), 0),
    (Fault(K.GARBAGE), 1),
]


@pytest.mark.parametrize(("fault", "taken"), UNKNOWN, ids=lambda v: str(getattr(v, "kind", v)))
def test_an_answer_that_proves_nothing_leaves_the_outcome_unknown(net, broker, fault, taken):
    """One request leaves, whatever comes back; asking by our id tells what became of it."""
    give(net.exchange, fault)
    with pytest.raises(OutcomeUnknown, match="never repeat"):
        broker.submit(order())
    assert sent(net) == taken
    found = broker.order("BTCUSDT", "th-1")
    assert (found is not None and found.status is OrderStatus.FILLED) is bool(taken)


def test_what_was_dropped_is_not_sent_again_by_the_library(net, broker):
    """A connection cut before the answer: the wire carried one order request, not two."""
    give(net.exchange, Fault(K.DROP_AFTER))
    before = broker.connection.wire.sent
    broker._synced_at = float("inf")
    with pytest.raises(OutcomeUnknown):
        broker.submit(order())
    assert broker.connection.wire.sent == before + 1


def test_a_structured_refusal_is_proof_and_keeps_its_code(net, broker):
    """Nothing exists afterwards."""
    give(net.exchange, Fault(K.REFUSE, code=-2010))
    with pytest.raises(ExchangeRejected) as refused:
        broker.submit(order())
    assert refused.value.code == -2010
    assert sent(net) == 0


def test_asked_to_wait_all_processes_wait(net, broker, tmp_path):
    """HTTP 429 proves that nothing was done; the shared budget is closed by Retry-After."""
    give(net.exchange, Fault(K.THROTTLE, seconds=30))
    with pytest.raises(ExchangeUnavailable, match="asks to wait"):
        broker.submit(order())
    assert sent(net) == 0
    other = WeightLimiter(tmp_path / "weights")
    with pytest.raises(ExchangeUnavailable, match="nothing is sent before"):
        other.reserve(1)


def test_a_ban_sends_nothing_more(net, broker):
    """HTTP 418: the next request does not leave this machine."""
    give(net.exchange, Fault(K.BAN, seconds=300))
    with pytest.raises(ExchangeUnavailable):
        broker.account()
    carried = broker.connection.wire.sent
    with pytest.raises(ExchangeUnavailable, match="banned"):
        broker.submit(order())
    assert broker.connection.wire.sent == carried


def test_a_clock_that_jumped_is_asked_again(net, broker):
    """−1021 to a read: the clock is fetched and the read repeated."""
    broker.account()
    with net.exchange.lock:
        net.exchange.clock.move_to(net.exchange.clock.now_ms() + 40 * 60_000)
    assert broker.account().free("USDT") == Decimal(1000)


def test_an_order_that_ccxt_would_round_is_not_sent(net, broker):
    """CCXT cuts quantities and rounds prices silently; we send exactly what was approved."""
    for quantity, price in (("0.123456", "90"), ("1", "90.123")):
        wanted = order(
            quantity=quantity,
            type=OrderType.LIMIT,
            price=Decimal(price),
            time_in_force=TimeInForce.GTC,
        )
        with pytest.raises(ExchangeRejected, match="not sent") as refused:
            broker.submit(wanted)
        assert refused.value.code == -1111
    assert sent(net) == 0


def test_a_filter_error_makes_everyone_ask_for_the_listings_again(broker, tmp_path):
    """The file that all processes share is gone after it."""
    listings = Listings(tmp_path / "markets.json")
    assert listings.get([ALL]) is not None
    with pytest.raises(ExchangeRejected) as refused:
        broker.submit(order(quantity="0.001"))
    assert refused.value.code == -1013
    assert listings.get([ALL]) is None


def test_so_does_one_inside_the_answer_to_a_replacement(net, broker, tmp_path):
    """The answer as a whole has another code, where the old order was cancelled before."""
    net.exchange.options = replace(net.exchange.options, filters_before_cancel=False)
    listings = Listings(tmp_path / "markets.json")
    broker.submit(limit("90"))
    with pytest.raises(ExchangeRejected, match="-1013") as refused:
        broker.replace("th-1", order(quantity="0.001", client_order_id="th-2"))
    assert refused.value.code == -2021
    assert listings.get([ALL]) is None


def test_a_fresh_process_knows_the_markets_without_asking(net, broker, tmp_path):
    """Listings are read from the shared file."""
    second = CcxtBroker("binance", net.url, KEYS, listings=Listings(tmp_path / "markets.json"))
    second.connection.exchange.load_time_difference()
    before = second.connection.wire.sent
    assert second.markets.unified("BTCUSDT") == "BTC/USDT"
    assert second.connection.wire.sent == before
    second.close()


def test_no_key_and_no_signature_is_ever_shown(net):
    """Not in the object, not in an error: CCXT's own messages carry the signed address."""
    assert "secret" not in repr(Keys("key", "secret"))
    broker = CcxtBroker("binance", net.url, Keys(LOCAL_KEY, "not-the-secret"))
    with pytest.raises(ExchangeRejected) as refused:
        broker.account()
    give(net.exchange, Fault(K.ERROR, on="GET /api/v3/account", status=502, times=9))
    with pytest.raises(ExchangeUnavailable) as failed:
        broker.account()
    for told in (str(refused.value), str(failed.value)):
        assert "signature" not in told.lower() or "for this request is not valid" in told
        assert LOCAL_KEY not in told
    broker.close()


def test_a_private_key_file_wins_over_a_secret(tmp_path):
    """Its text is what CCXT signs with."""
    path = tmp_path / "key.pem"
    path.write_text("-----BEGIN PRIVATE KEY-----\nabc\n-----END PRIVATE KEY-----\n")
    assert "BEGIN PRIVATE KEY" in keys_of("id", "secret", path).secret
    assert keys_of("id", "secret", None).secret == "secret"


def test_another_host_is_never_followed():
    """A redirect would carry key and order elsewhere: unknown, and sent once."""
    with scripted([Reply(307, {}, {"Location": "http://127.0.0.1:9/"})]) as server:
        broker = CcxtBroker("binance", server.url, KEYS)
        broker._synced_at = float("inf")
        broker.connection.exchange.set_markets([])
        with pytest.raises(OutcomeUnknown):
            broker._once(
                "BTCUSDT",
                lambda: [broker.connection.exchange.privatePostOrder({"symbol": "BTCUSDT"})],
                "order x",
            )
        assert len(server.asked) == 1
        broker.close()


def test_the_settle_time_covers_the_receive_window(broker):
    """Later than that no request of ours can reach the matching."""
    assert broker.settle_time >= timedelta(
        milliseconds=broker.connection.exchange.options["recvWindow"]
    )
