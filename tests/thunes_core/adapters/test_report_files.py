"""Reports on disk: complete or as before, and a message where they cannot be written."""

from __future__ import annotations

from datetime import date

import pytest

from thunes_core.adapters.report_files import write_report
from thunes_core.errors import StoreFailed
from thunes_core.reporting.daily import DailyReport

REPORT = DailyReport(markdown="# day", html="<p>−</p>", text="day", plot=b"")
DAY = date(2025, 1, 7)


def test_three_files_named_by_the_day(tmp_path):
    """A person finds the page, its Markdown and its text under the day."""
    paths = write_report(tmp_path / "reports", DAY, REPORT)
    assert paths.html.read_text(encoding="utf-8") == "<p>−</p>"
    names = sorted(p.name for p in (tmp_path / "reports").iterdir())
    assert names == ["2025-01-07.html", "2025-01-07.md", "2025-01-07.txt"]


def test_writing_again_replaces(tmp_path):
    """A report of the running day is written anew."""
    write_report(tmp_path, DAY, REPORT)
    newer = DailyReport(markdown="# later", html="later", text="later", plot=b"")
    assert write_report(tmp_path, DAY, newer).text.read_text() == "later"


def test_a_folder_that_cannot_be_made_is_one_clear_message(tmp_path):
    """The message names the path and what to do; nothing half-written is left."""
    (tmp_path / "reports").write_text("in the way")
    with pytest.raises(StoreFailed, match=r"2025-01-07\.md cannot be written .*free space"):
        write_report(tmp_path / "reports", DAY, REPORT)
    assert [p.name for p in tmp_path.iterdir()] == ["reports"]
