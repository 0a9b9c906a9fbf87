"""One ledger serves one account: which venue the settings mean, and whether it is the ledger's.

Add here: what tells two accounts apart by the settings. Keep out: asking the exchange.
"""

from __future__ import annotations

from thunes_core.adapters.ledger import Ledger
from thunes_core.errors import SettingsInvalid
from thunes_core.settings import CCXT, Settings


def venue_of(settings: Settings) -> str:
    """Name exchange and broker; CCXT is but another road to the same account."""
    return f"{settings.exchange.removeprefix(CCXT)} {settings.broker}"


def require_own_venue(settings: Settings, ledger: Ledger) -> None:
    """Raise `SettingsInvalid` where the ledger was begun with another account than is named."""
    asked = venue_of(settings)
    known = ledger.venue(asked)
    if known != asked:
        raise SettingsInvalid(
            f"ledger: expected the account it was begun with ({known}); the settings name another "
            f"({asked}); one ledger serves one account: set THUNES_LEDGER_URL to a new one "
            "(sqlite:////path/other.db) or another THUNES_HOME, or set THUNES_EXCHANGE and "
            "THUNES_BROKER back"
        )
