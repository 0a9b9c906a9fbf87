"""One ledger serves one account: which venue the settings mean, and whether it is the ledger's.

Add here: what tells two accounts apart by the settings. Keep out: asking the exchange.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from thunes_core.errors import SettingsInvalid
from thunes_core.serving import served
from thunes_core.settings import CCXT, Settings

if TYPE_CHECKING:
    from thunes_core.adapters.ledger import Ledger

_WAY_OUT = (
    "one ledger serves one account: set THUNES_LEDGER_URL to a new one "
    "(sqlite:////path/other.db) or another THUNES_HOME, or set"
)


def venue_of(settings: Settings) -> str:
    """Name exchange and broker; CCXT is but another road to the same account."""
    return f"{settings.exchange.removeprefix(CCXT)} {settings.broker}"


def require_own_venue(settings: Settings, ledger: Ledger) -> None:
    """Raise `SettingsInvalid` where the ledger is another account's; a new one becomes this one's.

    Nothing but the venue of a new ledger is written.
    """
    _require_served_host(settings)
    _require_same(venue_of(settings), ledger.venue(venue_of(settings)))


def require_no_other_venue(settings: Settings, ledger: Ledger) -> None:
    """Raise `SettingsInvalid` where the ledger is another account's; a new one stays nobody's."""
    known = ledger.known_venue()
    if known is not None:
        _require_same(venue_of(settings), known)


def _require_same(asked: str, known: str) -> None:
    if known != asked:
        raise SettingsInvalid(
            f"ledger: expected the account it was begun with ({known}); the settings name another "
            f"({asked}); {_WAY_OUT} THUNES_EXCHANGE and THUNES_BROKER back"
        )


def _require_served_host(settings: Settings) -> None:
    """Raise where `thunes up` keeps this ledger on one local testnet and another one is named."""
    if settings.exchange != "local" or settings.broker != "exchange" or settings.ledger_url:
        return
    told = served(settings.home).get("binance_rest_url")
    if told is not None and urlsplit(told).port != urlsplit(settings.rest_url).port:
        raise SettingsInvalid(
            f"ledger: expected the account of the testnet that `thunes up` runs for it ({told}); "
            f"the settings name another ({settings.rest_url}); {_WAY_OUT} "
            "THUNES_BINANCE_REST_URL back"
        )
