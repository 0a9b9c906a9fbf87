"""A disk that fills up, or turns read-only, at any point of an order's life; then there is room.

No order leaves without a durable intent, what left is found again, its stops stay, and ledger and
exchange are equal to the last digit.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tests.crash.points import LIFE, TRAIL, Point
from tests.crash.trials import BARS, BUY_AT, ROOT, SELL_AT, STRUCK, assert_ledger_is_the_exchange
from tests.databases import ledger_in
from tests.disk.disks import Disk, disk, require_mounted
from tests.worlds import HOUR, START, STUDY, WIDE, Champions
from thunes_core.adapters.binance.broker import BinanceBroker
from thunes_core.adapters.binance.market import BinanceMarket
from thunes_core.adapters.ledger import open_ledger
from thunes_core.clock import to_millis
from thunes_core.domain.limits import LimitEntry, Protection
from thunes_core.domain.portfolio import TradingState
from thunes_core.errors import StoreFailed
from thunes_core.settings import LOCAL_KEY, LOCAL_SECRET
from thunes_core.testnet.app import RunningTestnet, serve_in_thread
from thunes_core.testnet.faults import Fault, FaultKind
from thunes_core.testnet.market import replayed_market
from thunes_core.trading.step import tick
from thunes_core.trading.world import TickReport, TradingPlan, World


class Struck:
    """A port of which the n-th call of one method is preceded or followed by `strike`."""

    def __init__(self, inner: Any, point: Point | None, strike: Callable[[], None]) -> None:
        self._inner, self._point, self._strike, self._calls = inner, point, strike, 0
        self.settle_time = getattr(inner, "settle_time", None)

    def under(self, lease: Any) -> Struck:
        return Struck(self._inner.under(lease), self._point, self._strike)

    def __getattr__(self, name: str) -> Any:
        real = getattr(self._inner, name)
        return self._watched(real) if self._point and name == self._point.method else real

    def _watched(self, real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*given: Any, **named: Any) -> Any:
            assert self._point is not None
            self._calls += 1
            now = self._calls == self._point.nth
            if now and self._point.when == "before":
                self._strike()
            answer = real(*given, **named)
            if now and self._point.when == "after":
                self._strike()
            return answer

        return call


@dataclass
class Place:
    """An exchange, a disk with the ledger on it, and ticks that each open it anew."""

    net: RunningTestnet
    disk: Disk
    url: str

    def tick(
        self, bar: int, minute: int = 0, terms: Point | None = None, *, strikes: bool = False
    ) -> TickReport:
        """Tick `minute` minutes after the open of `bar`; the disk fills up at the point."""
        with self.net.exchange.lock:
            moment = to_millis(START + bar * HOUR) + minute * 60_000
            self.net.exchange.clock.move_to(moment)
            self.net.exchange.advance()
        point = terms if strikes else None
        market = BinanceMarket(self.net.url)
        broker = BinanceBroker(self.net.url, LOCAL_KEY, LOCAL_SECRET)
        if terms and not terms.lists:
            broker.entry_lists = ()
        entry = LimitEntry(**terms.entry) if terms and terms.entry else None
        protection = Protection(**terms.protection) if terms else Protection()
        plan = TradingPlan((STUDY,), Decimal(1000), WIDE, protection, entry=entry)
        with closing(market), closing(broker), closing(open_ledger(self.url)) as ledger:
            ports = (Struck(one, point, self.disk.fill) for one in (broker, ledger))
            return tick(World(market, *ports, Champions()), plan)

    def resting(self) -> list[str]:
        """Return the types of the orders that are open at the exchange."""
        return sorted(str(order.asked.type) for order in self.net.exchange.records.open_orders())

    def is_guarded(self) -> bool:
        """Tell whether a stop rests for what is held."""
        held = self.net.exchange.wallet.total("BTC") >= Decimal("0.001")
        return not held or "STOP_LOSS" in self.resting()

    def sent(self) -> list[Any]:
        """Return every order the exchange ever took, oldest first."""
        return self.net.exchange.records.orders("BTCUSDT")


@pytest.fixture()
def place(tmp_path) -> Iterator[Place]:
    """Serve an exchange and keep the ledger on a disk of its own."""
    with (
        disk(tmp_path / "disk") as made,
        serve_in_thread(replayed_market([BARS], start=START), cash=1000) as net,
    ):
        yield Place(net, made, ledger_in(made.folder))


WHERE = [
    point
    for point in LIFE
    if (point.method, point.when, point.stage)
    in {
        ("acquire_lease", "before", "entry"),
        ("record_decision", "before", "entry"),
        ("record_decision", "after", "exit"),
        ("claim", "before", "entry"),
        ("claim", "after", "exit"),
        ("submit", "after", "entry"),
        ("submit_entry", "after", "entry"),
        ("change_order", "before", "entry"),
        ("record_outcome", "after", "entry"),
        ("record_fill", "before", "exit"),
        ("record_fill", "after", "entry"),
        ("replace", "after", "move"),
        ("replace", "after", "exit"),
        ("record_tick", "before", "entry"),
    }
]
"""Before an order, between intent and wire, after the answer, among fills, and while a stop moves.

It was also run over the whole of `LIFE`.
"""


@pytest.mark.parametrize("point", WHERE, ids=str)
def test_a_disk_that_fills_up_neither_loses_nor_doubles_an_order(place, point):
    """One clear error; what protects stays; the next ticks agree with the exchange."""
    require_mounted(place.disk)
    at = STRUCK[point.stage]
    if point.stage != "entry":
        place.tick(BUY_AT, 0, point)
    if point.unanswered:
        place.net.exchange.faults.add(Fault(FaultKind.DROP_AFTER))
    with pytest.raises(StoreFailed, match="disk"):
        place.tick(at, 0, point, strikes=True)
    assert_every_order_has_its_intent(place)
    if point.stage == "move" and "cancel" not in point.method:
        assert place.is_guarded()
    sent = len(place.sent())
    with pytest.raises(StoreFailed, match="disk"):
        place.tick(at, 1, point)
    assert len(place.sent()) == sent
    place.disk.make_room()
    later = sorted({BUY_AT + 1, SELL_AT, SELL_AT + 1} - set(range(at + 1)))
    for bar, minute in ((at, 2), (at, 3), *((bar, 0) for bar in later)):
        place.tick(bar, minute, point)
        if point.protection:
            assert place.is_guarded()
    with closing(open_ledger(place.url)) as ledger:
        assert_ledger_is_the_exchange(ledger, place.net)
        assert ledger.trades().height == 1
    assert place.resting() == []


def assert_every_order_has_its_intent(place: Place) -> None:
    """Nothing that the exchange took is unknown to the ledger on the disk that is full."""
    place.disk.make_room()
    with closing(open_ledger(place.url)) as ledger:
        for order in place.sent():
            assert ledger.order(order.client_id) is not None
    place.disk.fill()


def test_on_a_read_only_disk_nothing_is_sent_and_stops_stay(place):
    """Its exit waits for the disk, behind its stop; the first tick that can write makes it."""
    guarded = Point("", "", protection=TRAIL)
    place.tick(BUY_AT, 0, guarded)
    sent = len(place.sent())
    with (
        place.disk.read_only(),
        pytest.raises(StoreFailed, match=r"(readonly database|unable to open).*rights"),
    ):
        place.tick(SELL_AT, 0, guarded)
    assert len(place.sent()) == sent
    assert place.is_guarded()
    place.tick(SELL_AT, 1, guarded)
    assert place.resting() == []
    with closing(open_ledger(place.url)) as ledger:
        assert_ledger_is_the_exchange(ledger, place.net)
        assert ledger.trades().height == 1


def test_a_ledger_file_that_may_not_be_written_is_told():
    """By its rights alone; root may write it all the same, so another user's process tries."""
    with tempfile.TemporaryDirectory() as folder:
        url, path = ledger_in(Path(folder)), Path(folder) / "ledger.db"
        path.chmod(0o444)
        Path(folder).chmod(0o555)
        ended = as_nobody(
            "from thunes_core.adapters.ledger import open_ledger\n"
            f"open_ledger({url!r}).set_trading_state('HALTED', reason='r', author='a')"
        )
        Path(folder).chmod(0o755)
        last = ended.strip().splitlines()[-1]
        assert "StoreFailed: ledger: expected a readable and writable database; " in last
        assert "readonly database; check its path, rights and disk space" in last
        path.chmod(0o644)
        with closing(open_ledger(url)) as ledger:
            assert ledger.trading_state().state is TradingState.ACTIVE


def as_nobody(code: str) -> str:
    """Run code as a user who owns nothing here, and return what it said at its end."""
    user = []
    if os.geteuid() == 0:
        if shutil.which("setpriv") is None:
            pytest.skip("no setpriv here: root cannot be another user")
        user = ["setpriv", "--reuid=65534", "--clear-groups"]
    words = [*user, sys.executable, "-c"]
    if subprocess.run([*words, "import sqlalchemy"], capture_output=True, check=False).returncode:
        pytest.skip("another user may not run this interpreter here")
    ended = subprocess.run([*words, code], capture_output=True, text=True, check=False, cwd=ROOT)
    return ended.stderr
