"""The forking process and one trial of it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.crash.trials import BARS, Trial, Zygote
from tests.databases import ledger_in
from tests.worlds import START
from thunes_core.testnet.app import serve_in_thread
from thunes_core.testnet.market import replayed_market


@pytest.fixture(scope="module")
def zygote() -> Iterator[Zygote]:
    """Start the forking process once."""
    made = Zygote()
    yield made
    made.close()


@pytest.fixture()
def trial(zygote: Zygote, tmp_path: Path) -> Iterator[Trial]:
    """Serve an exchange and name a ledger."""
    with serve_in_thread(replayed_market([BARS], start=START), cash=1000) as net:
        yield Trial(zygote, net, ledger_in(tmp_path), home=str(tmp_path))
