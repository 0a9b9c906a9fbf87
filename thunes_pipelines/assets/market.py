"""What the exchange offers and what it traded: instruments, and bars by month and symbol.

The bars asset is named after the configured interval (`bars_1h`), so that its partitions stay what
they were when the interval is changed.

Add here: an asset about the market. Keep out: formats, storage, validation (core); its checks and
its metadata (beside this file).
"""

import hashlib
from collections.abc import Iterator
from datetime import datetime, timedelta
from functools import cache
from typing import Any

import dagster as dg
import polars as pl
from dagster._core.definitions.data_version import (
    DATA_VERSION_TAG,
    extract_data_version_from_entry,
)

from thunes_core.adapters.bars.holds import Holds
from thunes_core.adapters.bars.ingest import ingest_window
from thunes_core.clock import SystemClock
from thunes_core.domain.agreement import another_market, differing
from thunes_core.domain.bars import Interval, fingerprint, resample
from thunes_core.errors import OutsideFailed, SettingsInvalid, UnknownName
from thunes_core.settings import load
from thunes_core.trading.ports import MarketData
from thunes_pipelines.assets import market_checks, market_metadata
from thunes_pipelines.assets.market_checks import FOREIGN_VENUE, LIFTED, Ingested
from thunes_pipelines.checks import warning
from thunes_pipelines.failures import told_plainly
from thunes_pipelines.partitions import (
    BARS_PARTITIONS,
    MONTH,
    SYMBOL,
    SYMBOL_PARTITIONS,
    month_window,
)
from thunes_pipelines.policies import (
    BARS_FRESHNESS,
    EXCHANGE_POOL,
    MARKET,
    READ_RETRIES,
)
from thunes_pipelines.resources.house import House

OWNERS = ["team:market"]
MAX_PARTITIONS_PER_RUN = 12
COARSE = Interval.D1
"""The exchange's own bars of this interval are compared with ours."""
COMPARED_BARS = 200
"""So many of the newest bars of a window are compared with a second source."""
CLOCK_SKEW = timedelta(seconds=1)


def bars_key(interval: Interval) -> dg.AssetKey:
    """Return the asset key of the bars of one interval.

    >>> bars_key(Interval.H1).to_user_string()
    'bars_1h'
    """
    return dg.AssetKey(f"bars_{interval}")


def revisions_key(interval: Interval) -> dg.AssetKey:
    """Return the asset key of what the exchange told otherwise later, by symbol."""
    return dg.AssetKey(f"bars_{interval}_revisions")


def revisions_dep() -> dg.AssetDep:
    """Return the dependency of what was computed from bars on their being told otherwise.

    Dagster looks for changed data one step up, and through fewer than a hundred partitions; months
    of bars are more. So each asset that stands on bars depends on the revisions of the symbols: a
    revised bar makes it stale, new bars alone do not.
    """
    every = dg.AllPartitionMapping()
    return dg.AssetDep(revisions_key(configured_interval()), partition_mapping=every)


def bars_dep() -> dg.AssetDep:
    """Return the dependency on all bars."""
    every = dg.AllPartitionMapping()
    return dg.AssetDep(bars_key(configured_interval()), partition_mapping=every)


@cache
def configured_interval() -> Interval:
    """Return the interval of the settings, or the default one while the settings are faulty.

    The code location then still loads, and the first run says what is wrong with the settings.
    They are read once: the assets of a process are of one interval.
    """
    try:
        return load().interval
    except SettingsInvalid:
        return Interval.H1


@dg.asset(
    group_name=MARKET,
    owners=OWNERS,
    kinds={"python"},
    pool=EXCHANGE_POOL,
    retry_policy=READ_RETRIES,
    description="What the exchange says of the configured symbols: status, steps, least notional.",
)
def instruments(house: House) -> dg.MaterializeResult[Any]:
    """Read the instruments of the configured symbols."""
    with told_plainly(retry_reads=True):
        found = house.market().instruments(house.settings().symbols)
    return dg.MaterializeResult(metadata=market_metadata.of_instruments(list(found.values())))


@dg.asset_check(asset=instruments, description="This machine's clock is the exchange's.")
def clock_skew(house: House) -> dg.AssetCheckResult:
    """Compare the clocks, and hold entries while they differ (exits never).

    The local testnet's clock runs as it was told to and is not judged.
    """
    before = SystemClock().now()
    with told_plainly():
        theirs = house.market().server_time()
    ours = before + (SystemClock().now() - before) / 2
    skew = abs(theirs - ours)
    is_local = house.settings().exchange == "local"
    passed, holds = is_local or skew <= CLOCK_SKEW, house.bars().holds
    for symbol in house.settings().symbols:
        if passed:
            holds.lift(symbol, "clock_skew")
        else:
            holds.place(symbol, "clock_skew", f"this machine's clock is {skew} off the exchange's")
    return warning(
        "clock_skew",
        passed=passed,
        why="the local testnet keeps its own time" if is_local else f"the clocks differ by {skew}",
        seconds=skew.total_seconds(),
    )


def bars_asset(interval: Interval) -> dg.AssetsDefinition:
    """Build the asset of one interval's bars."""
    key = bars_key(interval)

    @dg.asset(
        key=key,
        group_name=MARKET,
        owners=OWNERS,
        kinds={"parquet", "polars"},
        pool=EXCHANGE_POOL,
        retry_policy=READ_RETRIES,
        partitions_def=BARS_PARTITIONS,
        backfill_policy=dg.BackfillPolicy.multi_run(MAX_PARTITIONS_PER_RUN),
        freshness_policy=BARS_FRESHNESS,
        check_specs=market_checks.specs(key),
        description=(
            f"Closed {interval} bars of one symbol and month, as the exchange reports them now. "
            "A run replaces exactly its window; revised bars are kept as older versions."
        ),
    )
    def bars(context: dg.AssetExecutionContext, house: House) -> Iterator[dg.MaterializeResult]:  # type: ignore[type-arg] # Dagster knows it bare only
        outcomes = {}
        for partition in context.partition_keys:
            outcome = _ingest(house, interval, partition)
            context.log.info(market_metadata.sentence(partition, outcome.result))
            context.add_asset_metadata(
                market_metadata.of_bars(partition, outcome), partition_key=partition
            )
            outcomes[partition] = outcome
        found = list(outcomes.values())
        yield dg.MaterializeResult(
            data_version=_version(found), check_results=market_checks.results(found, interval)
        )
        if len(outcomes) > 1:  # one version for all of them would change at the next single run
            for partition, outcome in outcomes.items():
                context.log_event(_materialised(key, partition, outcome))
        for symbol in sorted({outcome.symbol for outcome in found}):
            _tell_revisions(context, house, symbol, interval)

    return bars


def _materialised(key: dg.AssetKey, partition: str, outcome: Ingested) -> dg.AssetMaterialization:
    return dg.AssetMaterialization(
        key,
        partition=partition,
        metadata=market_metadata.of_bars(partition, outcome),
        tags={DATA_VERSION_TAG: _version([outcome]).value},
    )


def _tell_revisions(
    context: dg.AssetExecutionContext, house: House, symbol: str, interval: Interval
) -> None:
    """Tell Dagster the version of the symbol's revisions, if it is another than it knows."""
    key, rows = revisions_key(interval), house.bars().revisions(symbol, interval)
    version = revisions_version(rows)
    known = context.instance.get_latest_data_version_record(
        key, is_source=True, partition_key=symbol
    )
    entry = known.event_log_entry if known else None
    if entry and extract_data_version_from_entry(entry) == version:
        return
    context.log_event(
        dg.AssetObservation(
            key,
            partition=symbol,
            metadata=market_metadata.of_revisions(rows),
            tags={DATA_VERSION_TAG: version.value},
        )
    )


def revisions_version(rows: pl.DataFrame) -> dg.DataVersion:
    """Return the version of older bars: another one for each bar that was ever told otherwise."""
    told = rows.select("open_time", "observed_at", "replaced_at").sort(pl.all())
    text = "\n".join(str(row) for row in told.select(pl.all().dt.epoch("us")).iter_rows())
    return dg.DataVersion(hashlib.sha256(text.encode()).hexdigest())


def revisions_spec(interval: Interval) -> dg.AssetSpec:
    """Build the external asset that stands for revised bars; `bars_<interval>` observes it."""
    return dg.AssetSpec(
        revisions_key(interval),
        deps=[dg.AssetDep(bars_key(interval), partition_mapping=dg.AllPartitionMapping())],
        partitions_def=SYMBOL_PARTITIONS,
        group_name=MARKET,
        owners=OWNERS,
        kinds={"parquet"},
        description=(
            f"{interval} bars of one symbol that the exchange told otherwise later, and withdrew. "
            "Observed by each ingestion that finds one; what was computed before is stale then."
        ),
    )


def _ingest(house: House, interval: Interval, partition: str) -> Ingested:
    key = BARS_PARTITIONS.get_partition_key_from_str(partition).keys_by_dimension
    symbol, (start, end) = key[SYMBOL], month_window(key[MONTH])
    with told_plainly(retry_reads=True):
        market, store = house.market(), house.bars()
        result = ingest_window(market, store, symbol, interval, start, end)
        stored = store.read(symbol, interval, start, end)
        until = min(market.server_time(), end)
        outcome = Ingested(
            symbol,
            result,
            stored,
            until,
            _told_otherwise(market, stored, interval),
            *_second_opinion(house, stored.tail(COMPARED_BARS), interval),
        )
        if house.settings().exchange != "local":
            _hold_or_lift(store.holds, outcome, interval, is_running=until < end)
    return outcome


def _told_otherwise(
    market: MarketData, stored: pl.DataFrame, interval: Interval
) -> tuple[datetime, ...]:
    """Return the open times of coarse bars that the exchange tells otherwise than ours."""
    if stored.is_empty() or interval.minutes >= COARSE.minutes:
        return ()
    first, last = COARSE.floor(stored["open_time"][0]), stored["open_time"][-1] + interval.duration
    built = resample(stored, COARSE).filter(
        (pl.col("open_time") >= stored["open_time"][0])
        & (pl.col("open_time") + COARSE.duration <= last)
    )
    own = market.klines(str(stored["symbol"][0]), COARSE, first, last)
    return tuple(differing(built, own)["open_time"])


def _second_opinion(house: House, bars: pl.DataFrame, interval: Interval) -> tuple[str, bool]:
    """Return why a second source tells of another market, and whether it could be asked at all."""
    second = house.second_market()
    if second is None or bars.is_empty():
        return "", False
    first, last = bars["open_time"][0], bars["open_time"][-1] + interval.duration
    try:
        theirs = second.klines(str(bars["symbol"][0]), interval, first, last)
    except (OutsideFailed, UnknownName) as error:
        return f"not compared: {error}", False
    return another_market(bars, theirs, is_same=house.settings().second_is_same) or "", True


def _hold_or_lift(holds: Holds, outcome: Ingested, interval: Interval, *, is_running: bool) -> None:
    """Hold entries for what was found, and lift what is found no more; a foreign venue never.

    The month that runs decides; an older one tells of a foreign venue only. The local testnet may
    be started with another market at any time; nothing is held for that.
    """
    found = outcome.findings(interval)
    for source, sentence in found.items():
        if is_running or source == FOREIGN_VENUE:
            holds.place(outcome.symbol, source, sentence)
    for source in LIFTED if is_running else ():
        if source not in found:
            holds.lift(outcome.symbol, source)


def _version(outcomes: list[Ingested]) -> dg.DataVersion:
    """Same bars, same version: what stands downstream is stale only when a bar changed."""
    return dg.DataVersion(fingerprint(pl.concat(outcome.stored for outcome in outcomes)))


ASSETS: list[dg.AssetsDefinition | dg.AssetSpec] = [
    instruments,
    bars_asset(configured_interval()),
    revisions_spec(configured_interval()),
]
CHECKS: list[dg.AssetChecksDefinition] = [clock_skew]
