"""Jobs: what can be launched, by name. Selections go by group, so that a new asset joins by itself.

Add here: a job. Keep out: when it runs (schedules, sensors), what its steps do (assets).
"""

from contextlib import closing
from datetime import timedelta

import dagster as dg
from dagster._core.definitions.unresolved_asset_job_definition import (
    UnresolvedAssetJobDefinition as UnresolvedAssetJob,
)

from thunes_core.clock import SystemClock
from thunes_pipelines import policies
from thunes_pipelines.failures import told_plainly
from thunes_pipelines.resources.house import House

INGEST = dg.define_asset_job(
    "ingest",
    selection=dg.AssetSelection.groups(policies.MARKET),
    description="Ask the exchange for one month of one symbol's bars, check and store them.",
    tags=policies.INGEST_TAGS,
)
REOPTIMISE = dg.define_asset_job(
    "reoptimise",
    selection=dg.AssetSelection.groups(policies.RESEARCH),
    description=(
        "Walk one study forward, register the candidate with its evidence, check it, and promote "
        "it to champion when every blocking check passes."
    ),
    tags=policies.RESEARCH_TAGS,
)
TRADE = dg.define_asset_job(
    "trade",
    selection=dg.AssetSelection.groups(policies.TRADING),
    description="One tick: reconcile, decide on the newest closed bar, trade, audit; no retry.",
    tags=policies.TICK_TAGS,
    executor_def=dg.in_process_executor,
)
REPORT = dg.define_asset_job(
    "daily_report",
    selection=dg.AssetSelection.groups(policies.REPORTING)
    - dg.AssetSelection.assets(policies.WAREHOUSE, policies.LINEAGE, policies.LIVE_PARITY),
    description="Write the report of one day: result, trades, positions, health.",
)
PARITY = dg.define_asset_job(
    "compare_live_with_backtest",
    selection=dg.AssetSelection.assets(policies.LIVE_PARITY),
    description="Compare one day's real orders with the backtest of the same bars, one by one.",
)
PUBLISH = dg.define_asset_job(
    "publish_warehouse",
    selection=dg.AssetSelection.assets(policies.WAREHOUSE),
    description="Publish bars, trades, decisions and reports as tables for people and notebooks.",
)

SHOW_LINEAGE = dg.define_asset_job(
    "show_lineage",
    selection=dg.AssetSelection.assets(policies.LINEAGE),
    description="Follow the newest fills back to their bars, and revised bars forward to orders.",
)


class Promotion(dg.Config):
    """Which study, which of its registered versions (none: the newest), and a person's reason."""

    study: str
    version: str | None = None
    although: str | None = None


class Study(dg.Config):
    """Which study, as `strategy.SYMBOL.interval`."""

    study: str


class Retention(dg.Config):
    """How long the runs of finished ticks are kept, and how many may go at once."""

    keep_days: int = policies.KEEP_TICK_DAYS
    at_most: int = 2_000


@dg.op(description="Give the alias `champion` to a registered version.")
def promote_version(context: dg.OpExecutionContext, config: Promotion, house: House) -> None:
    """Promote one version of a study; `NoChampion` when there is none to promote."""
    with told_plainly(), closing(house.ledger()) as ledger:
        promoting = house.promoting(ledger)
        champion = promoting.promote(config.study, config.version, although=config.although)
    context.log.info(f"{champion.study}: champion is now version {champion.version}")


@dg.op(description="Give the alias `champion` back to the version that had it before.")
def roll_back_version(context: dg.OpExecutionContext, config: Study, house: House) -> None:
    """Roll a study back to its previous champion."""
    with told_plainly(), closing(house.ledger()) as ledger:
        champion = house.promoting(ledger).rollback(config.study)
    context.log.info(f"{champion.study}: champion is again version {champion.version}")


@dg.op(description="Delete the runs of old ticks; their decisions stay in the ledger.")
def delete_old_ticks(context: dg.OpExecutionContext, config: Retention) -> None:
    """Delete finished `trade` runs older than `keep_days`, oldest first."""
    before = SystemClock().now() - timedelta(days=config.keep_days)
    finished = dg.RunsFilter(
        job_name=TRADE.name,
        created_before=before,
        statuses=[
            dg.DagsterRunStatus.SUCCESS,
            dg.DagsterRunStatus.FAILURE,
            dg.DagsterRunStatus.CANCELED,
        ],
    )
    old = context.instance.get_run_records(finished, limit=config.at_most, ascending=True)
    for record in old:
        context.instance.delete_run(record.dagster_run.run_id)
    context.log.info(f"deleted {len(old)} runs of ticks from before {before:%Y-%m-%d}")


@dg.job(name="promote", description="Promote a registered version of a study to champion.")
def promote() -> None:
    """Promote in one action."""
    promote_version()


@dg.job(name="rollback", description="Return a study to the champion it had before.")
def rollback() -> None:
    """Roll back in one action."""
    roll_back_version()


@dg.job(name="tidy", description="Delete runs of old ticks; Dagster itself never forgets one.")
def tidy() -> None:
    """Keep Dagster's own store small."""
    delete_old_ticks()


JOBS: list[dg.JobDefinition | UnresolvedAssetJob] = [
    INGEST,
    REOPTIMISE,
    TRADE,
    REPORT,
    PARITY,
    PUBLISH,
    SHOW_LINEAGE,
    promote,
    rollback,
    tidy,
]
