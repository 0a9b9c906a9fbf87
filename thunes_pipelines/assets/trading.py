"""The tick as an asset: one pass from reconcile to audit, with its decision shown.

Add here: an asset of the trading path. Keep out: order logic (core), adapters (wiring), its checks
and its metadata (beside this file).
"""

from collections.abc import Iterator

import dagster as dg

from thunes_core.errors import BreakerOpen, LeaseHeld
from thunes_pipelines import policies
from thunes_pipelines.assets import trading_checks, trading_metadata
from thunes_pipelines.assets.market import bars_key, configured_interval
from thunes_pipelines.failures import told_plainly
from thunes_pipelines.resources.house import House


@dg.asset(
    key=policies.TRADE_TICK,
    deps=[bars_key(configured_interval()), policies.CHAMPION],
    group_name=policies.TRADING,
    owners=policies.OWNERS,
    kinds={"python", "sqlite"},
    pool=policies.TRADING_POOL,
    check_specs=trading_checks.SPECS,
    output_required=False,
    description=(
        "One tick of every configured strategy and symbol: reconcile with the exchange, decide on "
        "the newest closed bar with the champion's parameters, pass the risk gate, trade, audit."
    ),
)
def trade_tick(
    context: dg.AssetExecutionContext, house: House
) -> Iterator[dg.MaterializeResult[None] | dg.AssetCheckResult]:
    """Run one tick and show what it decided and did; an expected error fails with one sentence.

    While another process trades the account, or the breaker is open and nothing is held, the run
    succeeds without a materialisation: it was skipped, and says why.
    """
    try:
        with told_plainly(but=(LeaseHeld, BreakerOpen)):
            report = house.tick()
    except (LeaseHeld, BreakerOpen) as skipped:
        context.log.warning(f"skipped: {skipped}")
        context.instance.add_run_tags(context.run.run_id, {policies.DECISION: "skipped"})
        yield from trading_checks.skipped(skipped)
        return
    context.log.info(trading_metadata.sentence(report))
    if report.decisions:
        short = {policies.DECISION: trading_metadata.in_short(report)}
        context.instance.add_run_tags(context.run.run_id, short)
    yield dg.MaterializeResult(
        metadata=trading_metadata.of_tick(report), check_results=trading_checks.results(report)
    )


ASSETS: list[dg.AssetsDefinition] = [trade_tick]
CHECKS: list[dg.AssetChecksDefinition] = []
