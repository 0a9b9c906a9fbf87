"""What people are told between reports: the noun, and the port through which it leaves.

Add here: a fact that every way of telling needs. Keep out: sending (see `adapters.alerts`).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol


class Severity(StrEnum):
    """How soon somebody must look: when there is time, today, now."""

    INFO = "info"
    WARNING = "warning"
    CRITICAL = "critical"


@dataclass(frozen=True, slots=True)
class Alert:
    """One message to people; `kind` is the same for all of one sort. Time is UTC."""

    time: datetime
    kind: str
    severity: Severity
    title: str
    body: str = ""


class Alerts(Protocol):
    """A way of telling people."""

    def send(self, alert: Alert) -> None:
        """Hand one alert over, or raise `OutsideFailed`; sending it again tells it again."""
        ...
