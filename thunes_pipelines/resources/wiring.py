"""From settings to plain core objects: which adapter stands behind which port.

The one place that chooses between paper, local testnet and real. Imports are inside the functions:
loading the code location must stay cheap.

Add here: the choice of an adapter. Keep out: everything an adapter does.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import stamina

from thunes_core.clock import SystemClock, monotonic_seconds
from thunes_core.domain.bars import Interval
from thunes_core.domain.parameters import study_key
from thunes_core.errors import LeaseHeld, OutsideFailed, SettingsInvalid, ThunesError
from thunes_core.settings import LOCAL_KEY, LOCAL_SECRET, Settings
from thunes_pipelines.resources import arming, garbage

if TYPE_CHECKING:
    from thunes_core.adapters.bars.store import BarStore
    from thunes_core.adapters.binance.broker import BinanceBroker
    from thunes_core.adapters.binance.market import BinanceMarket
    from thunes_core.adapters.ccxt.broker import CcxtBroker
    from thunes_core.adapters.ccxt.market import CcxtMarket
    from thunes_core.adapters.ledger import Ledger
    from thunes_core.domain.limits import LimitEntry
    from thunes_core.domain.records import Arming
    from thunes_core.reporting.alerts import Alerts
    from thunes_core.trading.ports import Broker, MarketData, ParameterSource
    from thunes_core.trading.tend import Tended
    from thunes_core.trading.world import TickReport, TradingPlan, World
    from thunes_pipelines.promotion import Promoting
    from thunes_pipelines.resources.registry import Registry

POLL_SECONDS = 0.25
LEASE_PATIENCE = timedelta(seconds=5)
_log = logging.getLogger(__name__)


def bar_store(settings: Settings) -> BarStore:
    """Open the bars lake."""
    from thunes_core.adapters.bars.store import BarStore

    return BarStore(settings.lake_root)


def ledger(settings: Settings) -> Ledger:
    """Open the ledger, creating or migrating its schema."""
    from thunes_core.adapters.ledger import open_ledger

    try:
        settings.home.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SettingsInvalid(
            f"THUNES_HOME: expected a folder that can be made and written; {settings.home} "
            f"cannot ({error.strerror}); correct it or its permissions"
        ) from error
    return open_ledger(settings.ledger_address)


def alerts(settings: Settings) -> Alerts:
    """Tell people: in a file and in the log."""
    from thunes_core.adapters.alerts import AlertFile

    return AlertFile(settings.home / "alerts.jsonl")


def market(settings: Settings) -> MarketData:
    """Reach the public side of the exchange."""
    return ccxt_market(settings) if settings.ccxt_id else binance_market(settings)


def second_market(settings: Settings) -> MarketData | None:
    """Reach the second source of bars at its own hosts, or None where none is named."""
    if settings.second_source is None:
        return None
    own = {"exchange": settings.second_source, "second_source": None, "binance_rest_url": None}
    return market(settings.model_copy(update=own))


def binance_market(settings: Settings) -> BinanceMarket:
    """Reach Binance, or what speaks its protocol."""
    from thunes_core.adapters.binance.market import BinanceMarket

    return BinanceMarket(settings.rest_url, **_shared(settings))


def ccxt_market(settings: Settings) -> CcxtMarket:
    """Reach an exchange through CCXT."""
    from thunes_core.adapters.ccxt.market import CcxtMarket

    return CcxtMarket(settings.ccxt_id, settings.binance_rest_url, **_shared(settings))


def _shared(settings: Settings) -> dict[str, Any]:
    """What processes that speak to a real exchange share: request budget and listings.

    The local testnet is ours alone; nothing about it needs to be saved up.
    """
    if settings.exchange == "local":
        return {}
    from thunes_core.adapters.binance.listings import Listings
    from thunes_core.adapters.limiter import WeightLimiter

    host = urlsplit(settings.rest_url).netloc or settings.ccxt_id
    folder = settings.home / "shared" / host.replace(":", "_")
    kept = "ccxt-markets.json" if settings.ccxt_id else "listings.json"
    return {
        "limiter": WeightLimiter(folder / "weights"),
        "listings": Listings(folder / kept),
    }


def broker(settings: Settings) -> Broker:
    """Reach the private side: the exchange's own account, or our paper account on its prices."""
    if settings.broker == "paper":
        from thunes_core.adapters.paper import PaperBroker

        return PaperBroker(
            path=settings.home / "paper.db",
            market=market(settings),
            costs=settings.costs,
            cash=settings.allotment_quote * len(settings.symbols) * len(settings.strategies),
            resolution=settings.interval if settings.exchange == "local" else Interval.M1,
        )
    return account(settings)


def account(settings: Settings) -> BinanceBroker | CcxtBroker:
    """Reach an account at the exchange itself."""
    return _ccxt_broker(settings) if settings.ccxt_id else binance_account(settings)


def _keys(settings: Settings) -> tuple[str, str]:
    key, secret = LOCAL_KEY, LOCAL_SECRET
    if settings.binance_api_key:
        key = settings.binance_api_key.get_secret_value()
    if settings.binance_api_secret:
        secret = settings.binance_api_secret.get_secret_value()
    return key, secret


def _ccxt_broker(settings: Settings) -> CcxtBroker:
    from thunes_core.adapters.ccxt.broker import CcxtBroker
    from thunes_core.adapters.ccxt.client import keys_of

    keys = keys_of(*_keys(settings), settings.binance_private_key_file)
    return CcxtBroker(settings.ccxt_id, settings.binance_rest_url, keys, **_shared(settings))


def binance_account(settings: Settings) -> BinanceBroker:
    """Reach an account at an exchange that speaks Binance's protocol."""
    from thunes_core.adapters.binance.broker import BinanceBroker

    key, secret = _keys(settings)
    return BinanceBroker(
        settings.rest_url,
        api_key=key,
        api_secret=secret,
        private_key_file=settings.binance_private_key_file,
        **_shared(settings),
    )


def registry(settings: Settings) -> Registry:
    """Open the registry of parameter sets (imports MLflow on first use)."""
    from thunes_pipelines.resources.registry import Registry

    return Registry(settings.tracking_uri, settings.artifact_root, registry_key(settings))


def parameter_source(settings: Settings) -> ParameterSource:
    """Ask for champions: over plain REST where MLflow is a server, else through the registry."""
    from thunes_pipelines.resources.champions import champion_source

    return champion_source(settings.tracking_uri, settings.artifact_root, registry_key(settings))


def registry_key(settings: Settings) -> bytes:
    """Return the key that signs what the registry holds, making it on first use."""
    from thunes_pipelines.resources.signing import load_key

    return load_key(settings.registry_key_path)


def world(settings: Settings, journal: Ledger) -> World:
    """Bring together what a tick touches.

    Bars are the exchange's own: neither a locked lake nor a late ingest can delay an exit. Prices
    are the stream's while it runs. The lease names this process. Raises `SettingsInvalid` where
    the ledger is another account's.
    """
    from thunes_core.adapters.ledger.holders import this_process
    from thunes_core.adapters.stream.quoted import QuotedMarket
    from thunes_core.trading.world import World
    from thunes_pipelines.resources.venue import require_own_venue

    require_own_venue(settings, journal)
    return World(
        market=QuotedMarket(market(settings), settings.board_path),
        broker=broker(settings),
        journal=journal,
        parameters=parameter_source(settings),
        doubts=bar_store(settings).holds,
        holder=this_process(),
        pause=_pause_at(market(settings)),
    )


def _pause_at(exchange: MarketData) -> Callable[[timedelta], None]:
    """Return a pause that ends when the exchange's clock has moved, or as much real time passed.

    An accelerated testnet makes it short, a stopped one does not make it endless.
    """

    def pause(length: timedelta) -> None:
        end, most = exchange.server_time() + length, monotonic_seconds() + length.total_seconds()
        while monotonic_seconds() < most and exchange.server_time() < end:
            time.sleep(POLL_SECONDS)

    return pause


def plan(settings: Settings, given: Arming | None = None) -> TradingPlan:
    """Say what a tick may do: the studies, the money of each, limits, protection and costs.

    On a real exchange's account, orders that increase are refused until the account is armed, and
    capped by what it was armed for (`given`).
    """
    from thunes_core.trading.world import TradingPlan

    needed = arming.is_needed(settings)
    studies = tuple(
        study_key(strategy, symbol, settings.interval)
        for strategy in settings.strategies
        for symbol in settings.symbols
    )
    return TradingPlan(
        studies=studies,
        allotment_quote=settings.allotment_quote,
        limits=arming.capped(settings.limits, given) if needed else settings.limits,
        protection=settings.protection,
        entry=limit_entry(settings),
        native_trail=settings.trailing_native,
        costs=settings.costs,
        armed=given is not None or not needed,
        identity=given.identity if given is not None and needed else "",
        takeover=timedelta(hours=settings.takeover_hours),
    )


def limit_entry(settings: Settings) -> LimitEntry | None:
    """Say how entries wait as limit orders; None enters at the market."""
    from thunes_core.domain.limits import LimitEntry

    if settings.entry == "market":
        return None
    return LimitEntry(
        settings.entry_limit_offset, settings.entry_timeout_bars, settings.entry_then_market
    )


def tick(settings: Settings) -> TickReport:
    """Run one tick of everything the settings name; errors as `thunes_core.trading.step.tick`."""
    with ticks(settings) as run:
        return run()


def _tick(settings: Settings, around: World, journal: Ledger) -> TickReport:
    """Run a tick; then candidates on paper decide too, and what they meet never fails a tick."""
    from thunes_core.trading.step import tick

    what = plan(settings, journal.arming())
    report = tick(around, what)
    _record_shadows(around, journal, what.studies)
    return report


def _record_shadows(around: World, journal: Ledger, studies: tuple[str, ...]) -> None:
    from thunes_core.trading.shadow import shadow_decisions

    try:
        journal.record_shadow_decisions(shadow_decisions(around, journal, studies))
    except ThunesError as error:
        _log.warning("no decision on paper was recorded: %s", error)


def exchange_now(given: MarketData) -> datetime:
    """Return the exchange's clock, or the machine's while it does not answer."""
    try:
        return given.server_time()
    except OutsideFailed:
        return SystemClock().now()


def promoting(settings: Settings, journal: Ledger, given: MarketData | None = None) -> Promoting:
    """Return where champions are made and taken back, on the exchange's clock."""
    from thunes_pipelines.promotion import Promoting

    now = exchange_now(given or market(settings))
    return Promoting(registry(settings), journal, settings, now)


@contextmanager
def ticks(settings: Settings) -> Iterator[Callable[[], TickReport]]:
    """Hand out what runs a tick, its world kept open between them; for one thread.

    No tick is interrupted by the collector of garbage.
    A reconciliation that was woken holds the lease for a moment only, so that is waited for.
    """
    patiently = stamina.retry(on=LeaseHeld, attempts=None, timeout=LEASE_PATIENCE)
    with closing(ledger(settings)) as journal:
        with garbage.put_off():  # what it imports stays
            around = world(settings, journal)
        with garbage.between(lambda: _tick(settings, around, journal)) as run:
            yield patiently(run)


def tend(settings: Settings) -> Tended:
    """Reconcile and protect what is held; errors as `tick`."""
    from thunes_core.trading.tend import tend

    with closing(ledger(settings)) as journal:
        return tend(world(settings, journal), plan(settings, journal.arming()))


def reconcile(settings: Settings, *, accept: bool = False) -> dict[str, Any]:
    """Bring the ledger to what the exchange says, or halt; `accept` takes it all as it is."""
    from thunes_core.trading import accept as accepting
    from thunes_core.trading.step import leased, looked, open_desk, reconciled
    from thunes_core.trading.world import parse_study

    with closing(ledger(settings)) as book:
        around, what = world(settings, book), plan(settings)
        with leased(around) as journal:
            desk = open_desk(around, what, journal, [parse_study(key) for key in what.studies])
            found = (looked if accept else reconciled)(desk, around.pause)
            said = accepting.accept(desk, found) if accept else []
        more = {"accepted": said, "state": str(book.trading_state().state)}
    booked = [{"symbol": fill.symbol, "trade_id": fill.trade_id} for fill in desk.booked]
    return {"fills": booked, **found.as_dict(), **more}
