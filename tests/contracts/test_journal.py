"""The tick on every database a ledger runs on: same decisions, same money, one whole chain."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from tests.databases import LEDGERS, fresh_url
from tests.worlds import BarsMarket, bars_of, small_world, wave
from thunes_core.adapters.ledger import open_ledger
from thunes_core.domain.limits import Protection
from thunes_core.trading.step import tick


@pytest.mark.parametrize("kind", LEDGERS)
def test_a_trade_from_entry_to_exit_is_the_same_on_every_database(kind, tmp_path):
    """Bought, protected, sold: cash, trades and audit agree to the last digit."""
    small = small_world(
        tmp_path, BarsMarket(bars_of(wave())), protection=Protection(trailing_stop=0.1)
    )
    small.ledger.close()
    with fresh_url(kind, tmp_path / "other" if kind == "sqlite" else tmp_path) as url:
        (tmp_path / "other").mkdir(exist_ok=True)
        ledger = open_ledger(url, synchronous="OFF")
        world = replace(small.world, journal=ledger)
        for bar in range(44, 76):
            small.market.stand_at(bar)
            tick(world, small.plan)
        (book,) = ledger.positions()
        assert ledger.trades().height == 1
        assert sum(map(Decimal, ledger.trades()["pnl_text"])) == book.cash - 1000
        assert book.cash == small.broker.account().total("USDT")
        assert ledger.equity().height == 32
        assert ledger.verify_audit().whole
        ledger.close()
