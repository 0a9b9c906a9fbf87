"""A reduction takes no stop away from what stays, and leaves nothing bare but what it sells."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import ClassVar

import numpy as np
import pytest

from tests.thunes_core.trading.test_entry import Stand
from tests.thunes_core.trading.test_moves import Covered, is_covered, resting, stops
from tests.worlds import START, WIDE, Champions, bars_of, study_key, wave
from thunes_core.adapters.binance.broker import BinanceBroker
from thunes_core.adapters.binance.market import BinanceMarket
from thunes_core.adapters.ledger import open_ledger
from thunes_core.domain.limits import Protection
from thunes_core.domain.orders import ApprovedOrder, Leg, OrderRequest, OrderType, Side
from thunes_core.domain.parameters import IntRange, ParameterSpace
from thunes_core.indicators import Columns
from thunes_core.indicators.averages import Line
from thunes_core.settings import LOCAL_KEY, LOCAL_SECRET
from thunes_core.strategies.base import FromColumns, register, registry_kept
from thunes_core.testnet.app import serve_in_thread
from thunes_core.testnet.faults import Fault, FaultKind
from thunes_core.testnet.market import replayed_market
from thunes_core.trading.trade import _given_up
from thunes_core.trading.world import TradingPlan, World

FULL_AT, HALF_AT, FLAT_AT = 45, 48, 52
SWAP = "POST /api/v3/order/cancelReplace"
ORDER = "POST /api/v3/order"
KINDS = {
    "stop": Protection(stop_loss=0.3),
    "trail": Protection(trailing_stop=0.3),
    "pair": Protection(stop_loss=0.3, take_profit=0.9),
    "trailed pair": Protection(trailing_stop=0.3, take_profit=0.9),
}


@pytest.fixture()
def steps() -> Iterator[str]:
    """Return the name of a strategy that goes in whole, then half out, then out."""
    with registry_kept():

        @register
        @dataclass(frozen=True, slots=True)
        class Steps(FromColumns):
            """1, then 0.6, then 0, by the clock; hours since the first bar of the test."""

            name: ClassVar[str] = "steps"
            space: ClassVar[ParameterSpace] = ParameterSpace({"length": IntRange(2, 4)})
            length: int = 2

            @property
            def warmup_bars(self) -> int:
                return self.length

            def exposure(self, columns: Columns) -> Line:
                hours = (columns.open_time - int(START.timestamp()) * 1_000_000) // 3_600_000_000
                edges = [FULL_AT - 1, HALF_AT - 1, FLAT_AT - 1]
                return np.array([0.0, 1.0, 0.6, 0.0])[np.searchsorted(edges, hours, side="right")]

        yield Steps.name


@pytest.fixture(params=KINDS)
def stand(request, steps, tmp_path) -> Iterator[Stand]:
    """Hold a whole position, protected, at the bar before it is reduced."""
    with ExitStack() as opened:
        market = replayed_market([bars_of(wave())], start=START)
        net = opened.enter_context(serve_in_thread(market, cash=2000))
        made = [BinanceMarket(net.url), BinanceBroker(net.url, LOCAL_KEY, LOCAL_SECRET)]
        made.append(open_ledger(f"sqlite:///{tmp_path / 'l.db'}", synchronous="OFF"))
        public, broker, ledger = (opened.enter_context(closing(one)) for one in made)
        study = study_key(steps, "BTCUSDT", "1h")
        plan = TradingPlan((study,), Decimal(1000), WIDE, KINDS[request.param])
        found = Stand(net, World(public, broker, ledger, Champions(length=2)), plan)
        for bar in range(FULL_AT - 1, HALF_AT):
            found.tick_at(bar)
        assert held(found) > 8
        yield found


def held(stand: Stand) -> Decimal:
    """Return what the book holds."""
    (book,) = stand.world.journal.positions()
    return book.quantity


def is_whole(stand: Stand) -> bool:
    """True when every lot held has its stop, and its target where there is one."""
    if stand.plan.protection.take_profit:
        return is_covered(stand)
    return sum(o.quantity for o in stops(stand)) == held(stand) - held(stand) % Decimal("0.00001")


def test_what_stays_has_its_stop_while_the_rest_is_sold(stand):
    """The stop is made smaller in one request, then the rest is sold: one decision, one sale."""
    before, covered = held(stand), Covered(stand)
    report = stand.tick_at(HALF_AT)
    (sale,) = [one for one in report.orders if one.request.leg is Leg.REDUCE]
    assert not any("ALARM" in note for note in report.notes)
    assert held(stand) == before - sale.executed_quantity
    assert is_whole(stand)
    assert min(covered.shares) > Decimal("0.29" if stand.plan.protection.take_profit else "0.59")
    for bar in range(HALF_AT + 1, FLAT_AT + 1):
        stand.tick_at(bar)
    assert held(stand) < Decimal("0.0001")
    assert resting(stand) == []
    assert len(stand.orders("MARKET")) == 2


@pytest.mark.parametrize("kind", [FaultKind.DROP, FaultKind.DROP_AFTER, FaultKind.REFUSE])
@pytest.mark.parametrize("on", [SWAP, ORDER])
def test_whatever_fails_in_between_one_sale_is_made_and_all_that_is_held_is_covered(
    stand, on, kind
):
    """A lost or refused request is asked after, or made again; what is not sold gets its stop."""
    before = held(stand)
    stand.net.exchange.faults.add(Fault(kind, on=on))
    for minute in range(4):
        stand.tick_at(HALF_AT, minute)
    stand.tick_at(HALF_AT + 1)
    assert is_whole(stand)
    sold = sum(o.executed for o in stand.orders("MARKET"))
    assert held(stand) == before - sold
    assert sold < before / 2
    for bar, minute in ((HALF_AT + 2, 0), (FLAT_AT, 0), (FLAT_AT, 1), (FLAT_AT, 2)):
        stand.tick_at(bar, minute)
    assert held(stand) < Decimal("0.0001")
    assert resting(stand) == []


def test_the_stop_that_goes_with_an_entry_gives_nothing_up():
    """Only what sells a part of a position does; a stop in the list of a buy only rests."""
    buy = OrderRequest("BTCUSDT", Side.BUY, OrderType.LIMIT, Decimal(2), "a", Leg.ENTRY)
    stop = replace(buy, side=Side.SELL, type=OrderType.STOP_LOSS, leg=Leg.STOP, reduces=True)
    sale = replace(stop, type=OrderType.MARKET, leg=Leg.REDUCE, level=0.5)
    assert _given_up([ApprovedOrder(one, START) for one in (buy, replace(stop, level=1.0))]) == 0
    assert _given_up([ApprovedOrder(sale, START)]) == 2
