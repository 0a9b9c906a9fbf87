"""What a refused read says: who must act."""

from __future__ import annotations

import pytest

from thunes_core.adapters.binance.failures import Failure
from thunes_core.errors import ExchangeRejected


@pytest.mark.parametrize(
    ("code", "remedy"), [(-2015, "correct the API key"), (-1102, "the request")]
)
def test_a_refused_key_is_told_apart_from_a_refused_request(code, remedy):
    """Rights and addresses are set at the exchange; no request can be corrected for them."""
    error = Failure(401, code, "no").error("account")
    assert isinstance(error, ExchangeRejected)
    assert (error.code, remedy in str(error)) == (code, True)
