"""The nightly parity as an asset: yesterday's real orders against the backtest of the same bars.

Add here: what is shown of it. Keep out: the comparison (services).
"""

from contextlib import closing
from datetime import date, datetime
from typing import Any

import dagster as dg
import polars as pl

from thunes_core.domain.limits import LotRules
from thunes_core.settings import Settings
from thunes_core.trading.world import Study
from thunes_pipelines import partitions, policies
from thunes_pipelines.assets.market import bars_key, configured_interval
from thunes_pipelines.failures import told_plainly
from thunes_pipelines.resources.house import House


@dg.asset(
    key=policies.LIVE_PARITY,
    deps=[bars_key(configured_interval()), policies.TRADE_TICK],
    group_name=policies.REPORTING,
    owners=policies.OWNERS,
    kinds={"python"},
    partitions_def=partitions.DAYS,
    description=(
        "One UTC day of real orders beside those of the backtest over the same bars, with the "
        "parameters that decided: the difference of each order in quantity and price, orders that "
        "are missing, and orders that should not have been."
    ),
)
def live_parity(context: dg.AssetExecutionContext, house: House) -> dg.MaterializeResult[Any]:
    """Compare the day of the partition, study by study; differences are shown, not raised."""
    day = partitions.day_edges(date.fromisoformat(context.partition_key))
    with told_plainly():
        rows = _rows(house, day)
    promised = {"promise": _promise(house.settings())}
    return dg.MaterializeResult(metadata={**_metadata(rows), **promised})


def _promise(settings: Settings) -> str:
    """Say whether the orders of the backtest are promised with these settings."""
    if settings.trailing_native and settings.trailing_stop:
        return "none: THUNES_TRAILING_NATIVE lets the exchange's own trail follow every trade"
    return "the backtest's orders, one for one"


def _rows(house: House, day: tuple[datetime, datetime]) -> pl.DataFrame:
    from thunes_pipelines.resources.wiring import limit_entry
    from thunes_pipelines.services.day_parity import DayTerms, study_parity

    settings, store = house.settings(), house.bars()

    def read(study: Study, start: datetime, end: datetime) -> pl.DataFrame:
        return store.read(study.symbol, study.interval, start, end)

    lots = _lots(house, settings)
    with closing(house.ledger()) as ledger:
        found = []
        for key in partitions.configured_studies(settings):
            terms = DayTerms(
                float(settings.allotment_quote),
                settings.costs,
                settings.protection,
                lots[key.split(".")[1]],
                limit_entry(settings),
            )
            found.append(study_parity(ledger, read, key, day, terms))
    return pl.concat(found)


def _lots(house: House, settings: Settings) -> dict[str, LotRules]:
    listed = house.market().instruments(settings.symbols)
    return {
        symbol: LotRules(float(one.step_size), float(one.min_quantity), float(one.min_notional))
        for symbol, one in listed.items()
    }


def _metadata(rows: pl.DataFrame) -> dict[str, Any]:
    from thunes_pipelines.services.day_parity import summary

    records = [
        dg.TableRecord({name: _shown(value) for name, value in row.items()})
        for row in rows.iter_rows(named=True)
    ]
    schema = dg.TableSchema(columns=[dg.TableColumn(name) for name in rows.columns])
    return {
        **summary(rows),
        "differences": dg.MetadataValue.table(records=records, schema=schema),
    }


def _shown(value: Any) -> Any:
    return value.isoformat() if isinstance(value, datetime) else value


ASSETS = [live_parity]
CHECKS: list[dg.AssetChecksDefinition] = []
