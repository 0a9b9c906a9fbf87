"""Futures passing as spot: the check finds it by a second source, entries wait, exits never do.

Two local testnets over real HTTP: one is taken for the exchange, through python-binance, the other
for the second source, through CCXT.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import dagster as dg
import polars as pl
import pytest
import stamina

from tests.shared_data import shared
from tests.thunes_core.adapters.bars.frames import real
from tests.worlds import HOUR, START, STUDY, WIDE, Champions, bars_of, wave
from thunes_core.adapters.binance.market import BinanceMarket
from thunes_core.adapters.ccxt.market import CcxtMarket
from thunes_core.adapters.ledger import open_ledger
from thunes_core.adapters.paper import PaperBroker
from thunes_core.clock import to_millis
from thunes_core.domain.agreement import another_market
from thunes_core.domain.bars import PRICES, Interval
from thunes_core.domain.limits import Costs, Protection
from thunes_core.domain.orders import Refusal
from thunes_core.testnet.app import RunningTestnet, serve_in_thread
from thunes_core.testnet.market import replayed_market
from thunes_core.trading.step import tick
from thunes_core.trading.world import TradingPlan, World
from thunes_pipelines.assets.market import bars_asset
from thunes_pipelines.partitions import bars_key
from thunes_pipelines.resources.house import House

SPOT = bars_of(wave(bars=300))
FUTURES = SPOT.with_columns(pl.col(name) * 1.0004 for name in PRICES)
ASSET = bars_asset(Interval.H1)
LAST = START + 120 * HOUR


@dataclass
class Place:
    """A house whose exchange and second source are testnets."""

    house: House
    exchange: RunningTestnet
    second: RunningTestnet

    def stand_at(self, bar: int) -> None:
        """Move both clocks to the open of a bar."""
        for net in (self.exchange, self.second):
            with net.exchange.lock:
                net.exchange.clock.move_to(to_millis(START + bar * HOUR))
                net.exchange.advance()


@contextmanager
def place(tmp_path, exchange_bars: pl.DataFrame, second_bars: pl.DataFrame) -> Iterator[Place]:
    """Serve both."""
    with (
        serve_in_thread(replayed_market([exchange_bars]), start=LAST) as exchange,
        serve_in_thread(replayed_market([second_bars]), start=LAST) as second,
    ):

        class Given(House):
            def second_market(self) -> Any:
                return CcxtMarket("binance", second.url)

        overrides = {
            "home": str(tmp_path),
            "exchange": "binance",
            "second_source": "ccxt:binance",
            "binance_rest_url": exchange.url,
        }
        yield Place(Given(overrides=overrides), exchange, second)


def check(house: House) -> dg.AssetCheckEvaluation:
    """Ingest the month and return the verdict on the venue."""
    with dg.DagsterInstance.ephemeral() as instance:
        instance.add_dynamic_partitions("symbol", ["BTCUSDT"])
        done = dg.materialize(
            [ASSET],
            partition_key=bars_key("2025-01", "BTCUSDT"),
            resources={"house": house},
            instance=instance,
        )
    assert done.success
    (found,) = [c for c in done.get_asset_check_evaluations() if c.check_name == "foreign_venue"]
    return found


def test_the_same_market_by_two_roads_agrees(tmp_path):
    """Nothing is held; the metadata says that it was compared."""
    with place(tmp_path, SPOT, SPOT) as here:
        found = check(here.house)
    assert found.passed
    assert found.metadata["compared_with_second_source"].value == 1
    assert here.house.bars().holds.on("BTCUSDT") == {}


@pytest.mark.slow
def test_futures_passing_as_spot_hold_entries_and_never_exits(tmp_path):
    """The check holds the symbol; the tick refuses its entries by name, and still sells."""
    with place(tmp_path, FUTURES, SPOT) as here:
        found = check(here.house)
        assert not found.passed
        assert "only 0 of 120 closes equal" in str(found.metadata["second_source"].value)
        holds = here.house.bars().holds
        assert "another market, futures?" in holds.on("BTCUSDT")["foreign_venue"]
        market = BinanceMarket(here.exchange.url)
        broker = PaperBroker(
            tmp_path / "paper.db",
            market,
            Costs(),
            Decimal(1000),
            resolution=Interval.H1,
            synchronous="OFF",
        )
        ledger = open_ledger(f"sqlite:///{tmp_path / 'ledger.db'}", synchronous="OFF")
        world = World(market, broker, ledger, Champions(), doubts=holds)
        plan = TradingPlan((STUDY,), Decimal(1000), WIDE, Protection(), Costs())

        def run(first: int, until: int) -> list[Any]:
            reports = []
            for bar in range(first, until):
                here.stand_at(bar)
                reports.append(tick(world, plan))
            return reports

        held = run(121, 160)
        assert not [fill for report in held for fill in report.fills]
        refused = [one for report in held for one in report.refused]
        assert {one.code for one in refused} == {Refusal.BAD_BARS}
        holds.lift("BTCUSDT", "foreign_venue")
        bought = [fill for report in run(160, 185) for fill in report.fills]
        assert [str(fill.side) for fill in bought] == ["BUY"]
        assert not check(here.house).passed
        sold = [fill for report in run(185, 215) for fill in report.fills]
        assert [str(fill.side) for fill in sold] == ["SELL"]
        market.close()
        ledger.close()


def test_a_second_source_out_of_reach_holds_nothing(tmp_path):
    """It is said, and the check rests on what was stored before."""
    with (
        stamina.set_testing(True, attempts=1),
        place(tmp_path, SPOT, SPOT) as here,
    ):
        here.second.exchange.conditions.in_maintenance = True
        found = check(here.house)
    assert found.passed
    assert str(found.metadata["second_source"].value).startswith("not compared: ")
    assert here.house.bars().holds.on("BTCUSDT") == {}


def test_real_futures_are_told_from_real_spot():
    """Of 21,887 hours three closes in ten thousand are equal; another dump of spot agrees."""
    shared("data/bars")
    spot = real("bars/binance_spot__BTCUSDT__1h__finom__to2025H1", "BTCUSDT", Interval.H1)
    futures = real("bars/binance_usdm__BTCUSDT__1h__yagokhan__to2025H1", "BTCUSDT", Interval.H1)
    copy = real("bars/binance_spot__BTCUSDT__1h__bumpy", "BTCUSDT", Interval.H1)
    assert another_market(futures.tail(200), spot, is_same=True)
    assert another_market(spot.tail(200), futures, is_same=True)
    assert another_market(copy.tail(200), spot, is_same=True) is None


@pytest.mark.parametrize(
    ("factor", "shift", "why"),
    [(1.0004, 0, None), (1.02, 0, "from the second source's"), (1.0, 7, "move otherwise")],
    ids=["near", "apart", "another clock"],
)
def test_another_venue_is_near_and_moves_alike(factor, shift, why):
    """Venues of one pair differ a little; a wrong pair and a wrong clock differ much."""
    closes = [100 + (i * 37 % 11) * 0.01 + i * 0.001 for i in range(120)]
    ours, theirs = bars_of(closes[:100]), bars_of([c * factor for c in closes[shift : 100 + shift]])
    said = another_market(ours, theirs, is_same=False)
    assert (said is None) if why is None else why in (said or "")


def test_few_common_bars_prove_nothing():
    """Nineteen closes, all different."""
    ours, theirs = bars_of([1.0] * 19), bars_of([2.0] * 19)
    assert another_market(ours, theirs, is_same=True) is None
