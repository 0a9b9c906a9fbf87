"""What a steady session sends is, byte for byte, what any session of requests sends."""

from __future__ import annotations

from urllib.parse import parse_qsl

import pytest
from hypothesis import given
from hypothesis import strategies as st
from requests import PreparedRequest, Request, Session

from thunes_core.adapters.binance.limited import parameters_of, timestamp_of
from thunes_core.adapters.binance.session import SteadySession

URL = "https://exchange.example/api/v3/order"
HEADERS = {"Accept": "application/json", "Content-Type": "application/json", "X-MBX-APIKEY": "key"}
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
TEXT = st.text(st.characters(codec="utf-8"), max_size=12)
PAIRS = st.lists(st.tuples(TEXT, TEXT), min_size=1, max_size=5)


def wire(prepared: PreparedRequest) -> tuple[object, ...]:
    """Return all of a request that goes over the wire."""
    return prepared.method, prepared.url, dict(prepared.headers.lower_items()), prepared.body


def plain(request: Request) -> PreparedRequest:
    """Prepare `request` as requests itself does."""
    session = Session()
    session.headers.update(HEADERS)
    return session.prepare_request(request)


@given(forms=st.lists(PAIRS, min_size=1, max_size=3), method=st.sampled_from(["POST", "DELETE"]))
def test_forms_to_the_same_address_go_as_requests_would_send_them(forms, method):
    """The first and every later one: nothing of an earlier form is left in a later one."""
    steady = SteadySession("https://exchange.example", HEADERS)
    for pairs in forms:
        asked = Request(method, URL, headers=FORM, data=pairs)
        assert wire(steady.prepare_request(asked)) == wire(plain(asked))


@pytest.mark.parametrize(
    "asked",
    [
        Request("POST", URL, headers=FORM, data="symbol=BTCUSDT&signature=a%2Bb%3D"),
        Request("GET", URL, params="symbol=BTCUSDT&timestamp=1"),
        Request("GET", URL),
        Request("POST", URL, headers=FORM),
        Request("POST", URL, headers=FORM, data=[("a", "1")], params={"b": "2"}),
        Request("POST", URL, headers=FORM, data={"a": "1"}),
        Request("POST", URL, json={"a": 1}),
        Request("POST", URL, headers=FORM, data=[("a", "1")], auth=("user", "word")),
    ],
    ids=lambda asked: f"{asked.method} {asked.params or asked.data or asked.json}",
)
def test_every_other_request_goes_as_requests_would_send_it(asked):
    """Signed text, questions, and what python-binance never asks for."""
    steady = SteadySession("https://exchange.example", HEADERS)
    assert wire(steady.prepare_request(asked)) == wire(plain(asked))


def test_cookies_of_the_host_are_sent_back():
    """A host that sets one gets it with the next form."""
    steady = SteadySession("https://exchange.example", HEADERS)
    asked = Request("POST", URL, headers=FORM, data=[("a", "1")])
    assert "Cookie" not in steady.prepare_request(asked).headers
    steady.cookies.set("seen", "yes")
    assert steady.prepare_request(asked).headers["Cookie"] == "seen=yes"


def test_a_request_may_still_ask_for_its_own_certificates_and_proxies(monkeypatch):
    """What is asked for wins over what the environment named when the session was made."""
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    for name in ("NO_PROXY", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        monkeypatch.setenv(name, "")
    steady = SteadySession("https://exchange.example", HEADERS)
    monkeypatch.delenv("HTTPS_PROXY")
    usual = steady.merge_environment_settings(URL, {}, None, None, None)
    assert usual == {
        "proxies": {"https": "http://127.0.0.1:9"},
        "stream": False,
        "verify": True,
        "cert": None,
    }
    asked = steady.merge_environment_settings(
        URL, {"https": "http://127.0.0.1:8"}, None, False, None
    )
    assert asked["proxies"]["https"] == "http://127.0.0.1:8"
    assert asked["verify"] is False


@given(pairs=PAIRS, stamp=st.integers(0, 2**53))
def test_the_timestamp_is_found_whatever_the_other_values_are(pairs, stamp):
    """A value that looks like a parameter is encoded, and so is none."""
    others = [(name, value) for name, value in pairs if name != "timestamp"]
    form = [*others, ("newClientOrderId", f"&timestamp={stamp + 1}&"), ("timestamp", str(stamp))]
    prepared = plain(Request("POST", URL, headers=FORM, data=form))
    assert timestamp_of(prepared) == stamp
    assert dict(parse_qsl(parameters_of(prepared)))["timestamp"] == str(stamp)
