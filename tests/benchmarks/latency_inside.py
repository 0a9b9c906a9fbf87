"""From a closed bar to the bytes of its order in one process: real ticks on a local testnet.

The stretch begins when the closed bars of a study are read and parsed, and ends when the connection
is given the first request that changes an order. What waits for the disk (ledger commits) and for
the exchange (its clock, asked before every order) are parts of their own.

Add here: another part of the path. Keep out: how time is split, tables.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from unittest.mock import patch

from requests.adapters import HTTPAdapter

from tests.benchmarks.stopwatch import Stopwatch, Taken, taken
from thunes_core.adapters.bars import holds
from thunes_core.adapters.binance import limited
from thunes_core.adapters.binance.broker import BinanceBroker
from thunes_core.adapters.ledger import Ledger
from thunes_core.adapters.stream.quoted import QuotedMarket
from thunes_core.domain.parameters import Champion, ParameterSet
from thunes_core.settings import Settings, load
from thunes_core.trading import enter, exits, look, trade
from thunes_core.trading.journal import Journal
from thunes_pipelines.resources import wiring

SYMBOLS = ("BTCUSDT", "ETHUSDT", "BNBUSDT")
START = datetime(2024, 1, 1, tzinfo=UTC)
CHOSEN = ParameterSet("sma_crossover", {"fast": 5, "slow": 20})
COMMITS, WAITED = "ledger: commits", "waiting for the exchange's answers"
ASKED = "questions to the exchange (its clock; fills before a protected sale)"
READS = "ledger: reads"
APART = (COMMITS, ASKED, WAITED)
"""Parts that wait for a disk or for the exchange, shown apart from the goal."""

_PARTS: tuple[tuple[Any, str, str], ...] = (
    (look, "targets_of", "strategy"),
    (trade, "decide", "decision"),
    (trade, "facts_of", "facts for the gate"),
    (trade, "entry_facts", "facts for the gate"),
    (exits, "judge", "risk gate"),
    (enter, "judge", "risk gate"),
    (holds, "why_wait", "doubts about the bars"),
    (trade, "_context", "fingerprint of the bars"),
    (trade, "watch_bars", "walk over the bars for an exit"),
    (BinanceBroker, "ready", ASKED),
    (BinanceBroker, "_read", ASKED),
    (BinanceBroker, "submit", "python-binance: parameters, signature, request"),
    (BinanceBroker, "submit_entry", "python-binance: parameters, signature, request"),
    (BinanceBroker, "replace", "python-binance: parameters, signature, request"),
    (BinanceBroker, "cancel", "python-binance: parameters, signature, request"),
    (limited.LimitedAdapter, "_take", "request budget"),
)
_WRITES = ("record_decision", "record_intents", "claim", "save_position", "change_order")


def trading_settings(home: Path, url: str, **more: str) -> Settings:
    """Return settings of a real account at the testnet with limits that refuse no entry."""
    return load(**environment(home, url) | more)


def environment(home: Path, url: str) -> dict[str, str]:
    """Return those settings by name, as text."""
    return {
        "home": str(home),
        "interval": "1m",
        "symbols": ",".join(SYMBOLS),
        "broker": "exchange",
        "binance_rest_url": url,
        "mlflow_tracking_uri": "http://127.0.0.1:9",
        "cooldown_minutes": "0",
        "daily_loss_quote": "1000000",
        "max_drawdown": "0",
        "max_entries_per_hour": "0",
    }


def remember_champions(settings: Settings) -> None:
    """Give every study parameters that cross often."""
    with closing(wiring.ledger(settings)) as ledger:
        for symbol in SYMBOLS:
            study = f"{CHOSEN.strategy}.{symbol}.1m"
            ledger.remember_champion(Champion(study, CHOSEN, "1", "run"), START)


@contextmanager
def watched(watch: Stopwatch) -> Iterator[None]:
    """Split the stretches of every tick of this process, until the block ends."""
    parts = [*_PARTS, *((Ledger, name, COMMITS) for name in _WRITES)]
    parts += [(Ledger, name, READS) for name in _reads()]
    klines, send = QuotedMarket.klines, watch.part(WAITED, HTTPAdapter.send)

    def klines_then_start(*given: Any, **named: Any) -> Any:
        bars = klines(*given, **named)
        watch.start()
        return bars

    def stop_then_send(adapter: HTTPAdapter, request: Any, *given: Any, **named: Any) -> Any:
        if request.method != "GET":
            watch.stop()
        return send(adapter, request, *given, **named)

    with ExitStack() as changed:
        for owner, name, part in parts:
            changed.enter_context(patch.object(owner, name, watch.part(part, getattr(owner, name))))
        changed.enter_context(patch.object(QuotedMarket, "klines", klines_then_start))
        changed.enter_context(patch.object(HTTPAdapter, "send", stop_then_send))
        yield


def _reads() -> list[str]:
    """Return every question of the journal that writes nothing."""
    asked = [name for name, value in vars(Journal).items() if callable(value)]
    begun = ("_", "acquire", "release", "under", *_WRITES)
    return [name for name in asked if not name.startswith(begun)]


def measure(settings: Settings, step: Callable[[], object], orders: int, warm_up: int = 3) -> Taken:
    """Tick after each `step` of the exchange's clock until so many orders were timed each way.

    The first `warm_up` orders are left out: they import, compile and connect.
    """
    remember_champions(settings)
    watch = Stopwatch()
    with wiring.ticks(settings) as tick, watched(watch):

        def run() -> None:
            step()
            for budget in settings.home.glob("shared/*/weights*"):
                budget.write_bytes(b"")  # minutes of the exchange pass in moments
            tick()

        return taken(watch, APART, orders, warm_up, run)
