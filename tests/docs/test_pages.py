"""Pages and examples say what is so: links lead somewhere, settings and commands exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import typer

from thunes_core.settings import Settings
from thunes_pipelines.cli.main import load_commands

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
SECRETS = {"binance_api_key", "binance_api_secret"}


def example() -> dict[str, str]:
    """Return the settings of `.env.example` by field name."""
    lines = re.findall(r"^# THUNES_([A-Z_]+)=(.*)$", (ROOT / ".env.example").read_text(), re.M)
    return {name.lower(): value for name, value in lines}


def commands() -> set[str]:
    """Return every command by name, groups as `group command`."""
    root = typer.main.get_command(load_commands())
    found = set()
    for name, command in root.commands.items():
        found.add(name)
        found.update(f"{name} {inner}" for inner in getattr(command, "commands", {}))
    return found


def test_the_example_lists_every_setting_and_no_other():
    """Whoever reads it knows all there is to set."""
    assert set(example()) == set(Settings.model_fields)


def test_the_example_shows_the_defaults():
    """What it shows is what is in force without it."""
    shown = {name: value for name, value in example().items() if value}
    given = Settings(**shown, _env_file=None).model_dump(exclude={"home"})
    default = Settings(_env_file=None).model_dump(exclude={"home"})
    assert given == default


def test_the_example_holds_nothing_like_a_secret():
    """A scanner, and a hurried copy, find nothing."""
    assert {name for name, value in example().items() if value} & SECRETS == set()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_of_a_page_lead_somewhere(page):
    """A moved file takes its links along."""
    links = re.findall(r"\]\(([^)#\s]+)", page.read_text(encoding="utf-8"))
    missing = [
        link for link in links if "://" not in link and not (page.parent / link).resolve().exists()
    ]
    assert missing == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_commands_of_a_page_exist(page):
    """What a page tells to type can be typed."""
    told = re.findall(
        r"(?:^|`)(?:\.venv/bin/)?thunes ([a-z][a-z-]*)(?: ([a-z]+))?", page.read_text(), re.M
    )
    known = commands()
    groups = {name.split()[0] for name in known if " " in name}
    unknown = [
        (first, second)
        for first, second in told
        if first not in known or (first in groups and second and f"{first} {second}" not in known)
    ]
    assert unknown == []


def test_every_make_target_that_a_page_names_exists():
    """`make` in a page is a target of the Makefile."""
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.M))
    named = {t for page in PAGES for t in re.findall(r"`make ([a-z]+)", page.read_text())}
    assert named <= targets
