"""What the UI shows of a tick: the decision in a sentence, tables of what was asked and done.

Add here: a figure of a tick for the UI. Keep out: computing it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import dagster as dg

if TYPE_CHECKING:
    from thunes_core.trading.world import TickReport

NOTHING = "nothing"
COLUMNS = {
    "decisions": ("strategy", "symbol", "bar", "previous_target", "target", "why"),
    "orders": ("client_order_id", "symbol", "side", "type", "quantity", "reason", "status", "why"),
    "refused": ("symbol", "side", "quantity", "code", "why"),
    "fills": ("trade_id", "symbol", "side", "quantity", "price", "fee", "fee_asset", "time"),
}


def sentence(report: TickReport) -> str:
    """Return why this tick did what it did: one sentence a decision."""
    told = [
        f"{d.strategy} {d.symbol}, bar {d.bar:%Y-%m-%d %H:%M}: {d.why}." for d in report.decisions
    ]
    return " ".join(told) or "No new bar to decide on."


def in_short(report: TickReport) -> str:
    """Return the exposures decided on in a few words, for the list of runs.

    >>> from types import SimpleNamespace as Some
    >>> went = Some(symbol="BTCUSDT", previous_target=0.0, target=1.0)
    >>> in_short(Some(decisions=[went]))
    'BTCUSDT 0 to 1'
    """
    return ", ".join(f"{d.symbol} {d.previous_target:g} to {d.target:g}" for d in report.decisions)


def of_tick(report: TickReport) -> dict[str, Any]:
    """Return the metadata of one tick; money as floats for the UI's plots, exact in the tables."""
    told = report.as_dict()
    tables = {
        part: dg.MetadataValue.md(table(told[part], columns)) for part, columns in COLUMNS.items()
    }
    return {
        "decision": sentence(report),
        "server_time": dg.MetadataValue.timestamp(report.server_time),
        "state": str(report.state.state),
        "state_reason": report.state.reason,
        "equity": float(report.equity),
        "orders_sent": len(report.orders),
        "fills_seen": len(report.fills),
        **{f"{d.strategy}.{d.symbol}.target": float(d.target) for d in report.decisions},
        **tables,
        "notes": dg.MetadataValue.md("\n".join(f"- {note}" for note in report.notes) or NOTHING),
    }


def table(rows: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> str:
    """Return the named columns of rows as a Markdown table.

    >>> print(table([{"a": 1, "b": "x|y", "c": 2}], ("a", "b")))
    | a | b |
    | --- | --- |
    | 1 | x/y |
    """
    if not rows:
        return NOTHING
    cells = [[_cell(row[name]) for name in columns] for row in rows]
    lines = [list(columns), ["---"] * len(columns), *cells]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _cell(value: Any) -> str:
    return "" if value is None else str(value).replace("|", "/").replace("\n", " ")
