"""Names that are no setting: misspelt, a limit would leave its default in force in silence.

In `thunes.toml` every name must be a setting. Of the environment and `.env` only what resembles one
is a fault: Kubernetes puts variables of its own beside ours (`THUNES_WEBSERVER_SERVICE_HOST`).

Add here: another place where settings are named. Keep out: what their values must be (`settings`).
"""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path

PREFIX = "THUNES_"
_LIKENESS = 0.8
_ELSEWHERE = "THUNES_CONFIG"
"""It says where a file is read, and is itself read in the environment alone."""


def faults(
    known: Collection[str], environment: Mapping[str, str], dotenv: Path, config: Path
) -> list[str]:
    """Return a sentence for each wrong name, no value in any; `ValueError` where TOML is broken.

    `known`: settings by field name; `dotenv` and `config` may lack.
    """
    return [
        *_absent(environment, config),
        *_resembling(environment, known, "the environment"),
        *_resembling(_dotenv_names(dotenv), known, str(dotenv)),
        *_misplaced(_dotenv_names(dotenv), dotenv),
        *_unknown(config, known),
    ]


def _absent(environment: Mapping[str, str], config: Path) -> Iterator[str]:
    """Tell of a file that is named and not there; `/dev/null` is a file without settings."""
    if environment.get(_ELSEWHERE) and (not config.exists() or config.is_dir()):
        yield f"{_ELSEWHERE}: expected a TOML file; {config} is none; correct it or take it out"


def _resembling(names: Iterable[str], known: Collection[str], where: str) -> Iterator[str]:
    for name in sorted(names):
        field = name.upper().removeprefix(PREFIX).lower()
        if not name.upper().startswith(PREFIX) or field in known:
            continue
        if meant := difflib.get_close_matches(field, known, 1, _LIKENESS):
            yield f"{name}: no setting, in {where}; is {PREFIX}{meant[0].upper()} meant?"


def _misplaced(names: Iterable[str], where: Path) -> Iterator[str]:
    if _ELSEWHERE in {name.upper() for name in names}:
        yield f"{_ELSEWHERE}: not read in {where}; set it in the environment, or take it out"


def _dotenv_names(path: Path) -> Iterable[str]:
    if not path.is_file():
        return ()
    from dotenv import dotenv_values

    return dotenv_values(path).keys()


def _unknown(config: Path, known: Collection[str]) -> Iterator[str]:
    table = tomllib.loads(config.read_text()) if config.is_file() else {}
    for name in sorted(set(table) - set(known)):
        field = name.lower().removeprefix(PREFIX.lower())
        meant = difflib.get_close_matches(field, known, 1)
        yield f"{name}: no setting, in {config}; " + (
            f"is {meant[0]} meant?" if meant else "take it out; .env.example lists them all"
        )
