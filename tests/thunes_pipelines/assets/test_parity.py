"""The nightly parity as an asset: shown order by order, due for the exchange's yesterday."""

from __future__ import annotations

from contextlib import closing
from datetime import timedelta

import dagster as dg
import polars as pl
import pytest

from tests.thunes_pipelines.houses import DeadMarket, StillMarket, house_at
from tests.worlds import START, STUDY, BarsMarket, Champions, bars_of, wave
from thunes_core.adapters.paper import PaperBroker
from thunes_core.domain.bars import Interval
from thunes_core.domain.limits import Costs, LimitEntry
from thunes_core.trading.step import tick
from thunes_core.trading.world import TradingPlan, World
from thunes_pipelines.assets import parity as module
from thunes_pipelines.schedules import parity_due

DAY = "2025-01-03"
BARS = bars_of(wave())


def compared(house, market, bars, plan):
    """Trade the day on paper, store its bars, and return what the asset shows of it."""
    market.stand_at(100)
    hundred = {"start": START, "end": market.now, "observed_at": market.now}
    house.bars().replace_window(bars.head(100), symbol="BTCUSDT", interval=Interval.H1, **hundred)
    paper = house.settings().home / "p.db"
    broker = PaperBroker(paper, market, Costs(), 1000, resolution=Interval.H1)
    with closing(house.ledger()) as ledger:
        world = World(market, broker, ledger, Champions())
        for bar in range(41, 75):
            market.stand_at(bar)
            tick(world, plan)
    market.stand_at(100)
    done = dg.materialize([module.live_parity], resources={"house": house}, partition_key=DAY)
    (event,) = done.get_asset_materialization_events()
    return event.materialization.metadata


def test_each_order_of_the_day_is_shown_beside_the_backtest(tmp_path):
    """Traded on paper, stored in the lake, compared by the asset."""
    market = BarsMarket(BARS)
    house = house_at(tmp_path, market)
    shown = compared(house, market, BARS, TradingPlan((STUDY,)))
    assert shown["orders"].value == shown["same"].value == 2
    assert shown["missing"].value == shown["extra"].value == 0
    assert [r.data["study"] for r in shown["differences"].records] == [STUDY, STUDY]


def test_limit_entries_are_compared_with_a_backtest_of_limit_entries(tmp_path):
    """Filled in a dip of the bar after, at the limit, on both sides."""
    at = pl.col("open_time") == START + 50 * timedelta(hours=1)
    bars = BARS.with_columns(low=pl.when(at).then(104.0).otherwise("low"))
    market, entry = BarsMarket(bars), LimitEntry(offset=0.02, timeout_bars=3)
    waiting = {"entry": "limit", "entry_limit_offset": 0.02, "entry_timeout_bars": 3}
    house = house_at(tmp_path, market, **waiting)
    shown = compared(house, market, bars, TradingPlan((STUDY,), entry=entry))
    assert shown["same"].value == shown["orders"].value == 2
    bought = shown["differences"].records[0].data
    assert bought["live_price"] == bought["backtest_price"]


@pytest.mark.parametrize(
    ("given", "promise"),
    [
        ({"trailing_stop": 0.02}, "the backtest's orders, one for one"),
        ({"trailing_native": True}, "the backtest's orders, one for one"),
        (
            {"trailing_stop": 0.02, "trailing_native": True},
            "none: THUNES_TRAILING_NATIVE lets the exchange's own trail follow every trade",
        ),
    ],
)
def test_what_is_promised_is_told_beside_the_orders(tmp_path, given, promise):
    """A trail that follows every trade is not the backtest's."""
    market = BarsMarket(BARS)
    market.stand_at(100)
    house = house_at(tmp_path, market, **given)
    done = dg.materialize([module.live_parity], resources={"house": house}, partition_key=DAY)
    (event,) = done.get_asset_materialization_events()
    assert event.materialization.metadata["promise"].value == promise


def test_it_is_due_for_the_exchanges_yesterday(tmp_path):
    """The market stands on 10 March; a dead one is skipped with its sentence."""
    context = dg.build_schedule_context()
    due = parity_due(context, house_at(tmp_path, StillMarket()))
    assert isinstance(due, dg.RunRequest)
    assert due.partition_key == "2025-03-09"
    assert isinstance(parity_due(context, house_at(tmp_path, DeadMarket())), dg.SkipReason)
    future = StillMarket(StillMarket().now + timedelta(days=36_500))
    assert isinstance(parity_due(context, house_at(tmp_path, future)), dg.SkipReason)
