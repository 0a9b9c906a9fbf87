"""What the exchange offers and what it traded: instruments, and bars by month and symbol.

The bars asset is named after the configured interval (`bars_1h`), so that its partitions stay what
they were when the interval is changed. Its checks are computed in the same step: schema and
duplicates hold everything downstream back, gaps and freshness warn.

Add here: an asset about the market. Keep out: formats, storage, validation (core).
"""

import base64
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import dagster as dg
import polars as pl

from thunes_core.adapters.bars.ingest import IngestResult, ingest_window
from thunes_core.adapters.bars.sift import CONFLICTING
from thunes_core.domain.bars import Gap, Interval, fingerprint
from thunes_core.domain.instrument import Instrument
from thunes_core.errors import SettingsInvalid
from thunes_core.settings import load
from thunes_pipelines.failures import told_plainly
from thunes_pipelines.partitions import BARS_PARTITIONS, MONTH, SYMBOL, month_window
from thunes_pipelines.policies import EXCHANGE_POOL, MARKET, READ_RETRIES
from thunes_pipelines.resources.house import House

OWNERS = ["team:market"]
MAX_MONTHS_PER_RUN = 12
FRESH_INTERVALS = 2
"""A running month is fresh when its last bar closed at most so many intervals ago."""


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
    return dg.MaterializeResult(
        metadata={
            "symbols": len(found),
            "halted": sum(i.status != "TRADING" for i in found.values()),
            "instruments": dg.MetadataValue.table([_instrument_row(i) for i in found.values()]),
        },
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
        backfill_policy=dg.BackfillPolicy.multi_run(MAX_MONTHS_PER_RUN),
        check_specs=_check_specs(key),
        description=(
            f"Closed {interval} bars of one symbol and month, as the exchange reports them now. "
            "A run replaces exactly its window; revised bars are kept as older versions."
        ),
    )
    def bars(context: dg.AssetExecutionContext, house: House) -> Iterator[Any]:
        for partition in context.partition_keys:
            yield from _ingest(context, house, interval, partition)

    return bars


def _ingest(
    context: dg.AssetExecutionContext, house: House, interval: Interval, partition: str
) -> Iterator[Any]:
    month, symbol = _dimensions(partition)
    start, end = month_window(month)
    with told_plainly(retry_reads=True):
        market, store = house.market(), house.bars()
        result = ingest_window(market, store, symbol, interval, start, end)
        stored = store.read(symbol, interval, start, end)
        now = market.server_time()
    context.log.info(
        f"{symbol} {interval} {month}: {result.received} received, {result.written} new, "
        f"{result.revised} revised, {result.refused} refused, {len(result.gaps)} gaps"
    )
    yield dg.MaterializeResult(
        metadata=_metadata(result, stored, f"{symbol} {interval} {month}"),
        data_version=dg.DataVersion(fingerprint(stored)),
        check_results=_check_results(result, stored, interval, min(now, end)),
    )


def _dimensions(partition: str) -> tuple[str, str]:
    key = BARS_PARTITIONS.get_partition_key_from_str(partition).keys_by_dimension
    return key[MONTH], key[SYMBOL]


def _check_specs(key: dg.AssetKey) -> list[dg.AssetCheckSpec]:
    return [
        dg.AssetCheckSpec(
            "schema", asset=key, blocking=True, description="Every row received is a valid bar."
        ),
        dg.AssetCheckSpec(
            "duplicates",
            asset=key,
            blocking=True,
            description="No bar came in versions that contradict each other.",
        ),
        dg.AssetCheckSpec(
            "gaps", asset=key, description="No bar is missing between the first and the last."
        ),
        dg.AssetCheckSpec(
            "freshness",
            asset=key,
            description=f"The last bar closed at most {FRESH_INTERVALS} intervals ago.",
        ),
    ]


def _check_results(
    result: IngestResult, stored: pl.DataFrame, interval: Interval, until: datetime
) -> list[dg.AssetCheckResult]:
    conflicts = sum(p.rows for p in result.problems if p.kind == CONFLICTING)
    missing = sum(g.bars for g in result.gaps)
    last = stored["open_time"].max() if stored.height else None
    behind = (until - last) // interval.duration - 1 if isinstance(last, datetime) else None
    return [
        dg.AssetCheckResult(
            check_name="schema",
            passed=result.refused == conflicts,
            metadata={"refused_rows": result.refused - conflicts},
        ),
        dg.AssetCheckResult(
            check_name="duplicates",
            passed=conflicts == 0,
            metadata={"contradicting_rows": conflicts},
        ),
        _warning("gaps", passed=missing == 0, missing_bars=missing),
        _warning(
            "freshness",
            passed=behind is not None and behind < FRESH_INTERVALS,
            bars_behind=behind if behind is not None else "no bars",
        ),
    ]


def _warning(name: str, *, passed: bool, **metadata: Any) -> dg.AssetCheckResult:
    return dg.AssetCheckResult(
        check_name=name, passed=passed, severity=dg.AssetCheckSeverity.WARN, metadata=metadata
    )


def _metadata(result: IngestResult, stored: pl.DataFrame, title: str) -> dict[str, Any]:
    span = {
        name: dg.MetadataValue.timestamp(moment)
        for name, moment in (("first_bar", result.first), ("last_bar", result.last))
        if moment
    }
    return {
        "dagster/partition_row_count": stored.height,
        "received": result.received,
        "new": result.written,
        "revised": result.revised,
        "withdrawn": result.withdrawn,
        "refused": result.refused,
        **span,
        "gaps": dg.MetadataValue.table([_gap_row(g) for g in result.gaps], schema=_GAP_TABLE),
        "problems": dg.MetadataValue.json({p.kind: p.rows for p in result.problems}),
        "price": dg.MetadataValue.md(_picture(stored, title)),
    }


_GAP_TABLE = dg.TableSchema(
    [dg.TableColumn("first_missing"), dg.TableColumn("last_missing"), dg.TableColumn("bars", "int")]
)


def _gap_row(gap: Gap) -> dg.TableRecord:
    return dg.TableRecord(
        {
            "first_missing": f"{gap.start:%Y-%m-%d %H:%M}",
            "last_missing": f"{gap.end:%Y-%m-%d %H:%M}",
            "bars": gap.bars,
        }
    )


def _instrument_row(instrument: Instrument) -> dg.TableRecord:
    return dg.TableRecord(
        {
            "symbol": instrument.symbol,
            "status": instrument.status,
            "base": instrument.base_asset,
            "quote": instrument.quote_asset,
            "tick_size": str(instrument.tick_size),
            "step_size": str(instrument.step_size),
            "min_quantity": str(instrument.min_quantity),
            "min_notional": str(instrument.min_notional),
        }
    )


def _picture(bars: pl.DataFrame, title: str) -> str:
    from thunes_core.reporting.plots import price_trades_png

    png = base64.b64encode(price_trades_png(bars, _no_trades(), title)).decode()
    return f"![{title}](data:image/png;base64,{png})"


def _no_trades() -> pl.DataFrame:
    names = ("entry_time", "entry_price", "exit_time", "exit_price", "pnl")
    return pl.DataFrame(schema=dict.fromkeys(names, pl.Float64()))


ASSETS: list[dg.AssetsDefinition] = [instruments, bars_asset(configured_interval())]
CHECKS: list[dg.AssetChecksDefinition] = []
