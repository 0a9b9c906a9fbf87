"""What a journal remembers of champions: the present one, and every version that ever traded.

Add here: a fact about versions that a tick must have without the registry. Keep out: everything
else of the journal (ports).
"""

from __future__ import annotations

from datetime import datetime
from typing import Protocol

from thunes_core.domain.parameters import Champion


class ChampionMemory(Protocol):
    """The last known good champions; every write is durable when the call returns."""

    def remember_champion(self, champion: Champion, at: datetime | None = None) -> None:
        """Keep the last known good copy of a champion."""
        ...

    def remembered_champion(self, study: str) -> Champion | None:
        """Return the copy of the champion of `study`, or None."""
        ...

    def champion_since(self, study: str) -> datetime | None:
        """Return when the remembered champion of `study` was first seen, or None."""
        ...

    def version_of(self, study: str, fingerprint: str) -> Champion | None:
        """Return the version of `study` that traded with those parameters, or None."""
        ...
