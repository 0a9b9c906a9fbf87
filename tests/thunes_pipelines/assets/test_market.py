"""The market assets: what a run stores, what the UI shows, what holds the rest back."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import dagster as dg
import polars as pl
import pytest
from dagster._core.definitions.automation_tick_evaluation_context import (
    build_run_requests_with_backfill_policies,
)
from dagster._core.definitions.data_version import extract_data_version_from_entry
from dagster._core.definitions.events import AssetKeyPartitionKey
from dagster._core.definitions.partitions.context import partition_loading_context
from dagster._core.storage.tags import (
    ASSET_PARTITION_RANGE_END_TAG,
    ASSET_PARTITION_RANGE_START_TAG,
)

from tests.thunes_core.adapters.bars.frames import bars_of
from tests.thunes_core.adapters.bars.test_ingest import FakeMarket
from thunes_core.domain.bars import Interval
from thunes_core.domain.instrument import Instrument
from thunes_core.errors import ExchangeUnavailable, UnknownName
from thunes_core.trading.ports import MarketData
from thunes_pipelines.assets.market import bars_asset, bars_key, clock_skew, instruments
from thunes_pipelines.partitions import BARS_PARTITIONS
from thunes_pipelines.resources.house import House

START = datetime(2024, 1, 30, tzinfo=UTC)
NOW = datetime(2024, 2, 2, 12, 5, tzinfo=UTC)
ASSET = bars_asset(Interval.H1)
MARKETS: dict[str, MarketData] = {}


class FakeHouse(House):
    """A house whose market is set by the test."""

    def market(self) -> MarketData:
        """Return the market set under this house's folder."""
        return MARKETS[str(self.overrides["home"])]


@pytest.fixture
def house(tmp_path: Path) -> Iterator[FakeHouse]:
    """Return a house in a temporary folder, on a market of 84 hours."""
    put_market(tmp_path, bars_of([100.0 + i % 5 for i in range(84)], start=START))
    yield FakeHouse(overrides={"home": str(tmp_path)})
    MARKETS.pop(str(tmp_path))


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    """Return an instance that knows one symbol."""
    with dg.DagsterInstance.ephemeral() as instance:
        instance.add_dynamic_partitions("symbol", ["BTCUSDT"])
        yield instance


def put_market(home: Path, bars: pl.DataFrame) -> None:
    """Set the market of the house in `home`."""
    MARKETS[str(home)] = FakeMarket(bars, now=NOW)


def run(house: House, instance: dg.DagsterInstance, month: str = "2024-02") -> Any:
    """Materialise one month."""
    return dg.materialize(
        [ASSET],
        partition_key=dg.MultiPartitionKey({"month": month, "symbol": "BTCUSDT"}),
        resources={"house": house},
        instance=instance,
        raise_on_error=False,
    )


def verdicts(result: Any) -> dict[str, bool]:
    """Return check names and whether they passed."""
    return {c.check_name: c.passed for c in result.get_asset_check_evaluations()}


def told(result: Any) -> list[dg.AssetMaterialization]:
    """Return the materialisations of bars, oldest first."""
    events = result.asset_materializations_for_node("bars_1h")
    return [event for event in events if event.asset_key == bars_key(Interval.H1)]


def shown(result: Any) -> dict[str, Any]:
    """Return the metadata of the only materialisation of bars."""
    [event] = told(result)
    return {name: getattr(v, "records", v.value) for name, v in event.metadata.items()}


def test_a_month_is_stored_and_shown(house: FakeHouse, instance: dg.DagsterInstance) -> None:
    """Rows, span, gaps and a picture are in the metadata; all checks pass."""
    result = run(house, instance)
    assert result.success
    assert house.bars().read("BTCUSDT", Interval.H1).height == 36
    metadata = shown(result)
    assert metadata["dagster/partition_row_count"] == 36
    assert metadata["new"] == 36
    assert metadata["gaps"] == []
    assert metadata["price"].startswith("![2024-02 BTCUSDT](data:image/png;base64,")
    assert len(verdicts(result)) == 7
    assert all(verdicts(result).values())


def test_the_data_version_follows_the_content(
    house: FakeHouse, instance: dg.DagsterInstance, tmp_path: Path
) -> None:
    """Equal bars keep the version, a revised bar changes it: downstream is stale only then."""
    run(house, instance)
    run(house, instance)
    put_market(tmp_path, bars_of([100.5 + i % 5 for i in range(84)], start=START))
    result = run(house, instance)
    assert shown(result)["revised"] == 36
    events = instance.fetch_materializations(bars_key(Interval.H1), limit=3).records
    versions = [
        record.asset_materialization.tags["dagster/data_version"]
        for record in events
        if record.asset_materialization and record.asset_materialization.tags
    ]
    assert versions[2] == versions[1] != versions[0]


def test_one_run_may_take_several_months(house: FakeHouse, instance: dg.DagsterInstance) -> None:
    """A backfill's batch stores each month and shows each with its own rows."""
    result = dg.materialize(
        [ASSET],
        resources={"house": house},
        instance=instance,
        tags={
            ASSET_PARTITION_RANGE_START_TAG: "2024-01|BTCUSDT",
            ASSET_PARTITION_RANGE_END_TAG: "2024-02|BTCUSDT",
        },
    )
    rows = {
        event.partition: event.metadata["dagster/partition_row_count"].value
        for event in told(result)
    }
    assert rows == {"2024-01|BTCUSDT": 48, "2024-02|BTCUSDT": 36}


def test_a_month_has_one_version_whether_it_came_alone_or_in_a_batch(
    house: FakeHouse, instance: dg.DagsterInstance
) -> None:
    """The next hourly run over equal bars changes nothing."""
    dg.materialize(
        [ASSET],
        resources={"house": house},
        instance=instance,
        tags={
            ASSET_PARTITION_RANGE_START_TAG: "2024-01|BTCUSDT",
            ASSET_PARTITION_RANGE_END_TAG: "2024-02|BTCUSDT",
        },
    )
    batch = version_of(instance, "2024-02|BTCUSDT")
    run(house, instance)
    assert version_of(instance, "2024-02|BTCUSDT") == batch
    assert version_of(instance, "2024-01|BTCUSDT") != batch


def version_of(instance: dg.DagsterInstance, partition: str) -> Any:
    """Return the present data version of a partition of bars."""
    record = instance.get_latest_data_version_record(bars_key(Interval.H1), partition_key=partition)
    assert record is not None
    return extract_data_version_from_entry(record.event_log_entry)


def test_a_backfill_of_years_is_a_few_bounded_runs(instance: dg.DagsterInstance) -> None:
    """Two years of two symbols: one run a symbol and year, together exactly what was asked."""
    instance.add_dynamic_partitions("symbol", ["ETHUSDT"])
    months = [f"{year}-{month:02d}" for year in (2022, 2023) for month in range(1, 13)]
    wanted = {f"{month}|{symbol}" for month in months for symbol in ("BTCUSDT", "ETHUSDT")}
    graph = dg.Definitions(assets=[ASSET], resources={"house": House()}).resolve_asset_graph()
    with partition_loading_context(dynamic_partitions_store=instance):
        runs = build_run_requests_with_backfill_policies(
            [AssetKeyPartitionKey(bars_key(Interval.H1), key) for key in wanted], graph, instance
        )
        ranges = [
            dg.PartitionKeyRange(
                run.tags[ASSET_PARTITION_RANGE_START_TAG], run.tags[ASSET_PARTITION_RANGE_END_TAG]
            )
            for run in runs
        ]
        taken = [key for one in ranges for key in BARS_PARTITIONS.get_partition_keys_in_range(one)]
    assert len(runs) == 4
    assert sorted(taken) == sorted(wanted)


def test_a_broken_row_fails_the_blocking_check_and_is_kept_aside(
    house: FakeHouse, instance: dg.DagsterInstance, tmp_path: Path
) -> None:
    """The run fails, so nothing downstream starts; the good rows are stored all the same."""
    good = bars_of([100.0] * 84, start=START)
    here = pl.int_range(pl.len()) == 60
    put_market(tmp_path, good.with_columns(low=pl.when(here).then(-1.0).otherwise("low")))
    result = run(house, instance)
    assert not result.success
    assert verdicts(result)["schema"] is False
    assert house.bars().quarantined("BTCUSDT", Interval.H1).height == 1
    assert house.bars().read("BTCUSDT", Interval.H1).height == 35


@pytest.mark.parametrize(
    ("now", "skip", "failing"),
    [
        (NOW.replace(minute=0), [82], {"gaps"}),
        (NOW, [80], set()),
        (NOW, [82, 83], {"freshness"}),
    ],
    ids=["fresh hole", "declared outage", "late"],
)
def test_gaps_and_staleness_warn_and_do_not_fail(
    house: FakeHouse,
    instance: dg.DagsterInstance,
    tmp_path: Path,
    now: datetime,
    skip: list[int],
    failing: set[str],
) -> None:
    """The run succeeds; a hole warns until it is a declared outage, missing last bars warn."""
    MARKETS[str(tmp_path)] = FakeMarket(bars_of([100.0] * 84, start=START, skip=skip), now=now)
    result = run(house, instance)
    assert result.success
    assert {name for name, passed in verdicts(result).items() if not passed} == failing


def test_spikes_are_flagged(house: FakeHouse, instance: dg.DagsterInstance, tmp_path: Path) -> None:
    """A close far off the usual warns and is stored all the same."""
    closes = [100.0 + i % 5 for i in range(84)]
    put_market(tmp_path, bars_of([*closes[:70], 900.0, *closes[71:]], start=START))
    result = run(house, instance)
    assert result.success
    assert verdicts(result)["spikes"] is False
    assert house.bars().read("BTCUSDT", Interval.H1).height == 36


class Liar(FakeMarket):
    """A market whose daily bars close elsewhere than its hours say."""

    def klines(
        self, symbol: str, interval: Interval, start: datetime, end: datetime
    ) -> pl.DataFrame:
        """Return bars; coarse ones are wrong."""
        bars = super().klines(symbol, interval, start, end)
        return bars.with_columns(trades=pl.col("trades") + int(interval is Interval.D1))


def real_house(tmp_path: Path) -> FakeHouse:
    """Return a house that believes it speaks to the real exchange."""
    return FakeHouse(overrides={"home": str(tmp_path), "exchange": "binance"})


@pytest.mark.usefixtures("house")
def test_coarse_bars_that_disagree_hold_entries_until_they_agree(
    instance: dg.DagsterInstance, tmp_path: Path
) -> None:
    """The first day that differs is named; the next good run lifts the hold."""
    house, bars = real_house(tmp_path), bars_of([100.0 + i % 5 for i in range(84)], start=START)
    MARKETS[str(tmp_path)] = Liar(bars, now=NOW)
    result = run(house, instance)
    assert result.success
    assert verdicts(result)["cross_interval"] is False
    [(source, sentence)] = house.bars().holds.on("BTCUSDT").items()
    assert (source, sentence) == (
        "cross_interval",
        "1 coarse bars differ, first 2024-02-01 00:00",
    )
    put_market(tmp_path, bars)
    assert verdicts(run(house, instance))["cross_interval"] is True
    assert house.bars().holds.on("BTCUSDT") == {}


@pytest.mark.usefixtures("house")
def test_another_market_under_the_same_name_holds_entries_until_a_person_looked(
    instance: dg.DagsterInstance, tmp_path: Path
) -> None:
    """Most stored bars are told otherwise: that is no restatement. It does not lift by itself."""
    house = real_house(tmp_path)
    run(house, instance)
    put_market(tmp_path, bars_of([100.01 + i % 5 for i in range(84)], start=START))
    result = run(house, instance)
    assert verdicts(result)["foreign_venue"] is False
    assert verdicts(run(house, instance))["foreign_venue"] is True
    assert "36 stored bars are told otherwise" in house.bars().holds.on("BTCUSDT")["foreign_venue"]


def test_the_local_testnet_may_become_another_market(
    house: FakeHouse, instance: dg.DagsterInstance, tmp_path: Path
) -> None:
    """The check warns, nothing is held."""
    run(house, instance)
    put_market(tmp_path, bars_of([100.01 + i % 5 for i in range(84)], start=START))
    assert verdicts(run(house, instance))["foreign_venue"] is False
    assert house.bars().holds.on("BTCUSDT") == {}


@pytest.mark.parametrize(
    ("change", "hours", "source", "words"),
    [
        ("broken", [60], "schema", "1 rows of this month are no valid bars"),
        ("missing", [82], "gaps", "1 bars are missing"),
        ("late", [81, 82, 83], "freshness", "newest closed bars are missing"),
    ],
)
@pytest.mark.usefixtures("house")
def test_a_failing_check_of_the_running_month_holds_entries_until_it_passes(
    instance: dg.DagsterInstance,
    tmp_path: Path,
    change: str,
    hours: list[int],
    source: str,
    words: str,
) -> None:
    """A broken row, a fresh hole, missing newest bars: each by its name, lifted by the next run."""
    house = real_house(tmp_path)
    good = bars_of([100.0 + i % 5 for i in range(84)], start=START)
    there = pl.int_range(pl.len()).is_in(hours)
    spoilt = good.filter(~there)
    if change == "broken":
        spoilt = good.with_columns(low=pl.when(there).then(-1.0).otherwise("low"))
    now = NOW.replace(minute=0) if change == "missing" else NOW
    MARKETS[str(tmp_path)] = FakeMarket(spoilt, now=now)
    run(house, instance)
    assert words in house.bars().holds.on("BTCUSDT")[source]
    put_market(tmp_path, good)
    run(house, instance)
    assert house.bars().holds.on("BTCUSDT") == {}


@pytest.mark.usefixtures("house")
def test_an_older_month_neither_holds_nor_lifts(
    instance: dg.DagsterInstance, tmp_path: Path
) -> None:
    """A hole of January says nothing of decisions in February, and its repair neither."""
    house, bars = real_house(tmp_path), bars_of([100.0] * 84, start=START, skip=[5])
    put_market(tmp_path, bars)
    house.bars().holds.place("BTCUSDT", "gaps", "of the running month")
    run(house, instance, month="2024-01")
    assert house.bars().holds.on("BTCUSDT") == {"gaps": "of the running month"}


@pytest.mark.parametrize(("exchange", "passed"), [("binance", False), ("local", True)])
@pytest.mark.usefixtures("house")
def test_a_clock_that_differs_is_told(tmp_path: Path, exchange: str, passed: bool) -> None:
    """The fake market lives in 2024; only the local testnet may."""
    house = FakeHouse(overrides={"home": str(tmp_path), "exchange": exchange})
    result = clock_skew(house)
    assert isinstance(result, dg.AssetCheckResult)
    assert result.passed is passed
    held = house.bars().holds.on("BTCUSDT")
    assert held == {} if passed else "off the exchange's" in held["clock_skew"]


@pytest.mark.parametrize(
    ("error", "again"),
    [(UnknownName("no such symbol"), False), (ExchangeUnavailable("gone"), True)],
    ids=["caller", "outside"],
)
def test_an_expected_error_is_one_message_and_only_reads_are_repeated(
    house: FakeHouse,
    instance: dg.DagsterInstance,
    tmp_path: Path,
    error: Exception,
    again: bool,
) -> None:
    """The step fails with the core's own words and nothing is half-written."""

    class Failing(FakeMarket):
        def klines(self, *_: object) -> pl.DataFrame:
            raise error

    MARKETS[str(tmp_path)] = Failing(bars_of([1.0]), now=NOW)
    key = dg.MultiPartitionKey({"month": "2024-02", "symbol": "BTCUSDT"})
    with pytest.raises(dg.Failure) as caught:
        list(ASSET(dg.build_asset_context(partition_key=key, instance=instance), house))
    assert (caught.value.description, caught.value.allow_retries) == (str(error), again)
    assert not (tmp_path / "lake" / "bars").exists()


def test_instruments_are_a_table(
    instance: dg.DagsterInstance, house: FakeHouse, tmp_path: Path
) -> None:
    """Status and filters of the configured symbols are shown; a halted one is counted."""

    class Listing(FakeMarket):
        def instruments(self, symbols: Sequence[str] | None = None) -> dict[str, Instrument]:
            return {s: Instrument(s, "BTC", "USDT", status="HALT") for s in symbols or ()}

    MARKETS[str(tmp_path)] = Listing(bars_of([1.0]))
    result = dg.materialize([instruments], resources={"house": house}, instance=instance)
    [event] = result.asset_materializations_for_node("instruments")
    assert event.metadata["symbols"].value == 1
    assert event.metadata["halted"].value == 1
    assert event.metadata["instruments"].records[0].data["symbol"] == "BTCUSDT"
