"""Reads through python-binance: named errors, few attempts, no host but the one given."""

from __future__ import annotations

import asyncio
import gc
import threading
import warnings
from collections.abc import Iterator

import pytest
import stamina
from requests import TooManyRedirects

from tests.thunes_core.adapters.binance.scripted import Reply, scripted
from thunes_core.adapters.binance.classify import classify
from thunes_core.adapters.binance.client import make_client, read
from thunes_core.adapters.binance.failures import short
from thunes_core.errors import (
    ExchangeRejected,
    ExchangeUnavailable,
    OutcomeUnknown,
    ThunesError,
    UnknownName,
)


@pytest.fixture(autouse=True)
def no_waiting() -> Iterator[None]:
    """Repeat at once, at most three times."""
    with stamina.set_testing(True, attempts=3, cap=True):
        yield


def asked(*replies: Reply) -> tuple[ThunesError | None, int]:
    """Read the server's time from scripted replies; return the error and the number of reads."""
    with scripted(replies) as server:
        client = make_client(server.url)
        try:
            read(client.get_server_time, what="server time")
        except ThunesError as error:
            return error, len(server.asked)
        finally:
            client.close_connection()
        return None, len(server.asked)


GOOD = Reply(body={"serverTime": 1})


@pytest.mark.parametrize(
    "reply",
    [
        Reply(500, "oops"),
        Reply(502, "<html>bad gateway</html>"),
        Reply(503, {"code": -1008, "msg": "Server is currently overloaded"}),
        Reply(504, {"code": -1007, "msg": "Timeout waiting for response"}),
        Reply(400, {"code": -1001, "msg": "Internal error"}),
        Reply(200, "no JSON at all"),
    ],
    ids=["500", "502 html", "overloaded", "-1007", "-1001", "unreadable"],
)
def test_what_may_pass_is_asked_again_and_then_told(reply: Reply) -> None:
    """A read is repeated while the exchange is out of reach, and not for ever."""
    assert asked(reply, reply, GOOD) == (None, 3)
    error, times = asked(reply)
    assert isinstance(error, ExchangeUnavailable)
    assert times == 3
    assert str(error).startswith("server time: the exchange could not be read")


@pytest.mark.parametrize("status", [429, 418])
def test_too_many_requests_are_never_repeated(status: int) -> None:
    """The exchange asks to wait; the message says how long, nothing is sent meanwhile."""
    error, times = asked(
        Reply(status, {"code": -1003, "msg": "Too much request weight"}, {"Retry-After": "7"})
    )
    assert isinstance(error, ExchangeUnavailable)
    assert times == 1
    assert "asks to wait 7 s" in str(error)


def test_an_unknown_symbol_is_an_unknown_name() -> None:
    """−1121 is the caller's mistake, told once."""
    error, times = asked(Reply(400, {"code": -1121, "msg": "Invalid symbol."}))
    assert isinstance(error, UnknownName)
    assert times == 1


def test_a_structured_refusal_keeps_its_code() -> None:
    """Any other 4xx with a code is a refusal."""
    error, times = asked(Reply(400, {"code": -1100, "msg": "Illegal characters"}))
    assert isinstance(error, ExchangeRejected)
    assert (error.code, times) == (-1100, 1)
    assert "Illegal characters" in str(error)


def test_a_stranger_s_404_is_no_exchange() -> None:
    """A page without an error code means that something else answers there."""
    error, _ = asked(Reply(404, "<html>not here</html>"))
    assert isinstance(error, ExchangeUnavailable)
    assert "is the address right?" in str(error)


def test_nobody_listening_is_unavailable() -> None:
    """A refused connection names the address, not a stack of library words."""
    client = make_client("http://127.0.0.1:9")
    with pytest.raises(ExchangeUnavailable, match=r"ConnectionError at http://127.0.0.1:9/api/v3"):
        read(client.get_server_time, what="server time")
    client.close_connection()


def test_no_answer_in_time_is_unavailable() -> None:
    """A server that hangs is given up after the read time-out, three times."""
    with scripted([Reply(hangs=True)]) as server:
        client = make_client(server.url, timeout=(0.5, 0.05))
        with pytest.raises(ExchangeUnavailable, match="ReadTimeout"):
            read(client.get_server_time, what="server time")
        client.close_connection()
    assert len(server.asked) == 3


def test_a_programming_error_is_not_an_exchange_error() -> None:
    """Only named errors are translated."""
    with pytest.raises(ZeroDivisionError):
        read(lambda: 1 / 0, what="nothing")


def test_every_address_of_the_client_is_the_given_one() -> None:
    """Neither the REST, margin nor WebSocket addresses point to the live host."""
    client = make_client("http://127.0.0.1:8799/")
    assert client._create_api_uri("time") == "http://127.0.0.1:8799/api/v3/time"
    assert client._create_margin_api_uri("x").startswith("http://127.0.0.1:8799/sapi/")
    assert client.ws_api._url == "ws://127.0.0.1:8799/ws-api/v3"
    known = make_client("https://testnet.binance.vision")
    assert known.ws_api._url == "wss://ws-api.testnet.binance.vision/ws-api/v3"


def test_a_client_leaves_no_event_loop_open() -> None:
    """Made in a thread, or inside a running loop, nothing is left to be closed."""

    async def inside() -> None:
        make_client("http://127.0.0.1:9").close_connection()

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", ResourceWarning)
        thread = threading.Thread(target=lambda: make_client("http://127.0.0.1:9"))
        thread.start()
        thread.join()
        asyncio.run(inside())
        gc.collect()
    assert [str(w.message) for w in caught if "event loop" in str(w.message)] == []


@pytest.mark.parametrize("status", [302, 307, 308])
def test_no_answer_makes_a_request_go_to_another_host(status: int) -> None:
    """A redirect would carry the key away and could send an order twice."""
    with scripted([GOOD]) as elsewhere:
        away = Reply(status, headers={"Location": f"{elsewhere.url}/api/v3/order"})
        with scripted([away]) as server:
            client = make_client(server.url, "key", "secret")
            with pytest.raises(TooManyRedirects) as told:
                client.create_order(symbol="BTCUSDT", side="BUY", type="MARKET", quantity="1")
            client.close_connection()
            assert len(server.asked) == 1
        assert elsewhere.asked == []
    assert isinstance(classify(told.value, "order x"), OutcomeUnknown)


def test_no_password_of_the_address_is_shown() -> None:
    """An unreachable address is told without its user and password."""
    client = make_client("http://user:hidden@127.0.0.1:9")
    with pytest.raises(ExchangeUnavailable, match=r"127\.0\.0\.1:9/api") as caught:
        read(client.get_server_time, what="server time")
    assert "hidden" not in str(caught.value)


def test_nothing_that_steers_a_terminal_is_shown() -> None:
    """Control characters of a garbled answer are left out of messages."""
    assert short("a\x1b[31m\n b\x00c") == "a [31m b c"


def test_the_environment_is_read_when_a_client_is_made_and_not_for_every_request(monkeypatch):
    """A proxy named before is used; one named later is not."""
    with scripted([GOOD]) as server:
        monkeypatch.setenv("HTTP_PROXY", server.url)
        monkeypatch.setenv("NO_PROXY", "")
        client = make_client("http://exchange.example")
        monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
        assert read(client.get_server_time, what="server time") == GOOD.body
        assert client.session.proxies["http"] == server.url
        assert not client.session.trust_env
        client.close_connection()
