"""The account's events on the local testnet: real sockets, signed subscriptions, cuts."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, closing, suppress
from decimal import Decimal

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from tests.worlds import HOUR, START, bars_of, wave
from thunes_core.adapters.binance.broker import BinanceBroker
from thunes_core.adapters.binance.user_socket import subscriber
from thunes_core.adapters.stream.feed import Ended, LinkLost
from thunes_core.adapters.stream.user import CONNECTED, UserOptions, UserStream
from thunes_core.errors import ExchangeUnavailable, LeaseHeld
from thunes_core.settings import LOCAL_KEY, LOCAL_SECRET
from thunes_core.testnet.app import RunningTestnet, serve_in_thread
from thunes_core.testnet.faults import Fault, FaultKind
from thunes_core.testnet.market import replayed_market
from thunes_core.testnet.security import Key

QUICK = UserOptions(
    ask_seconds=0.2, shortest_pause=0.01, longest_pause=0.05, gather_seconds=0.0, again_seconds=0.01
)


@pytest.fixture
def net() -> Iterator[RunningTestnet]:
    """Serve one symbol on a stepped clock."""
    market = replayed_market([bars_of(wave())], start=START + 10 * HOUR)
    with serve_in_thread(market, cash=10_000) as running:
        yield running


@pytest.fixture
def account(net: RunningTestnet) -> Iterator[BinanceBroker]:
    """Reach the testnet's account."""
    with closing(BinanceBroker(net.url, LOCAL_KEY, LOCAL_SECRET)) as broker:
        yield broker


@asynccontextmanager
async def listening(
    account: BinanceBroker, wake: Callable[[Sequence[str]], None]
) -> AsyncIterator[UserStream]:
    """Run a stream that calls `wake`."""
    stream = UserStream(subscriber(account.ws_api_url, account.subscription), wake, QUICK)
    task = asyncio.create_task(stream.run())
    try:
        yield stream
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def until(condition: Callable[[], bool]) -> None:
    """Wait until something is so, at most ten seconds."""
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0.005)


def buy(account: BinanceBroker) -> None:
    """Buy a little, as somebody else would."""
    account.client.create_order(
        symbol="BTCUSDT", side="BUY", type="MARKET", quantity=str(Decimal("0.5"))
    )


def test_an_order_wakes_and_every_connection_does(net, account):
    """The first wake is for what was missed before; then each order's events."""
    woken: list[str] = []

    async def scenario() -> UserStream:
        async with listening(account, woken.extend) as stream:
            await until(lambda: CONNECTED in woken)
            await asyncio.to_thread(buy, account)
            await until(lambda: "executionReport" in woken)
            await until(lambda: "outboundAccountPosition" in woken)
        return stream

    stream = asyncio.run(scenario())
    assert stream.tally.connections == 1
    assert stream.tally.events >= 2


def test_every_reconnect_subscribes_again(net, account):
    """Ten cuts; after each of them an order still wakes."""
    woken: list[str] = []

    async def scenario() -> UserStream:
        async with listening(account, woken.extend) as stream:
            await until(lambda: CONNECTED in woken)
            for number in range(2, 12):
                net.exchange.conditions.drop_streams()
                await until(lambda number=number: stream.tally.connections >= number)
                await until(lambda: CONNECTED in woken)
                woken.clear()
                await asyncio.to_thread(buy, account)
                await until(lambda: "executionReport" in woken)
        return stream

    stream = asyncio.run(scenario())
    assert stream.tally.connections >= 11
    ends = stream.tally.ended
    assert ends.get(Ended.CUT, 0) + ends.get(Ended.SHUTDOWN, 0) >= 10


@pytest.mark.parametrize("told", [False, True])
def test_a_connection_without_subscription_is_left(net, account, told):
    """The exchange says so; where that is lost, it is open and answers: only asking shows it."""

    async def scenario() -> UserStream:
        opened = []

        async def open_link():
            link = await subscriber(account.ws_api_url, account.subscription)()
            opened.append(link)
            return link

        stream = UserStream(open_link, lambda _: None, QUICK)
        task = asyncio.create_task(stream.run())
        await until(lambda: stream.tally.wakes >= 1)
        if not told:
            with net.exchange.lock:
                net.exchange.faults.add(Fault(FaultKind.LOSE_MESSAGE, on="userData"))
        await opened[0]._send("x", "userDataStream.unsubscribe", {})
        await until(lambda: stream.tally.connections >= 2)
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        return stream

    expected = {Ended.SHUTDOWN if told else Ended.SILENT: 1}
    assert asyncio.run(scenario()).tally.ended == expected


def test_a_wake_that_could_not_be_is_made_up_for(net, account):
    """Somebody held the lease, then the exchange was away: the same reasons come again."""
    errors = [LeaseHeld("a tick runs"), ExchangeUnavailable("away")]
    woken: list[str] = []

    def wake(reasons: Sequence[str]) -> None:
        if errors:
            raise errors.pop(0)
        woken.extend(reasons)

    async def scenario() -> UserStream:
        async with listening(account, wake) as stream:
            await until(lambda: CONNECTED in woken)
        return stream

    stream = asyncio.run(scenario())
    assert stream.tally.put_off == 2


def test_a_refused_signature_is_told_without_the_key(net):
    """The sentence names the exchange's reason, neither key nor signature."""
    with closing(BinanceBroker(net.url, LOCAL_KEY, "not the secret")) as account:
        with pytest.raises(LinkLost, match="-1022") as found:
            asyncio.run(subscriber(account.ws_api_url, account.subscription)())
        assert LOCAL_KEY not in str(found.value)


def test_a_dead_host_is_a_lost_link():
    """Nobody answers for the clock."""
    with (
        closing(BinanceBroker("http://127.0.0.1:9", LOCAL_KEY, LOCAL_SECRET)) as account,
        pytest.raises(LinkLost),
    ):
        asyncio.run(subscriber(account.ws_api_url, account.subscription)())


def test_an_ed25519_key_subscribes(tmp_path):
    """The recommended kind of key."""
    key = Ed25519PrivateKey.generate()
    path = tmp_path / "key.pem"
    path.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    market = replayed_market([bars_of(wave())], start=START + 10 * HOUR)
    keys = {"ed-key": Key(public_key_pem=public.decode())}

    async def scenario(account: BinanceBroker) -> None:
        link = await subscriber(account.ws_api_url, account.subscription)()
        await asyncio.to_thread(buy, account)
        text = await asyncio.wait_for(link.receive(), 10)
        assert "subscriptionId" in str(text)
        await link.close()

    with (
        serve_in_thread(market, cash=10_000, keys=keys) as net,
        closing(BinanceBroker(net.url, "ed-key", private_key_file=path)) as account,
    ):
        asyncio.run(scenario(account))
