"""The gate: the only place that makes an `ApprovedOrder`, and so the only way to the exchange.

Add here: nothing but the order of questions. Keep out: checks (beside), sending.
"""

from __future__ import annotations

from thunes_core.domain.orders import ApprovedOrder, OrderRequest, RefusedOrder
from thunes_core.risk.checks import ALWAYS, ENTRIES
from thunes_core.risk.facts import RiskFacts


def judge(request: OrderRequest, facts: RiskFacts) -> ApprovedOrder | RefusedOrder:
    """Let `request` through, or refuse it with the first reason that holds."""
    for code, check in ALWAYS if request.reduces else ALWAYS + ENTRIES:
        why = check(request, facts)
        if why is not None:
            return RefusedOrder(request, code, why)
    return ApprovedOrder(request, facts.now)
