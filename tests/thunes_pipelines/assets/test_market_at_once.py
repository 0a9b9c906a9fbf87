"""Materialisations at once, in real processes, against a real server: none disturbs another."""

from __future__ import annotations

import multiprocessing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from tests.thunes_core.adapters.bars.frames import bars_of
from thunes_core.adapters.bars.store import BarStore
from thunes_core.adapters.binance.market import BinanceMarket
from thunes_core.domain.bars import Interval
from thunes_core.testnet.app import serve_in_thread
from thunes_core.testnet.market import replayed_market

START = datetime(2024, 1, 1, tzinfo=UTC)
NOW = datetime(2024, 3, 31, tzinfo=UTC)
BARS = bars_of([100.0 + i % 7 for i in range(2400)], start=START)
MONTHS = ("2024-02", "2024-03", "2024-03")


def materialise(folder: str, url: str, month: str, gate: Any, told: Any) -> None:
    """Materialise one month with the others, on one instance; tell what was new and revised."""
    from thunes_pipelines.assets.market import bars_asset
    from thunes_pipelines.partitions import bars_key
    from thunes_pipelines.resources.house import House

    house = House(overrides={"home": folder, "exchange": "local", "binance_rest_url": url})
    asset = bars_asset(Interval.H1)
    with dg.DagsterInstance.local_temp(folder) as instance:
        gate.wait(120)
        done = dg.materialize(
            [asset],
            partition_key=bars_key(month, "BTCUSDT"),
            resources={"house": house},
            instance=instance,
        )
        (event,) = [
            e
            for e in done.asset_materializations_for_node("bars_1h")
            if e.asset_key == dg.AssetKey("bars_1h")
        ]
    told.put((month, event.metadata["new"].value, event.metadata["revised"].value, done.success))


@pytest.mark.slow
def test_runs_at_once_on_one_lake_and_one_instance_lose_nothing(tmp_path: Path) -> None:
    """Another window, and twice the same: there each bar is new to exactly one of the runs."""
    spawn = multiprocessing.get_context("spawn")
    gate, told = spawn.Barrier(len(MONTHS)), spawn.Queue()
    with serve_in_thread(replayed_market([BARS]), start=NOW) as net:
        with dg.DagsterInstance.local_temp(str(tmp_path)) as instance:
            instance.add_dynamic_partitions("symbol", ["BTCUSDT"])
        runs = [
            spawn.Process(target=materialise, args=(str(tmp_path), net.url, month, gate, told))
            for month in MONTHS
        ]
        for run in runs:
            run.start()
        outcomes = [told.get(timeout=200) for _ in runs]
        for run in runs:
            run.join()
        market = BinanceMarket(net.url)
        theirs = market.klines("BTCUSDT", Interval.H1, datetime(2024, 2, 1, tzinfo=UTC), NOW)
        market.close()
    assert all(success and not revised for _, _, revised, success in outcomes)
    new = {month: sorted(n for m, n, *_ in outcomes if m == month) for month in set(MONTHS)}
    assert new == {"2024-02": [696], "2024-03": [0, 720]}
    assert BarStore(tmp_path / "lake").read("BTCUSDT", Interval.H1).equals(theirs)
