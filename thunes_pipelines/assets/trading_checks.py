"""What is checked of a tick, from its report alone: both checks warn, neither holds back an exit.

Add here: a check of a tick. Keep out: asking the exchange or the ledger again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import dagster as dg

from thunes_core.domain.orders import OrderStatus
from thunes_core.domain.portfolio import TradingState
from thunes_pipelines import policies
from thunes_pipelines.checks import warning

if TYPE_CHECKING:
    from thunes_core.domain.records import StateRecord
    from thunes_core.errors import AnswerIsNo
    from thunes_core.trading.world import TickReport

SPECS = [
    dg.AssetCheckSpec(
        "orders_resolved",
        asset=policies.TRADE_TICK,
        description="The outcome of every order this tick dealt with is known.",
    ),
    dg.AssetCheckSpec(
        "free_to_trade",
        asset=policies.TRADE_TICK,
        description="The trading state is ACTIVE: no loss limit and no person holds entries back.",
    ),
]


def results(report: TickReport) -> list[dg.AssetCheckResult]:
    """Return the result of every check in `SPECS`."""
    unknown = [o.client_order_id for o in report.orders if o.status is OrderStatus.UNKNOWN]
    state = report.state
    return [
        warning(
            "orders_resolved",
            passed=not unknown,
            why=f"outcome not known: {', '.join(unknown)}" if unknown else "every outcome is known",
            unknown=len(unknown),
        ),
        warning(
            "free_to_trade",
            passed=state.state is TradingState.ACTIVE,
            why=_said(state),
        ),
    ]


def skipped(why: AnswerIsNo) -> list[dg.AssetCheckResult]:
    """Return the results of a tick that was skipped: nothing was dealt with, nothing is wrong."""
    return [warning(spec.name, passed=True, why=f"skipped: {why}") for spec in SPECS]


def _said(state: StateRecord) -> str:
    """Say the state with reason and author, and since when where anybody ever changed it."""
    if not state.since.timestamp():
        return f"{state.state}, {state.reason}"
    return f"{state.state} since {state.since:%Y-%m-%d %H:%M}, {state.author}: {state.reason}"
