"""The commands `audit verify` and `audit export`.

Add here: a command about the audit trail. Keep out: the chain, the files.
"""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import Annotated

import typer

from thunes_core.settings import load
from thunes_pipelines.cli.output import console, emit_json
from thunes_pipelines.resources import wiring

Json = Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")]


def add_to(app: typer.Typer) -> None:
    """Register the commands of this file."""
    group = typer.Typer(no_args_is_help=True, help="The trail of everything that was done.")
    group.command("verify")(verify_command)
    group.command("export")(export_command)
    app.add_typer(group, name="audit")


def verify_command(
    folder: Annotated[
        Path | None, typer.Option(help="Exported files to check; default: the ledger itself.")
    ] = None,
    json: Json = False,
) -> None:
    """Check that no event was changed, removed or put in between; exit code 1 if one was."""
    from thunes_core.adapters.ledger.export import verify_files

    if folder is not None:
        verdict = verify_files(folder)
    else:
        with closing(wiring.ledger(load())) as ledger:
            verdict = ledger.verify_audit()
    if json:
        emit_json(
            {
                "whole": verdict.whole,
                "rows": verdict.rows,
                "head": verdict.head,
                "broken_at": verdict.broken_at,
            }
        )
    elif verdict.whole:
        console.print(f"[green]whole[/]: {verdict.rows} events, head {verdict.head}")
    else:
        console.print(f"[red]broken[/] at event {verdict.broken_at}")
    if not verdict.whole:
        raise typer.Exit(1)


def export_command(
    to: Annotated[
        Path | None, typer.Option(help="Folder for the files; default: audit in THUNES_HOME.")
    ] = None,
    json: Json = False,
) -> None:
    """Write the events that were not exported yet as JSONL files."""
    from thunes_core.adapters.ledger.export import export, last_exported

    settings = load()
    folder = to or settings.home / "audit"
    folder.mkdir(parents=True, exist_ok=True)
    with closing(wiring.ledger(settings)) as ledger:
        written = export(ledger.audit(after=last_exported(folder)), folder)
    if json:
        emit_json({"written": written, "folder": str(folder)})
    else:
        console.print(f"{written} events written to {folder}")
