"""The limit on the number of requests, however light: 429 with Retry-After, then 418."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from binance import Client
from binance.exceptions import BinanceAPIException

from tests.thunes_core.testnet.markets import RISING, market
from thunes_core.adapters.binance.market import BinanceMarket
from thunes_core.adapters.limiter import WeightLimiter
from thunes_core.errors import AskedToWait
from thunes_core.testnet.app import RunningTestnet, serve_in_thread
from thunes_core.testnet.limits import BAN_AFTER_REFUSALS, RateLimits

ALLOWED = 20
WINDOW_MS = 5 * 60_000


@pytest.fixture()
def running() -> Iterator[RunningTestnet]:
    """Serve an exchange that takes few requests in five minutes; its clock stands."""
    with serve_in_thread(market(RISING)) as testnet:
        exchange = testnet.exchange
        exchange.limits = RateLimits(exchange.clock, raw=ALLOWED)
        yield testnet


def refused(client: Client) -> BinanceAPIException:
    """Return the refusal of the lightest request there is."""
    with pytest.raises(BinanceAPIException) as told:
        client.ping()
    return told.value


def test_more_requests_than_allowed_are_refused_until_the_window_ends(running, client):
    """Their weight is far below its limit; the next five minutes begin anew."""
    for _ in range(ALLOWED):
        assert client.ping() == {}
    error = refused(client)
    assert (error.status_code, error.code) == (429, -1003)
    assert error.message == "Too many requests queued."
    assert int(client.response.headers["Retry-After"]) == WINDOW_MS // 1000
    assert int(client.response.headers["x-mbx-used-weight-1m"]) <= 2 * ALLOWED
    with running.exchange.lock:
        running.exchange.clock.move_to(running.exchange.clock.now_ms() + WINDOW_MS)
    assert client.ping() == {}


def test_the_limit_is_published_and_ignoring_it_bans(client):
    """The listings name it; thirty refusals that are not heeded end in 418."""
    (published,) = (
        limit
        for limit in client.get_exchange_info()["rateLimits"]
        if limit["rateLimitType"] == "RAW_REQUESTS"
    )
    asked = {"rateLimitType": "RAW_REQUESTS", "interval": "MINUTE", "intervalNum": 5}
    assert published == {**asked, "limit": ALLOWED}
    for _ in range(ALLOWED - 1):
        client.ping()
    statuses = [refused(client).status_code for _ in range(BAN_AFTER_REFUSALS + 1)]
    assert statuses == [429] * BAN_AFTER_REFUSALS + [418]


def test_our_own_client_waits_for_all_processes_when_it_is_refused(running, tmp_path: Path):
    """After the first 429 nothing is sent any more, by whoever shares the budget."""
    one, other = (
        BinanceMarket(running.url, limiter=WeightLimiter(tmp_path / "weights")) for _ in range(2)
    )
    with pytest.raises(AskedToWait):
        for _ in range(ALLOWED + 1):
            one.server_time()
    counted = running.exchange.limits._raw.count
    for each in (one, other):
        with pytest.raises(AskedToWait):
            each.server_time()
        each.close()
    assert running.exchange.limits._raw.count == counted
