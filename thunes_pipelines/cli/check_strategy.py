"""The command `check-strategy`: whether a strategy of one's own peeks into the future.

Add here: nothing but this command. Keep out: what is checked (`thunes_core.backtest.lookahead`).
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import polars as pl
import typer
from rich.table import Table

from thunes_pipelines.cli.inputs import parse_object, read_bars
from thunes_pipelines.cli.output import console, emit_json

if TYPE_CHECKING:
    from thunes_core.backtest.lookahead import Check
    from thunes_core.backtest.strategy_file import StrategySource

MARKET_BARS = 900
REAL_BARS = 4000
"""Of real bars the newest so many are looked at: enough to act on, few enough to be quick."""


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command("check-strategy")(check_strategy_command)


def check_strategy_command(
    file: Annotated[Path, typer.Argument(help="Python file that defines the strategy.")],
    params: Annotated[str, typer.Option(help="JSON object of its parameters.")] = "{}",
    bars: Annotated[Path | None, typer.Option(help="Real bars to probe on as well.")] = None,
    interval: Annotated[
        str | None, typer.Option(help="Of the bars. Default: the file's, else 1h.")
    ] = None,
    places: Annotated[int, typer.Option(min=4, max=1000, help="Bars probed per market.")] = 24,
    seed: Annotated[int, typer.Option(min=0, help="Same seed, same probes.")] = 0,
    json: Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")] = False,
) -> None:
    """Look for look-ahead, leaking state, too short a warm-up and wrong exposures.

    Executes the file. Exit code 1 when a check fails, 2 when the file is no strategy.
    """
    from thunes_core.backtest.lookahead import check_strategy
    from thunes_core.backtest.strategy_file import load_strategies

    values = parse_object(params, "--params")
    real = None if bars is None else read_bars(bars, interval=interval).tail(REAL_BARS)
    found = []
    for source in load_strategies(file):
        frames = _frames(source, values, real, interval, seed)
        checks = check_strategy(partial(source.fresh, values), frames, places=places, seed=seed)
        found.append(_document(source, values, checks))
    document = {"file": str(file), "passed": all(s["passed"] for s in found), "strategies": found}
    emit_json(document) if json else _print(document)
    if not document["passed"]:
        raise typer.Exit(1)


def _frames(
    source: StrategySource,
    values: dict[str, Any],
    real: pl.DataFrame | None,
    interval: str | None,
    seed: int,
) -> list[pl.DataFrame]:
    """Return invented markets of the interval, long enough for the warm-up, and the real bars."""
    from thunes_core.backtest.scenarios import markets
    from thunes_core.domain.bars import parse_interval

    warmup = source.fresh(values).warmup_bars
    count = MARKET_BARS + (3 * warmup if isinstance(warmup, int) else 0)
    length = interval or "1h" if real is None else real["interval"][0]
    return [*markets(parse_interval(length), count, seed), *([] if real is None else [real])]


def _document(
    source: StrategySource, values: dict[str, Any], checks: list[Check]
) -> dict[str, Any]:
    return {
        "strategy": source.name,
        "class": source.class_name,
        "parameters": values,
        "passed": all(check.passed for check in checks),
        "checks": [{"name": c.name, "passed": c.passed, "sentence": c.sentence} for c in checks],
    }


def _print(document: dict[str, Any]) -> None:
    for strategy in document["strategies"]:
        table = Table(title=f"{strategy['strategy']} ({document['file']})")
        table.add_column("check")
        table.add_column("")
        table.add_column("what was seen")
        for check in strategy["checks"]:
            mark = "[green]ok[/]" if check["passed"] else "[red]FAILS[/]"
            table.add_row(check["name"], mark, check["sentence"])
        console.print(table)
