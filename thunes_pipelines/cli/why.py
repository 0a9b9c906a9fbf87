"""The command `why`: the chain behind an order, and all that stands on a month of bars.

Add here: another way to show the chain. Keep out: following it (lineage).
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing
from typing import Annotated, Any

import typer
from rich.tree import Tree

from thunes_core.errors import BadInput
from thunes_core.settings import load
from thunes_pipelines import lineage
from thunes_pipelines.cli.inputs import parse_month
from thunes_pipelines.cli.output import console, emit_json
from thunes_pipelines.resources import wiring

_MONTHS_SHOWN = 14


def add_to(app: typer.Typer) -> None:
    """Register the commands of this file."""
    app.command("why")(why_command)


def why_command(
    order: Annotated[str | None, typer.Argument(help="Its id, ours or the exchange's.")] = None,
    month: Annotated[
        str | None, typer.Option(help="Instead: what stands on the bars of this month (2025-03).")
    ] = None,
    symbol: Annotated[
        str | None, typer.Option(help="Of the order; with --month, by default the first.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")] = False,
) -> None:
    """Say why an order was sent: decision, parameters, evidence, bars, code."""
    if (order is None) == (month is None):
        raise BadInput("why: expected the id of an order, or --month YYYY-MM; give one of them")
    settings = load()
    with closing(wiring.ledger(settings)) as ledger:
        sources = lineage.Sources(ledger, wiring.registry(settings), wiring.bar_store(settings))
        if order is not None:
            found, title = lineage.why(order, sources, symbol), f"order {order}"
        else:
            of = symbol or settings.symbols[0]
            found = lineage.stands_on(of, parse_month(str(month), "--month"), sources)
            title = f"bars {found['partition']}"
    if json:
        emit_json(found)
    else:
        console.print(_tree(Tree(f"[bold]{title}[/]"), found))


def _tree(tree: Tree, facts: Mapping[str, Any]) -> Tree:
    for name, value in facts.items():
        if isinstance(value, Mapping):
            _tree(tree.add(f"[bold]{name}[/]"), value)
        elif isinstance(value, list) and value and isinstance(value[0], Mapping):
            _rows(tree.add(f"[bold]{name}[/] ({len(value)})"), value)
        elif value not in (None, "", []):
            tree.add(f"{name}: {_text(value)}")
    return tree


def _rows(branch: Tree, rows: list[Mapping[str, Any]]) -> None:
    for row in rows[-_MONTHS_SHOWN:]:
        branch.add("  ".join(_text(value) for value in row.values() if value not in (None, "")))


def _text(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "–"
    return str(value)
