"""Alerts in a file: one line each, at the level of their severity."""

from __future__ import annotations

import json
import logging
from datetime import UTC, datetime

import pytest

from thunes_core.adapters.alerts import AlertFile
from thunes_core.errors import StoreFailed
from thunes_core.reporting.alerts import Alert, Severity

ALERT = Alert(datetime(2025, 1, 7, tzinfo=UTC), "daily_report", Severity.WARNING, "Lost", "a\nb")


def test_each_alert_is_one_line(tmp_path):
    """Also one whose body has several lines."""
    alerts = AlertFile(tmp_path / "deep" / "alerts.jsonl")
    alerts.send(ALERT)
    alerts.send(ALERT)
    lines = (tmp_path / "deep" / "alerts.jsonl").read_text().splitlines()
    assert [json.loads(line)["body"] for line in lines] == ["a\nb", "a\nb"]
    assert json.loads(lines[0])["time"] == "2025-01-07 00:00:00+00:00"


def test_the_log_gets_the_title_at_its_level(tmp_path, caplog):
    """A warning is seen at the default log level."""
    AlertFile(tmp_path / "alerts.jsonl").send(ALERT)
    assert caplog.record_tuples == [("thunes.alerts", logging.WARNING, "daily_report: Lost")]


def test_a_file_that_cannot_be_written_is_told(tmp_path):
    """The message names the path."""
    (tmp_path / "in_the_way").touch()
    with pytest.raises(StoreFailed, match=r"alerts\.jsonl cannot be written"):
        AlertFile(tmp_path / "in_the_way" / "alerts.jsonl").send(ALERT)
