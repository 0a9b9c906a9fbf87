"""One exchange, one ledger, and ticks in forked processes that a signal ends at a named point.

Add here: what the trials of both signals share. Keep out: the points (`points`), the trials.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

from tests.crash.points import Point
from tests.worlds import HOUR, START, STUDY, bars_of, wave
from thunes_core.adapters.ledger import Ledger, open_ledger
from thunes_core.clock import to_millis
from thunes_core.strategies.base import build
from thunes_core.testnet.app import RunningTestnet
from thunes_core.testnet.faults import Fault, FaultKind

ROOT = Path(__file__).resolve().parents[2]
BARS = bars_of(wave())
TARGETS = build("sma_crossover", {"fast": 5, "slow": 20}).target_exposure(BARS).to_list()
BUY_AT = next(i for i in range(41, 90) if TARGETS[i - 1] == 1.0)
SELL_AT = next(i for i in range(BUY_AT, 150) if TARGETS[i - 1] == 0.0)


STRUCK = {"entry": BUY_AT, "move": BUY_AT + 1, "exit": SELL_AT}
"""The bar in which the tick of each stage of a point runs."""


class Zygote:
    """The forking process; `tick` runs one tick in a child of it and returns how that ended."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.crash.zygote"],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def tick(self, **trial: Any) -> dict[str, int]:
        """Run one trial."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(trial) + "\n")
        self._process.stdin.flush()
        ended: dict[str, int] = json.loads(self._process.stdout.readline())
        return ended

    def close(self) -> None:
        """End the forking process."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(timeout=10)
        self._process.stdout.close()


@dataclass
class Trial:
    """One exchange, one ledger, and ticks in processes of their own."""

    zygote: Zygote
    net: RunningTestnet
    url: str
    protection: dict[str, float] = field(default_factory=dict)
    lists: bool = True
    home: str = ""
    entry: dict[str, Any] = field(default_factory=dict)

    def tick(
        self, bar: int, minute: int = 0, *, command: bool = False, **point: Any
    ) -> dict[str, int]:
        """Tick `minute` minutes after the open of `bar`, dying at `point` if one is given.

        It runs as a run of Dagster does, or as the `command` line.
        """
        self._stand_at(bar, minute)
        return self.zygote.tick(
            url=self.net.url,
            ledger=self.url,
            study=STUDY,
            point=point,
            command=command,
            home=self.home,
            protection=self.protection,
            lists=self.lists,
            entry=self.entry,
        )

    def resting(self) -> list[str]:
        """Return the types of the orders that are open at the exchange."""
        return [str(order.asked.type) for order in self.net.exchange.records.open_orders()]

    def _stand_at(self, bar: int, minute: int) -> None:
        with self.net.exchange.lock:
            self.net.exchange.clock.move_to(to_millis(START + bar * HOUR) + minute * 60_000)
            self.net.exchange.advance()

    def sent(self) -> list[Any]:
        """Return every order the exchange ever took."""
        return self.net.exchange.records.orders("BTCUSDT")


def assert_ledger_is_the_exchange(ledger: Ledger, net: RunningTestnet) -> None:
    """Orders, fills, fees and balances agree to the last digit, and the audit is whole."""
    orders = ledger.orders()
    assert not [o for o in ledger.open_orders() if o.status.is_in_flight]
    with net.exchange.lock:
        theirs = {
            str(t.trade_id): (t.quantity, t.price, t.fee)
            for t in net.exchange.records.trades("BTCUSDT")
        }
        wallet = {a: net.exchange.wallet.total(a) for a in ("BTC", "USDT")}
    ours = {
        row["trade_id"]: tuple(
            Decimal(row[f"{name}_text"]) for name in ("quantity", "price", "fee")
        )
        for row in ledger.fills().to_dicts()
    }
    assert ours == theirs
    assert ledger.expected_balances() == wallet
    (book,) = ledger.positions()
    assert book.holding == wallet["BTC"]
    assert book.cash == wallet["USDT"]
    assert Counter(orders["client_order_id"]).most_common(1)[0][1] == 1
    assert ledger.verify_audit().whole


def assert_flat_and_equal(trial: Trial) -> None:
    """Everything was sold once, nothing rests, ledger and exchange agree."""
    ledger = open_ledger(trial.url)
    assert trial.resting() == []
    assert ledger.open_orders() == []
    assert ledger.trades().height == 1
    assert_ledger_is_the_exchange(ledger, trial.net)
    ledger.close()


def strike(trial: Trial, point: Point, number: int, *, command: bool = False) -> dict[str, int]:
    """Run the tick of the point, and send its process the signal there."""
    trial.protection, trial.lists = dict(point.protection), point.lists
    trial.entry = dict(point.entry)
    if point.stage != "entry":
        assert trial.tick(BUY_AT) == {"exit": 0}
    if point.unanswered:
        trial.net.exchange.faults.add(Fault(FaultKind.DROP_AFTER))
    return trial.tick(STRUCK[point.stage], command=command, **point.strike, signal=number)


def assert_guarded(trial: Trial) -> None:
    """Whatever is held has its stop at the exchange."""
    held = trial.net.exchange.wallet.total("BTC") >= 0.001
    assert not held or "STOP_LOSS" in trial.resting()


def assert_agrees_afterwards(trial: Trial, point: Point) -> None:
    """The next tick settles what was parked; held is protected; all is bought and sold once.

    Where nothing left and no order was written, the next tick alone shows that.
    """
    bar = STRUCK[point.stage]
    assert trial.tick(bar, 1) == {"exit": 0}
    if point.is_between:
        ledger = open_ledger(trial.url)
        assert_ledger_is_the_exchange(ledger, trial.net)
        ledger.close()
        return
    for later in sorted({BUY_AT + 1, SELL_AT} - set(range(bar + 1))) or [SELL_AT + 1]:
        assert trial.tick(later) == {"exit": 0}
        if point.protection:
            assert_guarded(trial)
    assert_flat_and_equal(trial)
