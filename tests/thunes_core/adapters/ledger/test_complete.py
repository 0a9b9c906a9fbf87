"""The audit tells of everything that the ledger holds."""

from __future__ import annotations

import pytest
from sqlalchemy import create_engine, text

from tests.worlds import BarsMarket, bars_of, small_world, wave
from thunes_core.trading.step import tick


@pytest.fixture()
def small(tmp_path):
    """Return a world that bought and sold once."""
    made = small_world(tmp_path, BarsMarket(bars_of(wave())))
    for bar in range(41, 120):
        made.market.stand_at(bar)
        tick(made.world, made.plan)
        if made.ledger.trades().height:
            break
    yield made
    made.ledger.close()


@pytest.mark.parametrize("event", ["decision", "order", "fill", "trade", "tick"])
def test_a_trail_cut_before_its_newest_fact_of_a_kind_is_not_whole(small, tmp_path, event):
    """Whatever was last told: the ledger still holds it."""
    assert small.ledger.verify_audit().whole
    of_kind = [one["seq"] for one in small.ledger.audit() if one["event"] == event]
    engine = create_engine(f"sqlite:///{tmp_path / 'ledger.db'}")
    with engine.begin() as raw:
        raw.execute(text("delete from audit where seq >= :newest"), {"newest": of_kind[-1]})
    engine.dispose()
    assert small.ledger.verify_audit().broken_at == of_kind[-1]
