"""SIGKILL in the life of a limit entry: sent with its list, filled in part, withdrawn in time."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.crash.conftest import zygote  # noqa: F401 - a fixture
from tests.crash.points import PAIR, WITH_LIST
from tests.crash.trials import BUY_AT, SELL_AT, Trial, Zygote, assert_flat_and_equal
from tests.thunes_core.trading.test_limit_lists import SLOWLY, dipping
from tests.worlds import START, bars_of, wave
from thunes_core.adapters.ledger import open_ledger
from thunes_core.testnet.app import serve_in_thread
from thunes_core.testnet.market import replayed_market
from thunes_core.testnet.options import Options

STOP = {"stop_loss": 0.05}
BELOW = {"offset": 0.02, "timeout_bars": 3}
IN_PART = [
    (STOP, "record_intents", "after", 1),
    (STOP, "claim", "after", 1),
    (STOP, "replace", "before", 1),
    (STOP, "replace", "after", 1),
    (STOP, "record_fill", "before", 1),
    (STOP, "submit", "before", 1),
    (STOP, "submit", "after", 1),
    (PAIR, "claim", "after", 1),
    (PAIR, "replace_by_pair", "before", 1),
    (PAIR, "replace_by_pair", "after", 1),
    (PAIR, "submit", "after", 1),
]
"""Where a tick dies that sees a part: the move to its protection, and the rest sent after it."""


def served(zygote: Zygote, tmp_path: Path, **options) -> Iterator[Trial]:  # noqa: F811
    """Serve bars that fall once, and trade them by limit entries."""
    bars = bars_of(wave()) if options.pop("calm", False) else dipping(104.0)
    market = replayed_market([bars], start=START)
    with serve_in_thread(market, options=Options(cash=1000, **options)) as net:
        trial = Trial(zygote, net, f"sqlite:///{tmp_path / 'ledger.db'}", entry=dict(BELOW))
        trial.tick(BUY_AT - 1)
        yield trial


@pytest.fixture()
def dipped(zygote, tmp_path):  # noqa: F811
    """Fill a waiting entry whole."""
    yield from served(zygote, tmp_path)


@pytest.fixture()
def thin(zygote, tmp_path):  # noqa: F811
    """Fill a waiting entry in parts."""
    yield from served(zygote, tmp_path, depth=SLOWLY)


@pytest.fixture()
def calm(zygote, tmp_path):  # noqa: F811
    """Never fill it."""
    yield from served(zygote, tmp_path, calm=True)


def wanted(kind: dict[str, float]) -> list[str]:
    """Return the types that are to rest for a position."""
    return ["LIMIT_MAKER", "STOP_LOSS"] if kind is PAIR else ["STOP_LOSS"]


def until_sold(trial: Trial, *bars: int) -> None:
    """Tick until the position is sold, and compare."""
    for bar in (*bars, SELL_AT, SELL_AT + 1):
        assert trial.tick(bar) == {"exit": 0}
    assert_flat_and_equal(trial)


@pytest.mark.parametrize("kind", [PAIR, STOP], ids=["pair", "stop"])
@pytest.mark.parametrize(("method", "when"), [p for p in WITH_LIST if p[0] != "record_fill"])
def test_a_kill_while_a_waiting_list_goes_out_leaves_one_or_none(dipped, kind, method, when):
    """One live buy at most; its fill is protected by itself, and everything is sold once."""
    dipped.protection = kind
    assert dipped.tick(BUY_AT, method=method, when=when) == {"signal": 9}
    for minute in (1, 2, 3):
        assert dipped.tick(BUY_AT, minute) == {"exit": 0}
    assert len([one for one in dipped.resting() if one == "LIMIT"]) <= 1
    assert dipped.tick(BUY_AT + 1) == {"exit": 0}
    assert dipped.tick(BUY_AT + 2) == {"exit": 0}
    assert sorted(dipped.resting()) == wanted(kind)
    until_sold(dipped)


@pytest.mark.parametrize(("kind", "method", "when", "nth"), IN_PART)
def test_a_kill_while_a_part_is_protected_leaves_it_protected(thin, kind, method, when, nth):
    """Within three ticks the part has its stop, and the rest is bought once or not at all."""
    thin.protection = kind
    assert thin.tick(BUY_AT) == {"exit": 0}
    (listed,) = [one for one in thin.sent() if one.is_buy]
    minute = next(m for m in range(1, 60) if filled_at(thin, listed, m))
    ended = thin.tick(BUY_AT + 1, minute, method=method, when=when, nth=nth)
    assert ended == {"signal": 9}
    for later in (1, 2, 3):
        assert thin.tick(BUY_AT + 1, minute + later) == {"exit": 0}
    assert set(wanted(kind)) <= set(thin.resting())
    assert len([one for one in thin.resting() if one == "LIMIT"]) <= 1
    bought = sum(one.executed for one in thin.sent() if one.is_buy)
    assert bought <= listed.quantity
    until_sold(thin, BUY_AT + 2, BUY_AT + 3, BUY_AT + 4)


def filled_at(trial: Trial, order: object, minute: int) -> bool:
    """Let the exchange's time pass; True when a part is filled by then."""
    trial._stand_at(BUY_AT + 1, minute)
    return bool(order.executed and order.remaining)


@pytest.mark.parametrize("kind", [PAIR, STOP], ids=["pair", "stop"])
@pytest.mark.parametrize("when", ["before", "after"])
def test_a_kill_while_its_time_ends_leaves_nothing(calm, kind, when):
    """The list is cancelled by the killed tick or by the next one; nothing is held."""
    calm.protection = kind
    for bar in range(BUY_AT, BUY_AT + 3):
        assert calm.tick(bar) == {"exit": 0}
    assert calm.tick(BUY_AT + 3, method="cancel", when=when) == {"signal": 9}
    assert calm.tick(BUY_AT + 3, 1) == {"exit": 0}
    assert calm.resting() == []
    ledger = open_ledger(calm.url)
    assert ledger.open_orders() == []
    assert ledger.fills().height == 0
    ledger.close()
