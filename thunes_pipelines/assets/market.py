"""What the exchange offers and what it traded: instruments, and bars by month and symbol.

The bars asset is named after the configured interval (`bars_1h`), so that its partitions stay what
they were when the interval is changed.

Add here: an asset about the market. Keep out: formats, storage, validation (core); its checks and
its metadata (beside this file).
"""

from typing import Any

import dagster as dg
import polars as pl

from thunes_core.adapters.bars.ingest import ingest_window
from thunes_core.domain.bars import Interval, fingerprint
from thunes_core.errors import SettingsInvalid
from thunes_core.settings import load
from thunes_pipelines.assets import market_checks, market_metadata
from thunes_pipelines.assets.market_checks import Ingested
from thunes_pipelines.failures import told_plainly
from thunes_pipelines.partitions import BARS_PARTITIONS, MONTH, SYMBOL, month_window
from thunes_pipelines.policies import EXCHANGE_POOL, MARKET, READ_RETRIES
from thunes_pipelines.resources.house import House

OWNERS = ["team:market"]
MAX_PARTITIONS_PER_RUN = 12


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
    start, end = month_window(key[MONTH])
    with told_plainly(retry_reads=True):
        market, store = house.market(), house.bars()
        result = ingest_window(market, store, key[SYMBOL], interval, start, end)
        stored = store.read(key[SYMBOL], interval, start, end)
        return Ingested(result, stored, min(market.server_time(), end))


def _version(outcomes: list[Ingested]) -> dg.DataVersion:
    """Same bars, same version: what stands downstream is stale only when a bar changed."""
    return dg.DataVersion(fingerprint(pl.concat(outcome.stored for outcome in outcomes)))


ASSETS: list[dg.AssetsDefinition] = [instruments, bars_asset(configured_interval())]
CHECKS: list[dg.AssetChecksDefinition] = []
