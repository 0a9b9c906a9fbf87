"""Where in the state folder lies what several commands speak of.

Add here: a place that two commands share. Keep out: places that the core names (`settings`).
"""

from __future__ import annotations

from pathlib import Path

from thunes_core.settings import Settings


def audit_folder(settings: Settings) -> Path:
    """Return where the audit of the ledger is exported to."""
    return settings.home / "audit"
