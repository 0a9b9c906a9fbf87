"""What each answer to an order request proves."""

from __future__ import annotations

import json
from types import SimpleNamespace

import pytest
import requests
from binance.exceptions import BinanceAPIException, BinanceRequestException
from urllib3.exceptions import MaxRetryError, NewConnectionError, ProtocolError

from thunes_core.adapters.binance.classify import classify, codes_of, never_left
from thunes_core.errors import AskedToWait, ExchangeRejected, ExchangeUnavailable, OutcomeUnknown


def answered(status: int, code: int | None = None, text: str = "") -> BinanceAPIException:
    """Return what python-binance raises for an answer."""
    body = json.dumps({"code": code, "msg": "said"}) if code is not None else text
    return BinanceAPIException(SimpleNamespace(text=body, headers={}), status, body)


def no_connection() -> requests.ConnectionError:
    """Return what requests raises when nobody listens."""
    reason = NewConnectionError(None, "refused")
    return requests.ConnectionError(MaxRetryError(None, "/", reason))


CASES = [
    (answered(400, -2010), ExchangeRejected),
    (answered(400, -1013), ExchangeRejected),
    (answered(400, -1021), ExchangeRejected),
    (answered(401, -2015), ExchangeRejected),
    (answered(409, -2021), ExchangeRejected),
    (answered(429, -1003), AskedToWait),
    (answered(418, -1003), AskedToWait),
    (answered(500, -1000), OutcomeUnknown),
    (answered(502, text="<html>bad gateway</html>"), OutcomeUnknown),
    (answered(503, -1001), OutcomeUnknown),
    (answered(504, -1007), OutcomeUnknown),
    (answered(400, -1006), OutcomeUnknown),
    (answered(400, -1007), OutcomeUnknown),
    (answered(403, text="<html>firewall</html>"), OutcomeUnknown),
    (BinanceRequestException("Invalid Response: <half"), OutcomeUnknown),
    (requests.ReadTimeout("read timed out"), OutcomeUnknown),
    (requests.ConnectTimeout("connect timed out"), OutcomeUnknown),
    (requests.ConnectionError(ProtocolError("Connection aborted.")), OutcomeUnknown),
    (requests.exceptions.ChunkedEncodingError("broken"), OutcomeUnknown),
    (requests.exceptions.ContentDecodingError("broken"), OutcomeUnknown),
    (no_connection(), ExchangeUnavailable),
]


@pytest.mark.parametrize(("error", "kind"), CASES, ids=lambda v: str(v)[:40])
def test_every_answer_has_one_class(error, kind):
    """Only a structured 4xx proves a rejection, only a missing connection that nothing left."""
    assert type(classify(error, "order x")) is kind


def test_a_rejection_keeps_the_exchanges_code():
    """The code decides what follows."""
    rejected = classify(answered(400, -2010), "order x")
    assert isinstance(rejected, ExchangeRejected)
    assert rejected.code == -2010
    assert str(rejected) == "order x: the exchange refused it (-2010: said)"


def test_only_a_new_connection_error_proves_that_nothing_left():
    """A reset connection may have carried the request."""
    assert never_left(no_connection())
    assert not never_left(requests.ConnectionError(ProtocolError("reset")))
    assert not never_left(requests.ConnectTimeout("slow"))


@pytest.mark.parametrize(("inner", "kind"), [(-1007, OutcomeUnknown), (-2010, ExchangeRejected)])
def test_a_replacement_is_unknown_when_its_new_order_is(inner, kind):
    """Half success: the old order is gone, the code inside says what is known of the new one."""
    data = {"cancelResult": "SUCCESS", "newOrderResponse": {"code": inner, "msg": "said"}}
    body = json.dumps({"code": -2021, "msg": "partially failed", "data": data})
    error = BinanceAPIException(SimpleNamespace(text=body, headers={}), 409, body)
    assert type(classify(error, "order x")) is kind


def test_a_replacement_tells_why_its_new_order_was_refused():
    """Both codes and both sentences: the filter's name stands in the inner one only."""
    data = {"newOrderResponse": {"code": -1013, "msg": "Filter failure: MAX_ASSET"}}
    body = json.dumps({"code": -2021, "msg": "Partially failed.", "data": data})
    error = BinanceAPIException(SimpleNamespace(text=body, headers={}), 409, body)
    said = "(-2021: Partially failed. New order: -1013: Filter failure: MAX_ASSET)"
    assert str(classify(error, "order x")) == f"order x: the exchange refused it {said}"
    assert codes_of(error) == (-2021, -1013)
    assert codes_of(answered(400, -1013)) == (-1013, 0)
    assert codes_of(answered(502, text="<html>")) == (0, 0)
