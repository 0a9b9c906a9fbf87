"""Alerts that need no network: a line in a file, and in the log.

Add here: another way of telling people, behind the port `reporting.alerts.Alerts`.
Keep out: when to tell, and in which words.
"""

from __future__ import annotations

import json
import logging
from dataclasses import asdict
from pathlib import Path

from thunes_core.errors import StoreFailed
from thunes_core.reporting.alerts import Alert, Severity

_LEVELS = {
    Severity.INFO: logging.INFO,
    Severity.WARNING: logging.WARNING,
    Severity.CRITICAL: logging.CRITICAL,
}
_log = logging.getLogger("thunes.alerts")


class AlertFile:
    """Append each alert to `path` as one JSON line, and to the log at its level."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def send(self, alert: Alert) -> None:
        """Append one line in one write; `StoreFailed` when that is not possible."""
        line = json.dumps(asdict(alert), default=str, ensure_ascii=False)
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with self._path.open("a", encoding="utf-8") as file:
                file.write(line + "\n")
        except OSError as error:
            raise StoreFailed(
                f"alerts: {self._path} cannot be written ({error}); free space or correct its "
                "permissions"
            ) from error
        _log.log(_LEVELS[alert.severity], "%s: %s", alert.kind, alert.title)
