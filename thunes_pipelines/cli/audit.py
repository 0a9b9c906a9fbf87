"""The commands `audit verify` and `audit export`.

Add here: a command about the audit trail. Keep out: the chain, the files.
"""

from __future__ import annotations

import re
from contextlib import closing
from pathlib import Path
from typing import Annotated

import typer

from thunes_core.domain.records import AuditVerdict
from thunes_core.errors import BadInput
from thunes_core.settings import load
from thunes_pipelines.cli.output import console, emit_json
from thunes_pipelines.resources import wiring

_HEAD = re.compile("[0-9a-f]{64}")
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
    head: Annotated[
        str | None, typer.Option(help="A head that a daily report named: it must be in the trail.")
    ] = None,
    json: Json = False,
) -> None:
    """Check that no event was changed, removed or put in between; exit code 1 if one was."""
    if head is not None and not _HEAD.fullmatch(head):
        raise BadInput(
            f"--head: expected the 64 hexadecimal digits that a daily report names; it was {head!r}"
        )
    verdict, anchored = _verify(folder, head)
    if json:
        emit_json(
            {
                "whole": verdict.whole,
                "rows": verdict.rows,
                "head": verdict.head,
                "broken_at": verdict.broken_at,
                "anchored": anchored,
            }
        )
    elif verdict.whole:
        console.print(f"[green]whole[/]: {verdict.rows} events, head {verdict.head}")
    else:
        console.print(f"[red]broken[/] at event {verdict.broken_at}")
    if not anchored:
        console.print(f"[red]rewritten[/]: the head {head} was written down once and is gone")
    if not (verdict.whole and anchored):
        raise typer.Exit(1)


def _verify(folder: Path | None, head: str | None) -> tuple[AuditVerdict, bool]:
    """Return the verdict, and whether `head` (None: not asked) is in the trail."""
    from thunes_core.adapters.ledger.export import holds_head, read_files, verify_files

    if folder is not None:
        return verify_files(folder), head is None or holds_head(read_files(folder), head)
    with closing(wiring.ledger(load())) as ledger:
        return ledger.verify_audit(), head is None or holds_head(ledger.audit(), head)


def export_command(
    to: Annotated[
        Path | None, typer.Option(help="Folder for the files; default: audit in THUNES_HOME.")
    ] = None,
    json: Json = False,
) -> None:
    """Write the events that were not exported yet as JSONL files."""
    from thunes_core.adapters.ledger.export import export_new

    settings = load()
    folder = to or settings.home / "audit"
    with closing(wiring.ledger(settings)) as ledger:
        written = export_new(ledger, folder)
    if json:
        emit_json({"written": written, "folder": str(folder)})
    else:
        console.print(f"{written} events written to {folder}")
