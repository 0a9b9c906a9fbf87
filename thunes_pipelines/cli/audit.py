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
from thunes_pipelines.resources.places import audit_folder

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
        Path | None,
        typer.Option(help="Exported files to check; default: the ledger, and its exported files."),
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
    trail, files, anchored = _verify(folder, head)
    parts = [trail] if files is None else [trail, files]
    whole = all(part.whole for part in parts)
    if json:
        broken_at = next((part.broken_at for part in parts if not part.whole), None)
        told = {"whole": whole, "rows": trail.rows, "head": trail.head, "broken_at": broken_at}
        emit_json(told | {"rows_in_files": files and files.rows, "anchored": anchored})
    else:
        for part, where in zip(parts, ("", " in the exported files"), strict=False):
            _show(part, where)
        if not anchored:
            console.print(f"[red]rewritten[/]: the head {head} was written down once and is gone")
    if not (whole and anchored):
        raise typer.Exit(1)


def _show(verdict: AuditVerdict, where: str) -> None:
    if verdict.whole:
        console.print(f"[green]whole[/]{where}: {verdict.rows} events, head {verdict.head}")
    else:
        console.print(f"[red]broken[/]{where} at event {verdict.broken_at}")


def _verify(
    folder: Path | None, head: str | None
) -> tuple[AuditVerdict, AuditVerdict | None, bool]:
    """Return the verdicts on the trail and on the ledger's own files (None: there are none yet).

    Last: whether `head` is in the trail; True where none is asked for.
    """
    from thunes_core.adapters.ledger import export

    if folder is not None:
        found = export.verify_files(folder)
        return (
            found,
            None,
            head is None or (found.whole and export.holds_head(export.read_files(folder), head)),
        )
    settings = load()
    own = audit_folder(settings)
    with closing(wiring.ledger(settings)) as ledger:
        files = export.verify_export(ledger, own) if export.is_exported(own) else None
        return ledger.verify_audit(), files, head is None or export.holds_head(ledger.audit(), head)


def export_command(
    to: Annotated[
        Path | None, typer.Option(help="Folder for the files; default: audit in THUNES_HOME.")
    ] = None,
    json: Json = False,
) -> None:
    """Write the events that were not exported yet as JSONL files."""
    from thunes_core.adapters.ledger.export import export_new

    settings = load()
    folder = to or audit_folder(settings)
    with closing(wiring.ledger(settings)) as ledger:
        written = export_new(ledger, folder)
    if json:
        emit_json({"written": written, "folder": str(folder)})
    else:
        console.print(f"{written} events written to {folder}")
