"""The warehouse as an asset: what happened, as tables that people and notebooks query.

Add here: what is shown of it. Keep out: its tables and how it is replaced (core).
"""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dagster as dg

from thunes_pipelines import policies
from thunes_pipelines.assets.market import bars_dep, revisions_dep
from thunes_pipelines.failures import told_plainly
from thunes_pipelines.research_plan import walk_store
from thunes_pipelines.resources.house import House

if TYPE_CHECKING:
    from thunes_core.adapters.warehouse import Opened, Published


@dg.asset(
    key=policies.WAREHOUSE,
    deps=[bars_dep(), revisions_dep(), policies.TRADE_TICK, policies.DAILY_REPORT],
    group_name=policies.REPORTING,
    owners=policies.OWNERS,
    kinds={"duckdb"},
    pool=policies.DUCKDB_POOL,
    description=(
        "Bars, trades, equity, fills, orders, decisions, folds and reports as tables of one DuckDB "
        "file for people and notebooks. Built beside and moved into place: open it read-only at "
        "any time."
    ),
)
def warehouse(context: dg.AssetExecutionContext, house: House) -> dg.MaterializeResult[Any]:
    """Publish the read model anew; readers of the one before are not disturbed."""
    with told_plainly():
        published = _publish(house)
    context.log.info(f"{published.path}: {sum(published.rows.values()):,} rows")
    return dg.MaterializeResult(metadata=_metadata(published))


def _publish(house: House) -> "Published":
    from thunes_core.adapters.warehouse import all_parts, publish

    settings = house.settings()
    with closing(house.ledger()) as ledger:
        parts = all_parts(
            house.bars(), settings.interval, ledger, walk_store(settings), settings.reports_root
        )
        return publish(settings.warehouse_path, _connect, parts)


def _connect(path: Path) -> "Opened":
    """Open a new file; its path differs from the published one, so it is no shared resource."""
    from dagster_duckdb import DuckDBResource

    opened: Opened = DuckDBResource(database=str(path)).get_connection()
    return opened


def _metadata(published: "Published") -> dict[str, Any]:
    return {
        "tables": dg.MetadataValue.table(list(_records(published))),
        "path": dg.MetadataValue.path(published.path),
        "size_bytes": published.size,
        "dagster/row_count": sum(published.rows.values()),
    }


def _records(published: "Published") -> Iterator[dg.TableRecord]:
    for table, rows in published.rows.items():
        yield dg.TableRecord({"table": table, "rows": rows})


ASSETS = [warehouse]
CHECKS: list[dg.AssetChecksDefinition] = []
