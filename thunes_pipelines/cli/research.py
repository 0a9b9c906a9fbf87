"""The commands `walk-forward` and `pbo`; registered by `registry.py`.

Add here: a command that measures luck. Keep out: formulas, storage.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from thunes_core.domain.parameters import study_key
from thunes_core.settings import load
from thunes_core.strategies.base import strategy_class
from thunes_pipelines import research_plan
from thunes_pipelines.cli import options as o
from thunes_pipelines.cli.inputs import cut, parse_time, read_bars, read_frame
from thunes_pipelines.cli.output import console, emit_json
from thunes_pipelines.resources import wiring

if TYPE_CHECKING:
    from datetime import datetime

    import polars as pl

    from thunes_core.domain.results import Evidence, WalkForwardResult
    from thunes_core.research.walk_forward import WalkForwardOptions
    from thunes_core.research.windows import Terms
    from thunes_core.settings import Settings

Json = Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")]


def add_to(app: typer.Typer) -> None:
    """Register the commands of this file."""
    app.command("walk-forward")(walk_forward_command)
    app.command("pbo")(pbo_command)


def walk_forward_command(
    strategy: Annotated[str | None, typer.Option(help="Default: the first configured.")] = None,
    bars: o.BarsFile = None,
    symbol: Annotated[str | None, typer.Option(help="Default: the first configured.")] = None,
    interval: Annotated[str | None, typer.Option(help="Default: the configured one.")] = None,
    start: o.Start = None,
    end: o.End = None,
    folds: Annotated[int | None, typer.Option(min=1, help="Default: the settings'.")] = None,
    trials: Annotated[int | None, typer.Option(min=1, help="A fold. Default: settings.")] = None,
    seed: Annotated[int | None, typer.Option(help="Default: the settings'.")] = None,
    anchored: Annotated[
        bool | None,
        typer.Option(
            "--anchored/--rolling", help="Training grows from the start, or keeps its length."
        ),
    ] = None,
    train_share: Annotated[
        float | None, o.number(min=0.05, max=0.9, help="Of the history. Default: settings.")
    ] = None,
    sampler: Annotated[
        str | None, typer.Option(help="tpe, random, qmc, nsgaii, cmaes. Default: settings.")
    ] = None,
    json: Json = False,
) -> None:
    """Walk a strategy forward over stored bars (or a file's) and judge the stitched result.

    The walk is kept in the lake and counted, as all before it were: the evidence is deflated by
    every walk-forward of the symbol and interval, and the champion in force must be beaten.
    """
    from thunes_core.research.walk_forward import walk_forward

    settings = load()
    name = strategy or settings.strategies[0]
    strategy_class(name)
    given: dict[str, Any] = {"folds": folds, "trials": trials, "seed": seed, "sampler": sampler}
    given |= {"anchored": anchored, "train_share": train_share}
    how = replace(
        research_plan.options(settings), **{k: v for k, v in given.items() if v is not None}
    )
    span = parse_time(start, "--start"), parse_time(end, "--end")
    if bars is None:
        held = _stored(name, symbol, interval, span, settings)
    else:
        held = read_bars(bars, *span, symbol=symbol, interval=interval)
    with _progress(how, quiet=json) as tell:
        result = walk_forward(
            held,
            strategy=name,
            symbol=held["symbol"][0],
            interval=held["interval"][0],
            options=how,
            progress=tell,
            compute=research_plan.compute(settings),
        )
    research_plan.walk_store(settings).save(result, newest=bars is None)
    evidence = _judged(result, held, how.terms, settings)
    if json:
        emit_json(_document(result, evidence))
    else:
        _show(result, evidence)


def _stored(
    strategy: str,
    symbol: str | None,
    interval: str | None,
    span: tuple[datetime | None, datetime | None],
    settings: Settings,
) -> pl.DataFrame:
    """Read the bars that are stored for the study; what is not named is as in the settings."""
    study = study_key(strategy, symbol or settings.symbols[0], interval or settings.interval)
    stored = research_plan.history(wiring.bar_store(settings), study, settings, until=span[1])
    return cut(stored, *span, study)


def _judged(
    result: WalkForwardResult, bars: pl.DataFrame, terms: Terms, settings: Settings
) -> Evidence:
    """Judge a walk as the asset does: all that was ever tried counted, the champion beside it."""
    from thunes_core.research.evidence import judge

    study = study_key(result.strategy, result.symbol, result.interval)
    with closing(wiring.ledger(settings)) as ledger:
        champion = ledger.remembered_champion(study)
    return judge(
        result,
        bars,
        champion=champion.parameters if champion else None,
        costs=terms.costs,
        protection=terms.protection,
        cash=terms.cash,
        luck=research_plan.luck(study, settings),
    )


def pbo_command(
    matrix: Annotated[Path, typer.Option(help="Parquet or CSV: a row a period, a column a trial.")],
    blocks: Annotated[int, typer.Option(min=2, max=24, help="Even number of blocks.")] = 12,
    json: Json = False,
) -> None:
    """Measure the probability of backtest overfitting of a matrix of returns (CSCV)."""
    import polars.selectors as cs

    from thunes_core.research.overfitting import pbo

    returns = read_frame(matrix).select(cs.numeric()).to_numpy()
    share = pbo(returns, blocks)
    if json:
        emit_json(
            {"pbo": share, "blocks": blocks, "periods": len(returns), "trials": returns.shape[1]}
        )
    else:
        console.print(f"probability of backtest overfitting: {share:.4f} ({blocks} blocks)")


class _progress:  # noqa: N801 - used as a context, like contextlib's own
    """Show a progress bar of trials on stderr; nothing when `quiet`."""

    def __init__(self, how: WalkForwardOptions, *, quiet: bool) -> None:
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
        self._bar = Progress(
            *columns, TimeElapsedColumn(), console=Console(stderr=True), disable=quiet
        )
        self._task = self._bar.add_task("walk-forward", total=how.trials * (how.folds + 1))

    def __enter__(self) -> Any:
        self._bar.start()
        return lambda done, total, name: self._bar.update(
            self._task, completed=done, total=total, description=name
        )

    def __exit__(self, *failure: object) -> None:
        self._bar.stop()


def _document(result: WalkForwardResult, evidence: Evidence) -> dict[str, Any]:
    return {
        "study": study_key(result.strategy, result.symbol, result.interval),
        "metrics": _numbers(result.metrics),
        "chosen": result.chosen.shown,
        "fingerprint": result.chosen.fingerprint,
        "trials": result.trials,
        "data_fingerprint": result.data_fingerprint,
        "folds": [
            {
                "number": fold.number,
                "train": [fold.train_start, fold.train_end],
                "test": [fold.test_start, fold.test_end],
                "parameters": fold.parameters.shown,
                "train_metrics": _numbers(fold.train_metrics),
                "test_metrics": _numbers(fold.test_metrics),
            }
            for fold in result.folds
        ],
        "evidence": _numbers(evidence.figures),
        "findings": [finding_dict(finding) for finding in evidence.findings],
        "passed": evidence.passed,
    }


def finding_dict(finding: Any) -> dict[str, Any]:
    """Return one finding as plain values."""
    names = ("name", "value", "threshold", "passed", "sentence")
    return {name: getattr(finding, name) for name in names}


def _numbers(values: Mapping[str, float]) -> dict[str, float | None]:
    return {name: value if math.isfinite(value) else None for name, value in values.items()}


def _show(result: WalkForwardResult, evidence: Evidence) -> None:
    title = f"{result.strategy} {result.symbol} {result.interval}: {result.trials} trials"
    table = Table(title=title, box=SIMPLE_HEAD, padding=0, show_edge=False)
    for head in ("fold", "test from", "test to", "chosen", "Sharpe train", "Sharpe test", "return"):
        table.add_column(
            head, justify="left" if head == "chosen" else "right", no_wrap=head.startswith("test")
        )
    for fold in result.folds:
        table.add_row(
            str(fold.number),
            f"{fold.test_start:%Y-%m-%d}",
            f"{fold.test_end:%Y-%m-%d}",
            ", ".join(f"{k} {_short(v)}" for k, v in fold.parameters.shown.items()),
            f"{fold.train_metrics['sharpe']:.2f}",
            f"{fold.test_metrics['sharpe']:.2f}",
            f"{fold.test_metrics['total_return']:.2%}",
        )
    console.print(table)
    console.print(findings_table([finding_dict(f) for f in evidence.findings]))
    console.print(_beside(evidence.figures))
    verdict = "the evidence carries it" if evidence.passed else "do nothing: the evidence is thin"
    console.print(f"candidate {result.chosen.shown}: {verdict}")


def _beside(figures: Mapping[str, float]) -> str:
    """Say what is shown beside the findings and does not judge."""
    return (
        f"beside them: Sharpe {figures['sharpe_low']:.2f} to {figures['sharpe_high']:.2f} (5 to "
        f"95 % of redrawn curves); {figures['cpcv_sharpe']:.2f} by combinatorial purged "
        f"cross-validation, {figures['cpcv_positive']:.0%} of its splits gain; DSR of the choice "
        f"in sample {figures['dsr_in_sample']:.2g} over {figures['trials']:.0f} trials; "
        f"{figures['walk_forwards']:.0f} walk-forward(s) judged so far"
    )


def _short(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def findings_table(findings: Iterable[Mapping[str, Any]]) -> Table:
    """Return the findings as a table for people."""
    table = Table(title="findings")
    for head in ("finding", "passed", "what was measured"):
        table.add_column(head)
    for finding in findings:
        passed = "[green]yes[/]" if finding["passed"] else "[red]no[/]"
        table.add_row(finding["name"], passed, finding["sentence"])
    return table
