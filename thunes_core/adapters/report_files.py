"""Reports as files that a person can open: a page, its Markdown and its text, by day.

Add here: another form in which a report is left on disk. Keep out: what stands in it.
"""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from thunes_core.errors import StoreFailed
from thunes_core.reporting.daily import DailyReport


@dataclass(frozen=True, slots=True)
class ReportPaths:
    """Where the three forms of one day's report lie."""

    html: Path
    markdown: Path
    text: Path


def write_report(root: Path, day: date, report: DailyReport) -> ReportPaths:
    """Write `root/YYYY-MM-DD.{html,md,txt}`, replacing earlier ones; never half a file.

    Raises `StoreFailed` when the folder cannot be written.
    """
    paths = ReportPaths(*(root / f"{day.isoformat()}.{form}" for form in ("html", "md", "txt")))
    write_text(paths.markdown, report.markdown)
    write_text(paths.text, report.text)
    write_text(paths.html, report.html)
    return paths


def write_text(path: Path, text: str) -> None:
    """Write beside `path` and move it into place: readers see the old or the new file."""
    beside = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        beside.write_text(text, encoding="utf-8")
        beside.replace(path)
    except OSError as error:
        with suppress(OSError):
            beside.unlink()
        raise StoreFailed(
            f"reports: {path} cannot be written ({error}); free space or correct its permissions"
        ) from error
