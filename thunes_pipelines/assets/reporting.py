"""The daily report as an asset: written as files, shown in the UI with its plot.

Add here: an asset that tells people. Keep out: what it does (`thunes_pipelines.daily_writing`).
"""

from datetime import date
from typing import Any

import dagster as dg

from thunes_pipelines import partitions, policies
from thunes_pipelines.resources.house import House


@dg.multi_asset(
    name="write_daily_report",  # the step: `daily_report` is the job, and names may not clash
    specs=[
        dg.AssetSpec(
            key=policies.DAILY_REPORT,
            deps=[dg.AssetKey("trade_tick")],
            group_name=policies.REPORTING,
            owners=policies.OWNERS,
            kinds={"python", "html"},
            freshness_policy=policies.REPORT_FRESHNESS,
            description=(
                "One UTC day of trading on the exchange's clock: PnL, trades, positions, risk, "
                "champions and the system's health, as a page, Markdown and text under "
                "THUNES_HOME/reports. It names the head of the audit chain, and the chain's new "
                "lines go to THUNES_HOME/audit."
            ),
        )
    ],
    partitions_def=partitions.DAYS,
)
def daily_report(context: dg.AssetExecutionContext, house: House) -> dg.MaterializeResult[Any]:
    """Gather the day's facts, write the report and leave it where people find it."""
    from thunes_pipelines.daily_writing import write_day  # what no tick needs

    told = write_day(context.instance, house, date.fromisoformat(context.partition_key))
    context.log.info(told.text)
    return dg.MaterializeResult(metadata=told.metadata)


ASSETS = [daily_report]
CHECKS: list[dg.AssetChecksDefinition] = []
