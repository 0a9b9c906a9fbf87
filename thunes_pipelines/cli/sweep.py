"""The command `sweep`: a row per combination of a grid, streamed to a Parquet or CSV file.

Add here: another way of showing a sweep. Keep out: sweeping.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated, Any

import polars as pl
import typer
from rich.console import Console
from rich.progress import Progress

from thunes_core.clock import monotonic_seconds
from thunes_core.domain.limits import Conditions, Costs, LotRules, Protection
from thunes_core.errors import BadInput
from thunes_pipelines.cli import options as o
from thunes_pipelines.cli.inputs import bars_of, parse_object, parse_time
from thunes_pipelines.cli.output import (
    console,
    emit_json,
    require_table,
    write_bytes,
    written,
)

Write = Callable[[pl.DataFrame], Any]


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command("sweep")(sweep_command)


def sweep_command(
    strategy: Annotated[str, typer.Option(help="Name of a strategy.")],
    grid: Annotated[
        str, typer.Option(help="JSON object: parameter (or exit, as stop_loss) to list of values.")
    ],
    out: Annotated[Path, typer.Option(help=".parquet or .csv: a row per combination.")],
    bars: o.BarsFile = None,
    symbol: o.SymbolOf = None,
    interval: o.IntervalOf = None,
    start: o.Start = None,
    end: o.End = None,
    cash: o.Cash = 10_000.0,
    taker_fee: o.TakerFee = 0.001,
    maker_fee: o.MakerFee = 0.001,
    slippage: o.Slippage = 0.0005,
    stop_loss: o.StopLoss = 0.0,
    take_profit: o.TakeProfit = 0.0,
    trailing_stop: o.TrailingStop = 0.0,
    trailing_activation: o.TrailingActivation = 0.0,
    cooldown_minutes: o.Cooldown = 0,
    step_size: o.StepSize = 0.0,
    min_quantity: o.MinQuantity = 0.0,
    min_notional: o.MinNotional = 0.0,
    threads: Annotated[int | None, typer.Option(min=1, help="Default: every core.")] = None,
    heat_map: Annotated[
        Path | None, typer.Option(help="File for a page with the best of a metric over two names.")
    ] = None,
    metric: Annotated[str, typer.Option(help="Metric of the heat map and of the best.")] = "sharpe",
    json: Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")] = False,
) -> None:
    """Run a strategy for every combination of a grid and write all metrics of each."""
    require_table(out)
    held = bars_of(bars, symbol, interval, parse_time(start, "--start"), parse_time(end, "--end"))
    conditions = Conditions(
        cash,
        Costs(taker_fee, maker_fee, slippage),
        Protection(stop_loss, take_profit, trailing_stop, trailing_activation, cooldown_minutes),
        LotRules(step_size, min_quantity, min_notional),
    )
    values = parse_grid(grid)
    if metric not in _metric_names():
        raise BadInput(f"--metric: expected one of {', '.join(_metric_names())}; it was {metric!r}")
    if heat_map is not None and len(values) < 2:
        raise BadInput(f"--heat-map: expected a grid of two names or more; it has {list(values)}")
    told = _run(held, strategy, values, conditions, threads, out, metric, quiet=json)
    if heat_map is not None:
        _write_heat_map(heat_map, out, list(values), metric, f"{strategy} {held['symbol'][0]}")
    if json:
        emit_json(told)
    else:
        _print(told)


def parse_grid(text: str) -> dict[str, list[Any]]:
    """Read a JSON object of lists; `BadInput` says which name has none."""
    found = parse_object(text, "--grid")
    wrong = [name for name, values in found.items() if not isinstance(values, list) or not values]
    if wrong or not found:
        raise BadInput(
            f"--grid: expected a list of values for each name; it was {text}; correct "
            f"{', '.join(wrong) or 'the object'}"
        )
    return found


def _metric_names() -> tuple[str, ...]:
    from thunes_core.backtest.metrics import NAMES

    return NAMES


def _run(
    bars: pl.DataFrame,
    strategy: str,
    grid: dict[str, list[Any]],
    conditions: Conditions,
    threads: int | None,
    out: Path,
    metric: str,
    *,
    quiet: bool,
) -> dict[str, Any]:
    """Sweep, write the rows as they come, and return what there is to tell."""
    from thunes_core.backtest.sweep import prepare, sweep_batches

    began = monotonic_seconds()
    total = math.prod(len(values) for values in grid.values())
    with Progress(console=Console(stderr=True), transient=True, disable=quiet) as bar:
        task = bar.add_task(f"{strategy}, {total:,} combinations", total=total)
        batches = sweep_batches(
            prepare(bars),
            strategy,
            grid,
            conditions,
            threads=threads,
            progress=lambda done, _: bar.update(task, completed=done),
        )
        rows, best = _write(batches, out, metric)
    seconds = monotonic_seconds() - began
    return {
        "combinations": total,
        "rows": rows,
        "refused": total - rows,
        "seconds": seconds,
        "combinations_per_second": total / seconds,
        "out": str(out),
        "best": best,
    }


def _write(
    batches: Iterable[pl.DataFrame], out: Path, metric: str
) -> tuple[int, dict[str, Any] | None]:
    """Write batches one after the other; return how many rows there are and the best of them."""
    rows, best = 0, None
    with written(out) as beside, ExitStack() as closing:
        write = None
        for frame in batches:
            if write is None:
                write = (_csv if _is_csv(out) else _parquet)(beside, frame, closing)
            write(frame)
            rows += len(frame)
            best = _better(best, frame, metric)
    return rows, best


def _is_csv(path: Path) -> bool:
    return path.suffix.lower() == ".csv"


def _parquet(path: Path, first: pl.DataFrame, closing: ExitStack) -> Write:
    from pyarrow.parquet import ParquetWriter

    opened = ParquetWriter(path, first.to_arrow().schema, compression="zstd")
    writer = closing.enter_context(opened)
    return lambda frame: writer.write_table(frame.to_arrow())


def _csv(path: Path, first: pl.DataFrame, closing: ExitStack) -> Write:
    file = closing.enter_context(path.open("wb"))
    first.clear().write_csv(file)
    return lambda frame: frame.write_csv(file, include_header=False)


def _better(best: dict[str, Any] | None, rows: pl.DataFrame, metric: str) -> dict[str, Any] | None:
    """Return the row of the highest metric among `best` and `rows`; NaN never is."""
    found = rows.filter(pl.col(metric).is_finite()).sort(metric, descending=True).head(1)
    if not len(found):
        return best
    row = found.row(0, named=True)
    return row if best is None or row[metric] > best[metric] else best


def _write_heat_map(page: Path, rows: Path, names: list[str], metric: str, title: str) -> None:
    from thunes_core.reporting.sweep_page import heat_map_page

    table = pl.scan_csv(rows, infer_schema_length=None) if _is_csv(rows) else pl.scan_parquet(rows)
    html = heat_map_page(table, names[1], names[0], metric, f"{title}: {metric}")
    write_bytes(page, html.encode())


def _print(told: dict[str, Any]) -> None:
    rate = f"{told['combinations_per_second']:,.0f} combinations a second"
    console.print(f"{told['combinations']:,} combinations in {told['seconds']:.2f} s: {rate}")
    if told["refused"]:
        console.print(f"{told['refused']:,} of them the strategy refuses: they have no row")
    if told["best"] is not None:
        best = told["best"].items()
        shown = (f"{k} {v:.6g}" if isinstance(v, float) else f"{k} {v}" for k, v in best)
        console.print(f"best: {', '.join(shown)}", markup=False)
    console.print(f"{told['rows']:,} rows in {told['out']}")
