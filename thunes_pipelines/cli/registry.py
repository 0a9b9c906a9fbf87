"""The commands `registry list|show|promote|rollback`.

Add here: a command about registered parameter sets. Keep out: MLflow, the rule of promotion.
"""

from __future__ import annotations

from contextlib import closing
from typing import Annotated, Any, Literal

import typer
from rich.box import SIMPLE_HEAD
from rich.table import Table

from thunes_core.domain.parameters import Champion, split_study_key
from thunes_core.errors import BadInput
from thunes_core.settings import Settings, load
from thunes_pipelines.cli import research, why
from thunes_pipelines.cli.output import console, emit_json
from thunes_pipelines.partitions import configured_studies
from thunes_pipelines.promotion import paper_state
from thunes_pipelines.resources import wiring

Study = Annotated[
    str | None,
    typer.Argument(help="strategy.SYMBOL.interval; default: the configured one, if there is one."),
]
Version = Annotated[str | None, typer.Option(help="Its number, as `registry list` shows it.")]
Json = Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")]
_FIGURES = ("sharpe", "dsr", "pbo", "trials")


def add_to(app: typer.Typer) -> None:
    """Register the commands of this file, and those about research and lineage."""
    group = typer.Typer(no_args_is_help=True, help="Parameter sets with their evidence.")
    group.command("list")(list_command)
    group.command("show")(show_command)
    group.command("promote")(promote_command)
    group.command("rollback")(rollback_command)
    app.add_typer(group, name="registry")
    research.add_to(app)
    why.add_to(app)


def list_command(json: Json = False) -> None:
    """List every version with its aliases and evidence."""
    versions = wiring.registry(load()).versions()
    if json:
        emit_json([{name: v[name] for name in v if name != "tags"} for v in versions])
        return
    table = Table(title="registered parameter sets", box=SIMPLE_HEAD, padding=0, show_edge=False)
    for head in ("study", "no", "aliases", "ruling", *_FIGURES):
        side: Literal["left", "right"] = "right" if head in _FIGURES else "left"
        table.add_column(head, justify=side, no_wrap=head == "study")
    for version in versions:
        table.add_row(*_row(version))
    console.print(table)


def show_command(study: Study = None, version: Version = None, json: Json = False) -> None:
    """Show one version, by default the champion: parameters, findings, where it comes from."""
    settings = load()
    name = _study(study, settings)
    shown = wiring.registry(settings).version(name, version or "champion")
    with closing(wiring.ledger(settings)) as ledger:
        paper = paper_state(ledger, name, settings)
    shown["shadow"] = paper.sentence() if paper else None
    if json:
        emit_json(shown)
        return
    console.print(f"[bold]{name}[/] version {shown['version']} {', '.join(shown['aliases'])}")
    console.print(f"fingerprint {shown['fingerprint']}", soft_wrap=True)
    console.print_json(data=shown["parameters"])
    console.print(f"{shown['verdict']} ({shown['policy']}): {shown['why']}")
    console.print(research.findings_table(shown["findings"]))
    for origin, value in shown["origin"].items():
        console.print(f"{origin}: {value}", soft_wrap=True)
    if paper:
        console.print(f"beside it: {paper.sentence()}")
    console.print(shown["url"], soft_wrap=True)


def promote_command(
    study: Study = None,
    version: Version = None,
    although: Annotated[
        str | None, typer.Option(help="Your reason, where the evidence does not carry it.")
    ] = None,
    json: Json = False,
) -> None:
    """Make a version (by default the candidate) champion; it trades from the next tick on."""
    settings = load()
    name = _study(study, settings)
    with closing(wiring.ledger(settings)) as ledger:
        promoting = wiring.promoting(settings, ledger)
        _announce(promoting.promote(name, version, although=although), json=json)


def rollback_command(study: Study = None, json: Json = False) -> None:
    """Return to the champion before; it trades from the next tick on."""
    settings = load()
    name = _study(study, settings)
    with closing(wiring.ledger(settings)) as ledger:
        _announce(wiring.promoting(settings, ledger).rollback(name), json=json)


def _announce(champion: Champion, *, json: bool) -> None:
    """Say who is champion now."""
    if json:
        emit_json(
            {
                "study": champion.study,
                "version": champion.version,
                "fingerprint": champion.parameters.fingerprint,
                "parameters": champion.parameters.shown,
                "run_id": champion.run_id,
            }
        )
    else:
        console.print(f"{champion.study}: champion is version {champion.version}")


def _study(given: str | None, settings: Settings) -> str:
    if given is not None:
        split_study_key(given)
        return given
    configured = configured_studies(settings)
    if len(configured) != 1:
        raise BadInput(f"study: expected one of {', '.join(configured)}; none was given; give one")
    return configured[0]


def _row(version: dict[str, Any]) -> list[str]:
    figures = [version["evidence"].get(name) for name in _FIGURES]
    return [
        version["study"],
        version["version"],
        ", ".join(version["aliases"]),
        f"{version['verdict']} ({version['policy']})",
        *("–" if value is None else f"{value:.3g}" for value in figures),
    ]
