"""The named points of an order's life: what is durable, and what leaves, in the tick's own order.

A point is a method of the journal or the broker, before or after its n-th call. The trials of
SIGKILL and of SIGTERM strike at these same points.

Add here: a point. Keep out: how a trial runs (`trials`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

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

WITH_LIST = [
    ("record_decision", "after"),
    ("claim", "after"),
    ("submit_entry", "before"),
    ("submit_entry", "after"),
    ("record_outcome", "after"),
    ("record_fill", "before"),
]

OVERDUE = {"offset": 0.2, "timeout_bars": 1, "then_market": True}
TRAILED_PAIR = {"trailing_stop": 0.04, "take_profit": 0.5}

MARKS = (
    "remember_champion",
    "accept_balance",
    "save_position",
    "set_cursor",
    "set_day_start",
    "set_peak",
    "heard_exchange",
)

MOVES = frozenset({"replace", "replace_by_pair", "cancel"})

WRITTEN = frozenset({"record_decision", "record_intents", "claim", "record_outcome", "record_fill"})
"""What an order's life is written by."""


@dataclass(frozen=True, slots=True)
class Point:
    """One named point and the tick in which it is passed.

    `stage`: `entry` (the account's first tick, which buys), `move` (the bar after it, which moves
    what protects) or `exit`. `unanswered`: the answer to the order of that tick is lost. `entry`
    makes entries limit orders.
    """

    method: str
    when: str
    stage: str = "entry"
    protection: Mapping[str, float] = field(default_factory=dict)
    lists: bool = True
    nth: int = 1
    unanswered: bool = False
    entry: Mapping[str, Any] = field(default_factory=dict)

    @property
    def is_between(self) -> bool:
        """True when nothing left and no order was written since the point before it."""
        sends = self.method.startswith("submit") or self.method in MOVES
        return not sends and (self.when == "before" or self.method not in WRITTEN)

    def __str__(self) -> str:
        return f"{self.when}-{self.method}-{self.stage}"

    @property
    def strike(self) -> dict[str, Any]:
        """What a process is told about the point."""
        return {"method": self.method, "when": self.when, "nth": self.nth}


def _around(method: str, stage: str = "entry", **given: Any) -> list[Point]:
    return [Point(method, when, stage, **given) for when in ("before", "after")]


BOOKKEEPING = [
    *_around("ready"),
    *_around("replace", protection=TRAILED_PAIR),
    *_around("submit_pair", protection=TRAILED_PAIR),
    *_around("replace_by_pair", "move", protection=TRAILED_PAIR),
    *_around("cancel", "move", protection=PAIR, entry=OVERDUE),
    *_around("change_order", unanswered=True),
    *(Point(method, "after") for method in MARKS),
]
"""What else is written or sent on an order's way, beside the tables above."""

LIFE = [
    *(Point(method, when) for method, when in POINTS),
    *_around("submit", protection=TRAIL, lists=False, nth=2),
    *_around("record_intents", protection=TRAIL, lists=False),
    *_around("submit_pair", protection=PAIR, lists=False),
    *_around("submit_entry", protection=PAIR),
    *_around("replace", "move", protection=TRAIL),
    *_around("replace", "exit", protection=PAIR),
    *_around("record_decision", "exit", protection=PAIR),
    *_around("claim", "exit", protection=TRAIL),
    *_around("record_fill", "exit", protection=TRAIL),
    *BOOKKEEPING,
]
"""Every method that writes or sends, each in a tick that passes it."""

BESIDE = {
    "set_trading_state": "a limit or a person changes it, not an order",
    "accept_order": "a person takes an order as his own",
    "accept_foreign": "a person takes trades as his own",
    "keep_foreign": "trades that are not of our orders: `test_kill_by_hand`",
    "note": "an event of the audit without an order",
}
READS = frozenset(
    {
        "account",
        "breaker_open",
        "champion_since",
        "cursor",
        "day_start",
        "dealings_since",
        "entries_since",
        "expected_balances",
        "accepted_orders",
        "arming",
        "fills",
        "foreign_trades",
        "has_fill",
        "interval_of",
        "is_decided",
        "last_exit",
        "last_tick",
        "own_filters",
        "open_orders",
        "order",
        "order_by_exchange_id",
        "orders_of",
        "orders_since",
        "peak",
        "position",
        "positions",
        "remembered_champion",
        "stop_outs_since",
        "trading_state",
        "under",
        "version_of",
    }
)
