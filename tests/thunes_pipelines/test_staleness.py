"""A revised bar makes stale, in Dagster's own eyes, everything that was computed before."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import dagster as dg
import polars as pl
import pytest
from dagster._core.definitions.data_version import CachingStaleStatusResolver, StaleStatus
from dagster._core.loader import LoadingContextForTest

from tests.planted import NOISE, market
from tests.thunes_core.adapters.bars.test_ingest import FakeMarket
from tests.thunes_pipelines.houses import house_at
from thunes_core.domain.bars import Interval
from thunes_pipelines.assets.market import bars_asset, revisions_key, revisions_spec
from thunes_pipelines.assets.research import ASSETS as RESEARCH
from thunes_pipelines.partitions import bars_key, month_key, months_between
from thunes_pipelines.resources.house import House

SYMBOL = "TESTUSDT"
STUDY = f"sma_crossover.{SYMBOL}.1h"
BARS = bars_asset(Interval.H1)
BARS_AND_SPEC = [BARS, revisions_spec(Interval.H1)]
HISTORY = market(NOISE, 24 * 130, seed=2)
LATER = HISTORY["open_time"][-1] + timedelta(hours=1)
STANDING = ("walk_forward", "parameter_set", "champion")


@pytest.fixture
def instance():
    """An instance that knows the symbol and the study."""
    with dg.DagsterInstance.ephemeral() as made:
        made.add_dynamic_partitions("symbol", [SYMBOL])
        made.add_dynamic_partitions("study", [STUDY])
        yield made


def on(tmp_path, bars):
    """Return a house on a market of `bars`."""
    return house_at(
        tmp_path,
        FakeMarket(bars, now=LATER + timedelta(days=2)),
        symbols=SYMBOL,
        trials=3,
        folds=2,
        history_days=400,
        promotion="bootstrap",
    )


def ingest(house: Any, instance: dg.DagsterInstance, months: list[str]) -> None:
    """Materialise these months of bars."""
    for month in months:
        done = dg.materialize(
            BARS_AND_SPEC,
            selection=[BARS],
            partition_key=bars_key(month, SYMBOL),
            resources={"house": house},
            instance=instance,
        )
        assert done.success


def status(instance: dg.DagsterInstance) -> dict[str, StaleStatus]:
    """Return what Dagster says of each asset that stands on the bars."""
    graph = dg.Definitions([*BARS_AND_SPEC, *RESEARCH], resources={"house": House()})
    resolver = CachingStaleStatusResolver(
        instance, graph.resolve_asset_graph(), LoadingContextForTest(instance)
    )
    return {name: resolver.get_status(dg.AssetKey(name), STUDY) for name in STANDING}


@pytest.mark.slow
def test_a_revision_makes_everything_that_stands_on_the_bars_stale(tmp_path, instance):
    """Walk, candidate and champion are fresh after new bars, stale after one old bar changed."""
    house = on(tmp_path, HISTORY[:-30])
    months = months_between(HISTORY["open_time"][0], LATER)
    ingest(house, instance, months)
    walked = dg.materialize(
        [*BARS_AND_SPEC, *RESEARCH],
        selection=RESEARCH,
        partition_key=STUDY,
        resources={"house": house},
        instance=instance,
    )
    assert walked.success
    assert set(status(instance).values()) == {StaleStatus.FRESH}
    ingest(on(tmp_path, HISTORY), instance, months[-2:])
    assert set(status(instance).values()) == {StaleStatus.FRESH}
    old = pl.int_range(pl.len()) == 500
    revised = HISTORY.with_columns(volume=pl.when(old).then(7.5).otherwise("volume"))
    changed = HISTORY["open_time"][500]
    ingest(on(tmp_path, revised), instance, [month_key(changed)])
    assert set(status(instance).values()) == {StaleStatus.STALE}
    seen = instance.fetch_observations(revisions_key(Interval.H1), limit=9).records
    newest, *before = [record.asset_observation for record in seen]
    assert newest is not None
    assert newest.partition == SYMBOL
    assert newest.metadata["dagster/partition_row_count"].value == 1
    assert len(before) == 1  # the first ingestion told that nothing was revised, no other did
