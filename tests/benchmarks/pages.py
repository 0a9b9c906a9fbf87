"""Sections of docs/performance.md: each command replaces its own and leaves the others alone."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path


def replace_section(
    path: Path, name: str, title: str, intro: str, rows: Sequence[Sequence[str]], told: str = ""
) -> None:
    """Write the section `name`: a title, a sentence, a table whose first row is its head, more."""
    begin, end = f"<!-- {name}: begin -->", f"<!-- {name}: end -->"
    head, *body = rows
    table = "\n".join(f"| {' | '.join(cells)} |" for cells in (head, ("---",) * len(head), *body))
    parts = [part for part in (f"## {title}", intro, table, told) if part]
    section = "\n\n".join(parts)
    text = path.read_text() if path.exists() else "# Performance\n"
    before, _, rest = text.partition(begin)
    after = rest.partition(end)[2].strip()
    pieces = [before.rstrip(), f"{begin}\n{section}\n{end}", after]
    path.write_text("\n\n".join(piece for piece in pieces if piece) + "\n")
