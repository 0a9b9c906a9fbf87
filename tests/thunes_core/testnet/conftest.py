"""A running testnet and unmodified clients of it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from binance import Client

from tests.thunes_core.testnet.clients import make_client
from tests.thunes_core.testnet.markets import RISING, market
from thunes_core.testnet.app import RunningTestnet, serve_in_thread


@pytest.fixture()
def running() -> Iterator[RunningTestnet]:
    """Serve four rising hours, the clock standing at the first open."""
    with serve_in_thread(market(RISING)) as testnet:
        yield testnet


@pytest.fixture()
def client(running: RunningTestnet) -> Iterator[Client]:
    """Return an unmodified python-binance client of the running testnet."""
    made = make_client(running.url)
    yield made
    made.close_connection()
