"""The commands `ingest` (bars into the lake) and `holds` (what keeps entries waiting).

Add here: a command about stored bars. Keep out: requests, formats, rules (core).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from thunes_core.adapters.bars.ingest import ingest_windows
from thunes_core.adapters.bars.ingest_file import ingest_file
from thunes_core.adapters.bars.result import IngestResult
from thunes_core.adapters.bars.store import BarStore
from thunes_core.domain.bars import Interval, parse_interval
from thunes_core.domain.window import Window
from thunes_core.errors import BadInput
from thunes_core.settings import Settings, load
from thunes_pipelines.cli.inputs import parse_time
from thunes_pipelines.cli.output import console, emit_json
from thunes_pipelines.resources import wiring

OVERLAP = timedelta(days=1)
"""How far back of the last stored bar an ingestion without `--start` begins, for revisions."""


def add_to(app: typer.Typer) -> None:
    """Register the commands of this file."""
    app.command("ingest")(ingest_command)
    app.command("holds")(holds_command)


def ingest_command(
    symbol: Annotated[str | None, typer.Option(help="Default: every configured symbol.")] = None,
    interval: Annotated[str | None, typer.Option(help="Default: the configured one.")] = None,
    start: Annotated[
        str | None,
        typer.Option(help="First open time (ISO 8601, UTC). Default: a day before the last bar."),
    ] = None,
    end: Annotated[str | None, typer.Option(help="Open time to stop before. Default: now.")] = None,
    from_file: Annotated[
        Path | None,
        typer.Option("--from", help="Instead of the exchange: Parquet, CSV, feather or zip."),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")] = False,
) -> None:
    """Bring stored bars up to date, or take in a file. Doing it again changes nothing."""
    settings = load()
    kind = parse_interval(interval) if interval else settings.interval
    store = wiring.bar_store(settings)
    if from_file is not None:
        if symbol is None or start or end:
            raise BadInput("ingest: expected --from FILE with --symbol, without --start and --end")
        results = {symbol: ingest_file(from_file, store, symbol, kind)}
    else:
        span = parse_time(start, "--start"), parse_time(end, "--end")
        names = [symbol] if symbol else list(settings.symbols)
        results = _from_exchange(settings, store, names, kind, span, quiet=json)
    if json:
        emit_json(_document(results))
    else:
        _show(results, kind)


def holds_command(
    lift: Annotated[str | None, typer.Option(help="Lift the holds on this symbol.")] = None,
    clear_spikes: Annotated[
        str | None, typer.Option(help="Let entries on this symbol pass the spikes up to now.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")] = False,
) -> None:
    """Show what holds entries back, and lift it after looking. Exits are never held."""
    settings = load()
    store = wiring.bar_store(settings)
    if lift is not None:
        for source in store.holds.on(lift):
            store.holds.lift(lift, source)
    if clear_spikes is not None:
        store.holds.clear_spikes(clear_spikes, wiring.market(settings).server_time())
    found = [
        {"symbol": symbol, "source": source, "why": why}
        for symbol in settings.symbols
        for source, why in store.holds.on(symbol).items()
    ]
    if json:
        emit_json(found)
    elif found:
        for hold in found:
            console.print(f"{hold['symbol']}: {hold['source']}: {hold['why']}")
    else:
        console.print("nothing holds entries back")


def _from_exchange(
    settings: Settings,
    store: BarStore,
    symbols: Sequence[str],
    interval: Interval,
    span: tuple[datetime | None, datetime | None],
    *,
    quiet: bool,
) -> dict[str, IngestResult]:
    market = wiring.market(settings)
    end = span[1] or market.server_time()
    oldest = end - timedelta(days=settings.history_days)
    windows = [
        Window(s, interval, interval.floor(span[0] or _since(store, s, interval, oldest)), end)
        for s in symbols
    ]
    for window in windows:
        if window.start >= end:
            raise BadInput(f"ingest: expected --start before --end; {window.start} is not")
    with Progress(console=Console(stderr=True), transient=True, disable=quiet) as bar:
        task = bar.add_task(f"{interval} bars of {', '.join(symbols)}", total=None)
        results = ingest_windows(
            market,
            store,
            windows,
            tell=lambda done, total: bar.update(task, completed=done, total=total),
        )
    return {window.symbol: result for window, result in results.items()}


def _since(store: BarStore, symbol: str, interval: Interval, oldest: datetime) -> datetime:
    known = store.span(symbol, interval)
    return known[1] - OVERLAP if known else oldest


def _document(results: dict[str, IngestResult]) -> dict[str, Any]:
    """Return the fixed JSON shape; for several symbols their sum, and each below `symbols`."""
    each = {symbol: result.as_dict() for symbol, result in results.items()}
    if len(each) == 1:
        return next(iter(each.values()))
    total = {
        key: _sum(document[key] for document in each.values()) for key in next(iter(each.values()))
    }
    return {**total, "symbols": each}


def _sum(values: Iterable[Any]) -> Any:
    first, *rest = values
    for value in rest:
        first = first + value
    return first


def _show(results: dict[str, IngestResult], interval: Interval) -> None:
    table = Table(title=f"ingested {interval} bars")
    for head in ("", "received", "new", "revised", "refused", "gaps", "problems", "span"):
        table.add_column(head, justify="left" if head in ("", "problems", "span") else "right")
    for symbol, result in results.items():
        table.add_row(symbol, *_row(result))
    console.print(table)


def _row(result: IngestResult) -> Iterable[str]:
    counts = (result.received, result.written, result.revised, result.refused, len(result.gaps))
    problems = ", ".join(f"{p.kind} {p.rows}" for p in result.problems) or "none"
    span = f"{result.first:%Y-%m-%d %H:%M} – {result.last:%Y-%m-%d %H:%M}" if result.last else "–"
    return *(str(count) for count in counts), problems, span
