"""The lineage as an asset: from the newest fills back to bars, from revised bars forward.

Add here: what is shown of the chain. Keep out: following it (`thunes_pipelines.lineage`).
"""

from contextlib import closing
from typing import Any

import dagster as dg

from thunes_pipelines import lineage as chain
from thunes_pipelines import policies
from thunes_pipelines.assets.market import bars_dep
from thunes_pipelines.failures import told_plainly
from thunes_pipelines.resources.house import House

FILLS_SHOWN = 20
_BACK = ("fill", "order", "decided", "version", "evidence", "trial", "months", "revised", "code")
_FORWARD = ("partition", "state", "study", "version", "aliases", "decisions", "orders")


@dg.asset(
    key=policies.LINEAGE,
    deps=[bars_dep(), policies.TRADE_TICK],
    group_name=policies.REPORTING,
    owners=policies.OWNERS,
    kinds={"mlflow"},
    check_specs=[
        dg.AssetCheckSpec(
            "evidence_stands",
            asset=policies.LINEAGE,
            description="No champion stands on bars that were revised since.",
        )
    ],
    description=(
        "Why the newest fills happened: order, decision, version, evidence with its trial, months "
        "of bars and code; and what stands on months of bars that were revised since."
    ),
)
def lineage(house: House) -> dg.MaterializeResult:  # type: ignore[type-arg] # with checks, Dagster knows it bare only
    """Follow the chain both ways and show it; `thunes why` shows one order or month in full."""
    with told_plainly(), closing(house.ledger()) as ledger:
        sources = chain.Sources(ledger, house.registry(), house.bars())
        fills, moved = chain.newest_fills(sources, FILLS_SHOWN), chain.revised(sources)
    shaken = sorted({row["study"] for row in moved if "champion" in row["aliases"]})
    return dg.MaterializeResult(
        metadata={
            "back": dg.MetadataValue.md(_table(_BACK, [_back(one) for one in fills])),
            "forward": dg.MetadataValue.md(_table(_FORWARD, [_forward(row) for row in moved])),
            "fills": len(fills),
            "revised_months": len(moved),
        },
        check_results=[
            dg.AssetCheckResult(
                check_name="evidence_stands",
                passed=not shaken,
                severity=dg.AssetCheckSeverity.WARN,
                metadata={"champions": ", ".join(shaken) or "none", "months": len(moved)},
            )
        ],
    )


def _back(one: chain.Facts) -> dict[str, Any]:
    """Return one fill with its chain in a line."""
    fill, order, parameters = one["fill"], one["order"], one["parameters"]
    evidence, months = one["evidence"], one["bars"]
    return {
        "fill": f"{fill['time']:%Y-%m-%d %H:%M} {order['side']} {fill['quantity_text']} "
        f"{order['symbol']} at {fill['price_text']}",
        "order": f"`{order['client_order_id']}`",
        "decided": one["decision"]["why"] or order["reason"],
        "version": f"{order['strategy']} {parameters['version'] or parameters.get('missing', '')}",
        "evidence": f"[run]({evidence['url']})" if evidence["url"] else "not reachable",
        "trial": evidence["trial"] or "",
        "months": len(months),
        "revised": sum(month["state"] != chain.UNCHANGED for month in months),
        "code": evidence["code"] or "",
    }


def _forward(row: chain.Facts) -> dict[str, Any]:
    """Return one revised month under one version in a line."""
    orders = row["orders"]
    return {**row, "aliases": ", ".join(row["aliases"]), "orders": len(orders)}


def _table(names: tuple[str, ...], rows: list[dict[str, Any]]) -> str:
    if not rows:
        return "none"
    head = [f"| {' | '.join(names)} |", f"|{'---|' * len(names)}"]
    return "\n".join([*head, *(f"| {' | '.join(_cell(row[n]) for n in names)} |" for row in rows)])


def _cell(value: object) -> str:
    return str(value).replace("|", "\\|").replace("\n", " ")


ASSETS: list[dg.AssetsDefinition] = [lineage]
CHECKS: list[dg.AssetChecksDefinition] = []
