"""SIGKILL at every named point of an order's life, then a restart: the ledger equals the exchange.

Each trial trades a wave of prices on a local testnet: some ticks, one tick that is killed at the
point, then ticks until the position is sold again.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tests.worlds import HOUR, START, STUDY, bars_of, wave
from thunes_core.adapters.ledger import Ledger, open_ledger
from thunes_core.clock import to_millis
from thunes_core.strategies.base import build
from thunes_core.testnet.app import RunningTestnet, serve_in_thread
from thunes_core.testnet.market import replayed_market

ROOT = Path(__file__).resolve().parents[2]
BARS = bars_of(wave())
TARGETS = build("sma_crossover", {"fast": 5, "slow": 20}).target_exposure(BARS).to_list()
BUY_AT = next(i for i in range(41, 90) if TARGETS[i - 1] == 1.0)
SELL_AT = next(i for i in range(BUY_AT, 150) if TARGETS[i - 1] == 0.0)

JOURNAL = (
    "acquire_lease",
    "record_decision",
    "claim",
    "record_outcome",
    "record_fill",
    "record_tick",
    "release_lease",
)
POINTS = [
    *((method, when) for method in JOURNAL for when in ("before", "after")),
    ("submit", "before"),
    ("submit", "after"),
    ("fills", "before"),
    ("account", "after"),
]


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

    def tick(self, bar: int, minute: int = 0, **point: Any) -> dict[str, int]:
        """Tick `minute` minutes after the open of `bar`, dying at `point` if one is given."""
        self._stand_at(bar, minute)
        return self.zygote.tick(
            url=self.net.url,
            ledger=self.url,
            study=STUDY,
            point=point,
            protection=self.protection,
            lists=self.lists,
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


@pytest.fixture(scope="module")
def zygote() -> Iterator[Zygote]:
    """Start the forking process once."""
    made = Zygote()
    yield made
    made.close()


@pytest.fixture()
def trial(zygote: Zygote, tmp_path: Path) -> Iterator[Trial]:
    """Serve an exchange and name a ledger."""
    with serve_in_thread(replayed_market([BARS], start=START), cash=1000) as net:
        yield Trial(zygote, net, f"sqlite:///{tmp_path / 'ledger.db'}")


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


@pytest.mark.parametrize(("method", "when"), POINTS)
@pytest.mark.parametrize("bar", [BUY_AT, SELL_AT], ids=["entry", "exit"])
def test_a_kill_at_any_point_neither_loses_nor_doubles_an_order(trial, bar, method, when):
    """One decision, at most one order; after the restart ledger and exchange are equal."""
    trial.tick(41)
    if bar == SELL_AT:
        trial.tick(BUY_AT)
    assert trial.tick(bar, method=method, when=when, nth=1) == {"signal": 9}
    for minute in (1, 2):
        assert trial.tick(bar, minute) == {"exit": 0}
    for later in sorted({bar + 1, SELL_AT, SELL_AT + 1} - {bar}):
        assert trial.tick(later) == {"exit": 0}
    ledger = open_ledger(trial.url)
    sides = [order.asked.side for order in trial.sent()]
    assert sides == ["BUY", "SELL"]
    assert ledger.trades().height == 1
    assert_ledger_is_the_exchange(ledger, trial.net)
    ledger.close()


PAIR = {"stop_loss": 0.04, "take_profit": 0.5}
TRAIL = {"trailing_stop": 0.04}
AT_ENTRY = [
    (kind, method, when, nth)
    for kind, sent in ((PAIR, "submit_pair"), (TRAIL, "submit"))
    for method, when, nth in (
        ("record_intents", "before", 1),
        ("record_intents", "after", 1),
        ("claim", "after", 2),
        (sent, "before", 1 if kind is PAIR else 2),
        (sent, "after", 1 if kind is PAIR else 2),
    )
]


@pytest.mark.parametrize(("kind", "method", "when", "nth"), AT_ENTRY)
def test_a_kill_while_protection_is_placed_leaves_one_that_fits(trial, kind, method, when, nth):
    """Within three ticks exactly the wanted orders rest, and the exit sells everything once."""
    trial.protection, trial.lists = kind, False
    trial.tick(41)
    assert trial.tick(BUY_AT, method=method, when=when, nth=nth) == {"signal": 9}
    for minute in (1, 2, 3):
        assert trial.tick(BUY_AT, minute) == {"exit": 0}
    wanted = ["LIMIT_MAKER", "STOP_LOSS"] if kind is PAIR else ["STOP_LOSS"]
    assert sorted(trial.resting()) == wanted
    for later in (SELL_AT, SELL_AT + 1):
        assert trial.tick(later) == {"exit": 0}
    assert_flat_and_equal(trial)


@pytest.mark.parametrize("kind", [PAIR, TRAIL], ids=["pair", "trail"])
@pytest.mark.parametrize(
    ("method", "when"),
    [
        ("record_decision", "after"),
        ("claim", "after"),
        ("submit_entry", "before"),
        ("submit_entry", "after"),
        ("record_outcome", "after"),
        ("record_fill", "before"),
    ],
)
def test_a_kill_while_an_entry_goes_out_with_its_protection_leaves_both_or_none(
    trial, kind, method, when
):
    """One list at most; after the next bar what is held is protected, and is sold once."""
    trial.protection = kind
    trial.tick(41)
    assert trial.tick(BUY_AT, method=method, when=when) == {"signal": 9}
    held = bool(trial.resting())
    for minute in (1, 2):
        assert trial.tick(BUY_AT, minute) == {"exit": 0}
        assert bool(trial.resting()) == held
    assert trial.tick(BUY_AT + 1) == {"exit": 0}
    wanted = ["LIMIT_MAKER", "STOP_LOSS"] if kind is PAIR else ["STOP_LOSS"]
    assert sorted(trial.resting()) == wanted
    for later in (SELL_AT, SELL_AT + 1):
        assert trial.tick(later) == {"exit": 0}
    assert_flat_and_equal(trial)


@pytest.mark.parametrize(("method", "when"), [("replace", "before"), ("replace", "after")])
def test_a_kill_while_a_stop_is_moved_leaves_one_stop(trial, method, when):
    """Either the old or the new one rests; the next ticks put it where it belongs."""
    trial.protection = TRAIL
    trial.tick(41)
    trial.tick(BUY_AT)
    assert trial.tick(BUY_AT + 1, method=method, when=when) == {"signal": 9}
    assert trial.resting() == ["STOP_LOSS"]
    for minute in (1, 2, 3):
        assert trial.tick(BUY_AT + 1, minute) == {"exit": 0}
        assert trial.resting() == ["STOP_LOSS"]
    for later in (SELL_AT, SELL_AT + 1):
        assert trial.tick(later) == {"exit": 0}
    assert_flat_and_equal(trial)


@pytest.mark.parametrize("kind", [PAIR, TRAIL], ids=["pair", "trail"])
@pytest.mark.parametrize("when", ["before", "after"])
def test_a_kill_around_the_exit_that_releases_its_protection_still_exits(trial, kind, when):
    """One request cancels and sells, or neither: the next ticks know which."""
    trial.protection = kind
    trial.tick(41)
    trial.tick(BUY_AT)
    assert trial.tick(SELL_AT, method="replace", when=when) == {"signal": 9}
    for minute in (1, 2):
        assert trial.tick(SELL_AT, minute) == {"exit": 0}
    assert trial.tick(SELL_AT + 1) == {"exit": 0}
    assert_flat_and_equal(trial)


def assert_flat_and_equal(trial: Trial) -> None:
    """Everything was sold once, nothing rests, ledger and exchange agree."""
    ledger = open_ledger(trial.url)
    assert trial.resting() == []
    assert ledger.open_orders() == []
    assert ledger.trades().height == 1
    assert_ledger_is_the_exchange(ledger, trial.net)
    ledger.close()
