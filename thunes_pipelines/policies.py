"""Policies: pools, tags, retries, run limits, freshness, groups and owners, each named once.

Add here: a rule of running that two assets or jobs share. Keep out: the assets and jobs.
"""

from __future__ import annotations

from datetime import timedelta

import dagster as dg

OWNERS = ["team:quant"]
MARKET, RESEARCH, TRADING, REPORTING = "market", "research", "trading", "reporting"

CHAMPION = dg.AssetKey("champion")
TRADE_TICK = dg.AssetKey("trade_tick")
DAILY_REPORT = dg.AssetKey("daily_report")
WAREHOUSE = dg.AssetKey("warehouse")
LINEAGE = dg.AssetKey("lineage")
LIVE_PARITY = dg.AssetKey("live_parity")
"""Keys that another file than the asset's own needs."""

EXCHANGE_POOL = "exchange"
TRADING_POOL = "trading"
RESEARCH_POOL = "research"
DUCKDB_POOL = "duckdb"

LANE = "thunes/lane"
CAUSE = "thunes/cause"
WHY = "thunes/why"
DECISION = "thunes/decision"
TRADING_LANE = {LANE: "trading"}
RESEARCH_LANE = {LANE: "research"}

READ_RETRIES = dg.RetryPolicy(
    max_retries=3, delay=2, backoff=dg.Backoff.EXPONENTIAL, jitter=dg.Jitter.PLUS_MINUS
)
"""For steps that only read the exchange and write the lake: repeating them is safe.

A step raises `dg.Failure(allow_retries=False)` for what the caller must correct.
"""

MAX_TICK_SECONDS = 300
MAX_INGEST_SECONDS = 3_600
MAX_RESEARCH_SECONDS = 4 * 3_600

TICK_TAGS = {
    **TRADING_LANE,
    "dagster/max_retries": "0",
    "dagster/max_runtime": str(MAX_TICK_SECONDS),
    "dagster/priority": "10",
}
"""A tick is never retried by Dagster: the next tick begins with reconcile."""

INGEST_TAGS = {"dagster/max_retries": "2", "dagster/max_runtime": str(MAX_INGEST_SECONDS)}
RESEARCH_TAGS = {
    **RESEARCH_LANE,
    "dagster/max_retries": "1",  # a worker that was killed: the search goes on where it was
    "dagster/max_runtime": str(MAX_RESEARCH_SECONDS),
}

KEEP_TICK_DAYS = 14
"""Runs of ticks are kept this long; what they did stays in the ledger for good."""

REOPTIMISE_COOL_OFF = timedelta(days=3)
"""One cause asks again for a new search only after this long, on the exchange's clock."""

BARS_FRESHNESS = dg.FreshnessPolicy.time_window(fail_window=timedelta(hours=3))
REPORT_FRESHNESS = dg.FreshnessPolicy.time_window(fail_window=timedelta(hours=26))
