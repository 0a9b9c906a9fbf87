"""One exchange behind one wire, one ledger, and ticks whose requests break as they are told to.

Add here: what the trials of orders and of reads share. Keep out: what breaks (`proxy`).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from requests import PreparedRequest, Response
from requests.adapters import BaseAdapter

from tests.crash.trials import BARS
from tests.databases import ledger_in
from tests.wire.proxy import Wire, wire_before
from tests.worlds import HOUR, START, STUDY, WIDE, Champions
from thunes_core.adapters.binance.broker import BinanceBroker
from thunes_core.adapters.binance.market import BinanceMarket
from thunes_core.adapters.ledger import Ledger, open_ledger
from thunes_core.clock import to_millis
from thunes_core.domain.limits import LimitEntry, Protection
from thunes_core.domain.orders import OrderStatus
from thunes_core.settings import LOCAL_KEY, LOCAL_SECRET
from thunes_core.testnet.app import RunningTestnet, serve_in_thread
from thunes_core.testnet.market import replayed_market
from thunes_core.trading.step import tick
from thunes_core.trading.world import TradingPlan, World

PATIENCE_SECONDS = 0.2
STOP = Protection(stop_loss=0.04)
TRAIL = Protection(trailing_stop=0.04)
PAIR = Protection(stop_loss=0.04, take_profit=0.5)
TRAILED_PAIR = Protection(trailing_stop=0.04, take_profit=0.5)


class Impatient(BaseAdapter):
    """Gives up soon on the request that will be broken, and waits for all others."""

    def __init__(self, inner: BaseAdapter, wire: Wire) -> None:
        super().__init__()
        self._inner = inner
        self._wire = wire

    def send(self, request: PreparedRequest, *args: Any, **options: Any) -> Response:
        if self._wire.is_next(f"{request.method} {urlsplit(str(request.url)).path}"):
            options["timeout"] = PATIENCE_SECONDS
        return self._inner.send(request, *args, **options)

    def close(self) -> None:
        self._inner.close()


class SomeMarket(BinanceMarket):
    """A market that may say of its symbols that they do not take cancelReplace."""

    replaces = True

    def instruments(self, symbols: Any = None) -> Any:
        found = super().instruments(symbols)
        return {s: replace(one, replaces=self.replaces) for s, one in found.items()}


@dataclass
class Trial:
    """What one trial acts on, and how it trades."""

    net: RunningTestnet
    wire: Wire
    market: SomeMarket
    broker: BinanceBroker
    ledger: Ledger
    protection: Protection = TRAIL
    entry: LimitEntry | None = None
    world: World = field(init=False)

    def __post_init__(self) -> None:
        self.world = World(self.market, self.broker, self.ledger, Champions())

    def tick(self, bar: int, minute: int = 0) -> Any:
        """Tick `minute` minutes after the open of `bar`."""
        with self.net.exchange.lock:
            self.net.exchange.clock.move_to(to_millis(START + bar * HOUR) + minute * 60_000)
            self.net.exchange.advance()
        limits = (Decimal(1000), WIDE, self.protection)
        return tick(self.world, TradingPlan((STUDY,), *limits, entry=self.entry))

    def decided(self) -> list[str]:
        """Return the sides of the orders that decisions made and that executed."""
        taken = self.net.exchange.records.orders("BTCUSDT")
        return [str(o.asked.side) for o in taken if not o.asked.is_stop and o.executed]

    def resting(self) -> list[str]:
        """Return the types of the orders that are open at the exchange."""
        return sorted(str(o.asked.type) for o in self.net.exchange.records.open_orders())

    def is_guarded(self) -> bool:
        """True when nothing is held and nothing rests, or just the protection that is wanted."""
        wanted = {"STOP_LOSS"} if not self.protection.take_profit else {"LIMIT_MAKER", "STOP_LOSS"}
        held = self.net.exchange.wallet.total("BTC")
        if held < Decimal("0.001"):
            return self.resting() == []
        return set(self.resting()) == wanted and held - self.stopped() < Decimal("0.0001")

    def stopped(self) -> Decimal:
        """Return the base units whose stop rests."""
        rests = self.net.exchange.records.open_orders()
        return sum((o.quantity for o in rests if o.asked.is_stop), Decimal(0))

    def is_honest(self) -> bool:
        """True when the ledger says of each order what the exchange does, or that it is unknown.

        Of protection that is moved it is enough that what takes its place is unknown.
        """
        theirs = {o.client_id: str(o.status) for o in self._taken()}
        unknown = {OrderStatus.SUBMITTED, OrderStatus.UNKNOWN}
        records = self.ledger.open_orders()
        moved = any(one.request.rests and one.status in unknown for one in records)
        return all(
            record.status in unknown
            or theirs.get(record.client_order_id) == record.status
            or (moved and record.request.rests)
            for record in records
        )

    def _taken(self) -> list[Any]:
        return list(self.net.exchange.records.orders("BTCUSDT"))


@contextmanager
def trial_in(folder: Path) -> Iterator[Trial]:
    """Put unmodified clients behind a wire."""
    with (
        serve_in_thread(replayed_market([BARS], start=START), cash=1000) as net,
        wire_before(net.url) as wire,
    ):
        broker, market = BinanceBroker(wire.url, LOCAL_KEY, LOCAL_SECRET), SomeMarket(wire.url)
        broker.entry_lists = ()
        for port in (broker, market):
            session = port.client.session
            session.mount(wire.url, Impatient(session.get_adapter(wire.url), wire))
        ledger = open_ledger(ledger_in(folder), synchronous="OFF")
        yield Trial(net, wire, market, broker, ledger)
        broker.close()
        market.close()
        ledger.close()
