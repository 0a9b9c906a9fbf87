"""The nightly parity as an asset: shown order by order, due for the exchange's yesterday."""

from __future__ import annotations

from contextlib import closing
from datetime import timedelta

import dagster as dg

from tests.thunes_pipelines.houses import DeadMarket, StillMarket, house_at
from tests.worlds import START, STUDY, BarsMarket, Champions, bars_of, wave
from thunes_core.adapters.paper import PaperBroker
from thunes_core.domain.bars import Interval
from thunes_core.domain.limits import Costs
from thunes_core.trading.step import tick
from thunes_core.trading.world import TradingPlan, World
from thunes_pipelines.assets import parity as module
from thunes_pipelines.schedules import parity_due

DAY = "2025-01-03"
BARS = bars_of(wave())


def test_each_order_of_the_day_is_shown_beside_the_backtest(tmp_path):
    """Traded on paper, stored in the lake, compared by the asset."""
    market = BarsMarket(BARS)
    house = house_at(tmp_path, market)
    market.stand_at(100)
    hundred = {"start": START, "end": market.now, "observed_at": market.now}
    house.bars().replace_window(BARS.head(100), symbol="BTCUSDT", interval=Interval.H1, **hundred)
    broker = PaperBroker(tmp_path / "p.db", market, Costs(), 1000, resolution=Interval.H1)
    with closing(house.ledger()) as ledger:
        world = World(market, broker, ledger, Champions())
        for bar in range(41, 75):
            market.stand_at(bar)
            tick(world, TradingPlan((STUDY,)))
    market.stand_at(100)
    done = dg.materialize([module.live_parity], resources={"house": house}, partition_key=DAY)
    (event,) = done.get_asset_materialization_events()
    shown = event.materialization.metadata
    assert shown["orders"].value == shown["same"].value == 2
    assert shown["missing"].value == shown["extra"].value == 0
    assert [r.data["study"] for r in shown["differences"].records] == [STUDY, STUDY]


def test_it_is_due_for_the_exchanges_yesterday(tmp_path):
    """The market stands on 10 March; a dead one is skipped with its sentence."""
    context = dg.build_schedule_context()
    due = parity_due(context, house_at(tmp_path, StillMarket()))
    assert isinstance(due, dg.RunRequest)
    assert due.partition_key == "2025-03-09"
    assert isinstance(parity_due(context, house_at(tmp_path, DeadMarket())), dg.SkipReason)
    future = StillMarket(StillMarket().now + timedelta(days=36_500))
    assert isinstance(parity_due(context, house_at(tmp_path, future)), dg.SkipReason)
