"""Ed25519 and RSA keys: unmodified clients sign with them, over REST and the WebSocket API."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import ccxt
import orjson
import pytest
import websockets
from binance import AsyncClient
from binance.exceptions import BinanceAPIException
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from tests.thunes_core.testnet.clients import make_client
from tests.thunes_core.testnet.markets import RISING, START_MS, market
from tests.thunes_core.testnet.test_ccxt import pointed
from thunes_core.testnet.app import RunningTestnet, serve_in_thread
from thunes_core.testnet.security import Key

BTC = {"symbol": "BTCUSDT"}
PRIVATE = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
STRANGER = Ed25519PrivateKey.from_private_bytes(bytes(32))
RSA_PRIVATE = rsa.generate_private_key(65537, 2048)
RSA_STRANGER = rsa.generate_private_key(65537, 2048)
AnyKey = Ed25519PrivateKey | rsa.RSAPrivateKey


def public_pem(key: AnyKey) -> str:
    """Return the public half as PEM."""
    raw = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    return raw.decode()


def private_file(folder: Path, key: AnyKey = PRIVATE) -> Path:
    """Write the private half as PEM."""
    path = folder / "key.pem"
    path.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return path


@pytest.fixture()
def guarded() -> Iterator[RunningTestnet]:
    """Serve a testnet that knows one Ed25519 key and no other."""
    keys = {"mine": Key(public_key_pem=public_pem(PRIVATE))}
    with serve_in_thread(market(RISING), keys=keys) as running:
        yield running


def test_client_signs_with_its_private_key(guarded: RunningTestnet, tmp_path: Path) -> None:
    """Reads by query, orders by body, with signs that need encoding in the signature."""
    client = make_client(guarded.url, "mine", None, private_key=private_file(tmp_path))
    for quantity in ("0.1", "0.2", "0.3", "0.4"):
        assert client.order_market_buy(**BTC, quantity=quantity)["status"] == "FILLED"
    assert len(client.get_my_trades(**BTC)) == 4
    client.close_connection()


def test_another_private_key_is_refused(guarded: RunningTestnet, tmp_path: Path) -> None:
    """-1022 for a signature of somebody else's key, and for an HMAC."""
    path = private_file(tmp_path, STRANGER)
    for more in ({"private_key": path}, {"secret": "hmac"}):
        secret = more.pop("secret", None)
        client = make_client(guarded.url, "mine", secret, **more)
        with pytest.raises(BinanceAPIException) as caught:
            client.get_account()
        assert caught.value.code == -1022
        client.close_connection()


def test_async_client_signs_with_its_private_key(guarded: RunningTestnet, tmp_path: Path) -> None:
    """The same asynchronously."""

    async def work() -> Any:
        client = AsyncClient("mine", private_key=private_file(tmp_path))
        client.API_URL = f"{guarded.url}/api"
        try:
            return await client.get_account()
        finally:
            await client.close_connection()

    assert asyncio.run(work())["canTrade"] is True


def test_session_logs_on_once_and_needs_no_more_signatures(guarded: RunningTestnet) -> None:
    """After session.logon requests need a timestamp only; a user stream says when it ends."""
    logon = {"apiKey": "mine", "timestamp": START_MS}
    text = "&".join(f"{k}={logon[k]}" for k in sorted(logon))
    signature = base64.b64encode(PRIVATE.sign(text.encode())).decode()

    async def ask(socket: Any, method: str, **params: Any) -> Any:
        await socket.send(orjson.dumps({"id": 1, "method": method, "params": params}).decode())
        return orjson.loads(await socket.recv())

    async def work() -> list[Any]:
        address = f"ws{guarded.url.removeprefix('http')}/ws-api/v3"
        async with websockets.connect(address) as socket:
            before = await ask(socket, "account.status", timestamp=START_MS)
            state = await ask(socket, "session.logon", **logon, signature=signature)
            account = await ask(socket, "account.status", timestamp=START_MS)
            subscribed = await ask(socket, "userDataStream.subscribe")
            left = await ask(socket, "userDataStream.unsubscribe", subscriptionId=0)
            ended = [orjson.loads(await socket.recv())]
            await ask(socket, "userDataStream.subscribe")
            out = await ask(socket, "session.logout")
            ended.append(orjson.loads(await socket.recv()))
            after = await ask(socket, "account.status", timestamp=START_MS)
            return [before, state, account, subscribed, left, ended, out, after]

    before, state, account, subscribed, left, ended, out, after = asyncio.run(work())
    told = {"e": "eventStreamTerminated", "E": START_MS}
    assert ended == [{"subscriptionId": n, "event": told} for n in (0, 1)]
    assert (out["result"]["userDataStream"], out["result"]["authorizedSince"]) == (False, None)
    assert (before["error"]["code"], after["error"]["code"]) == (-2014, -2014)
    assert state["result"]["apiKey"] == "mine"
    assert "balances" in account["result"]
    assert (subscribed["result"], left["result"]) == ({"subscriptionId": 0}, {})


@pytest.mark.parametrize("client", ["python-binance", "ccxt"])
def test_clients_sign_with_rsa_keys(client: str, tmp_path: Path) -> None:
    """PKCS1 v1.5 over SHA-256, as both clients do it; another key's signature is refused."""
    keys = {"mine": Key(public_key_pem=public_pem(RSA_PRIVATE))}
    with serve_in_thread(market(RISING), keys=keys) as running:
        for key, code in ((RSA_PRIVATE, 0), (RSA_STRANGER, -1022)):
            assert _read_account(client, running.url, private_file(tmp_path, key)) == code


def _read_account(client: str, url: str, path: Path) -> int:
    """Read the account through a client; return 0, or the code it was refused with."""
    if client == "ccxt":
        options = {"fetchMarkets": {"types": ["spot"]}, "adjustForTimeDifference": True}
        made = pointed(
            ccxt.binance({"apiKey": "mine", "secret": path.read_text(), "options": options}), url
        )
        try:
            return 0 if made.private_get_account()["canTrade"] else 1
        except ccxt.AuthenticationError:
            return -1022
        finally:
            made.session.close()
    binance = make_client(url, "mine", None, private_key=path)
    try:
        return 0 if binance.get_account()["canTrade"] else 1
    except BinanceAPIException as error:
        return int(error.code)
    finally:
        binance.close_connection()


@pytest.mark.parametrize("pem", ["nonsense", "elliptic"])
def test_keys_that_are_neither_accept_nothing(pem: str) -> None:
    """A broken or foreign public key refuses every signature."""
    if pem == "elliptic":
        from cryptography.hazmat.primitives.asymmetric import ec

        public = ec.generate_private_key(ec.SECP256R1()).public_key()
        pem = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    assert not Key(public_key_pem=pem).accepts("text", base64.b64encode(b"x" * 64).decode())
