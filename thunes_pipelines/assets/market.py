"""What the exchange offers and what it traded: instruments, and bars by month and symbol.

The bars asset is named after the configured interval (`bars_1h`), so that its partitions stay what
they were when the interval is changed.

Add here: an asset about the market. Keep out: formats, storage, validation (core); its checks and
its metadata (beside this file).
"""

from datetime import datetime, timedelta
from typing import Any

import dagster as dg
import polars as pl

from thunes_core.adapters.bars.holds import Holds
from thunes_core.adapters.bars.ingest import ingest_window
from thunes_core.clock import SystemClock
from thunes_core.domain.agreement import differing
from thunes_core.domain.bars import Interval, fingerprint, resample
from thunes_core.errors import SettingsInvalid
from thunes_core.settings import load
from thunes_core.trading.ports import MarketData
from thunes_pipelines.assets import market_checks, market_metadata
from thunes_pipelines.assets.market_checks import CROSS_INTERVAL, Ingested
from thunes_pipelines.checks import warning
from thunes_pipelines.failures import told_plainly
from thunes_pipelines.partitions import BARS_PARTITIONS, MONTH, SYMBOL, month_window
from thunes_pipelines.policies import BARS_FRESHNESS, EXCHANGE_POOL, MARKET, READ_RETRIES
from thunes_pipelines.resources.house import House

OWNERS = ["team:market"]
MAX_PARTITIONS_PER_RUN = 12
COARSE = Interval.D1
"""The exchange's own bars of this interval are compared with ours."""
CLOCK_SKEW = timedelta(seconds=1)


def bars_key(interval: Interval) -> dg.AssetKey:
    """Return the asset key of the bars of one interval.

    >>> bars_key(Interval.H1).to_user_string()
    'bars_1h'
    """
    return dg.AssetKey(f"bars_{interval}")


def configured_interval() -> Interval:
    """Return the interval of the settings, or the default one while the settings are faulty.

    The code location then still loads, and the first run says what is wrong with the settings.
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
    """Compare the clocks; the local testnet's runs as it was told to and is not judged."""
    before = SystemClock().now()
    with told_plainly():
        theirs = house.market().server_time()
    ours = before + (SystemClock().now() - before) / 2
    skew = abs(theirs - ours)
    is_local = house.settings().exchange == "local"
    return warning(
        "clock_skew",
        passed=is_local or skew <= CLOCK_SKEW,
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
    def bars(context: dg.AssetExecutionContext, house: House) -> dg.MaterializeResult:  # type: ignore[type-arg] # Dagster knows it bare only
        outcomes = []
        for partition in context.partition_keys:
            outcome = _ingest(house, interval, partition)
            context.log.info(market_metadata.sentence(partition, outcome.result))
            context.add_asset_metadata(
                market_metadata.of_bars(partition, outcome), partition_key=partition
            )
            outcomes.append(outcome)
        return dg.MaterializeResult(
            data_version=_version(outcomes),
            check_results=market_checks.results(outcomes, interval),
        )

    return bars


def _ingest(house: House, interval: Interval, partition: str) -> Ingested:
    key = BARS_PARTITIONS.get_partition_key_from_str(partition).keys_by_dimension
    symbol, (start, end) = key[SYMBOL], month_window(key[MONTH])
    with told_plainly(retry_reads=True):
        market, store = house.market(), house.bars()
        result = ingest_window(market, store, symbol, interval, start, end)
        stored = store.read(symbol, interval, start, end)
        until = min(market.server_time(), end)
        outcome = Ingested(symbol, result, stored, until, _told_otherwise(market, stored, interval))
        if house.settings().exchange != "local":
            _hold_or_lift(store.holds, outcome)
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


def _hold_or_lift(holds: Holds, outcome: Ingested) -> None:
    """Hold entries for what was found. A foreign venue is lifted by a person only.

    The local testnet may be started with another market at any time; nothing is held for that.
    """
    found = outcome.findings()
    for source, sentence in found.items():
        holds.place(outcome.symbol, source, sentence)
    if CROSS_INTERVAL not in found:
        holds.lift(outcome.symbol, CROSS_INTERVAL)


def _version(outcomes: list[Ingested]) -> dg.DataVersion:
    """Same bars, same version: what stands downstream is stale only when a bar changed."""
    return dg.DataVersion(fingerprint(pl.concat(outcome.stored for outcome in outcomes)))


ASSETS: list[dg.AssetsDefinition] = [instruments, bars_asset(configured_interval())]
CHECKS: list[dg.AssetChecksDefinition] = [clock_skew]
