"""An entry is protected by the exchange at once, on the local testnet over HTTP."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from decimal import Decimal

import pytest

from tests.worlds import HOUR, START, STUDY, WIDE, Champions, bars_of, wave
from thunes_core.adapters.binance.broker import BinanceBroker
from thunes_core.adapters.binance.market import BinanceMarket
from thunes_core.adapters.ledger import open_ledger
from thunes_core.clock import to_millis
from thunes_core.domain.limits import Costs, Protection
from thunes_core.domain.orders import Leg, OrderRequest, OrderType, Side, TimeInForce
from thunes_core.domain.portfolio import Position
from thunes_core.settings import LOCAL_KEY, LOCAL_SECRET
from thunes_core.testnet.app import serve_in_thread
from thunes_core.testnet.faults import Fault, FaultKind
from thunes_core.testnet.market import replayed_market
from thunes_core.trading.entry import EntryTerms, protected_entry
from thunes_core.trading.step import tick
from thunes_core.trading.world import TradingPlan, World
from thunes_pipelines.cli.trading_view import cover_facts

BUY_AT = 46
PAIR = Protection(stop_loss=0.05, take_profit=0.5)
STOP = Protection(stop_loss=0.05)


@dataclass
class Stand:
    """A testnet with ledger, world and plan, its clock moved by the test."""

    net: object
    world: World
    plan: TradingPlan

    def tick_at(self, bar: int, minute: int = 0):
        """Tick so many minutes after the open of a bar."""
        exchange = self.net.exchange
        with exchange.lock:
            exchange.clock.move_to(to_millis(START + bar * HOUR) + minute * 60_000)
            exchange.advance()
        return tick(self.world, self.plan)

    def enter(self) -> None:
        """Tick until something was bought."""
        for bar in range(41, 90):
            if any(fill.side is Side.BUY for fill in self.tick_at(bar).fills):
                return
        raise AssertionError("nothing was bought")

    def orders(self, *kinds: str) -> list[object]:
        """Return the exchange's orders of these types, oldest first."""
        found = self.net.exchange.records.orders("BTCUSDT")
        return [one for one in found if str(one.asked.type) in kinds]


@pytest.fixture(params=[STOP, PAIR], ids=["stop", "pair"])
def stand(request, tmp_path) -> Iterator[Stand]:
    """Trade a wave on a testnet with twice the money that is allotted."""
    market = replayed_market([bars_of(wave())], start=START)
    with serve_in_thread(market, cash=2000) as net:
        public, broker = BinanceMarket(net.url), BinanceBroker(net.url, LOCAL_KEY, LOCAL_SECRET)
        ledger = open_ledger(f"sqlite:///{tmp_path / 'l.db'}", synchronous="OFF")
        plan = TradingPlan((STUDY,), Decimal(1000), WIDE, request.param)
        yield Stand(net, World(public, broker, ledger, Champions()), plan)
        for one in (public, broker, ledger):
            one.close()


def test_entry_and_protection_are_one_request(stand):
    """The legs rest from the very moment of the fill, sized by what was received."""
    stand.enter()
    (bought,) = stand.orders("LIMIT")
    assert (str(bought.asked.time_in_force), str(bought.status)) == ("FOK", "FILLED")
    resting = stand.net.exchange.records.open_orders()
    assert len(resting) == (2 if stand.plan.protection == PAIR else 1)
    assert {leg.list_id for leg in resting} == {bought.list_id}
    assert {leg.update_ms for leg in resting} == {bought.trades[0].time_ms}
    (book,) = stand.world.journal.positions()
    assert {leg.quantity for leg in resting} == {book.quantity - book.quantity % Decimal("0.00001")}


def test_from_entry_to_exit_no_second_passes_without_a_stop(stand):
    """Measured by the exchange's clock from the ledger: nothing but the exit's own request."""
    stand.enter()
    bar = 60
    ledger = stand.world.journal
    while ledger.position("sma_crossover", "BTCUSDT").is_open and bar < 110:
        bar += 1
        stand.tick_at(bar)
    found = cover_facts(ledger, ledger.equity()["time"][-1])
    assert found == {
        "positions": 1,
        "unprotected_seconds": 0.0,
        "longest_unprotected_seconds": 0.0,
        "moves": 0,
        "moving_unprotected_seconds": 0.0,
    }


def test_the_ledger_knows_every_order_of_the_list_and_leaves_them_alone(stand):
    """Another tick sends nothing; reconciling finds nothing foreign."""
    stand.enter()
    before = len(stand.orders("LIMIT", "STOP_LOSS", "LIMIT_MAKER"))
    report = tick(stand.world, stand.plan)
    assert report.notes == ()
    assert len(stand.orders("LIMIT", "STOP_LOSS", "LIMIT_MAKER", "MARKET")) == before


def test_a_list_of_unknown_outcome_is_found_with_all_its_orders(stand):
    """Executed though the answer was lost: it is booked, protected, and nothing is sent again."""
    path = "orderList/opoco" if stand.plan.protection == PAIR else "orderList/opo"
    stand.net.exchange.faults.add(
        Fault(FaultKind.ERROR_AFTER, on=f"POST /api/v3/{path}", status=504)
    )
    bar = next(b for b in range(41, 90) if stand.tick_at(b).orders)
    for minute in (1, 2):
        stand.tick_at(bar, minute)
    assert stand.world.journal.fills()["side"].to_list() == ["BUY"]
    assert len(stand.orders("LIMIT")) == 1
    assert stand.world.journal.position("sma_crossover", "BTCUSDT").is_open
    assert not [o for o in stand.world.journal.open_orders() if o.status.is_in_flight]


def test_a_refused_list_becomes_the_other_kind_of_list(stand):
    """No OPO today, but an OTO protects at once as well: nothing goes to the market alone."""
    path = "orderList/opoco" if stand.plan.protection == PAIR else "orderList/opo"
    stand.net.exchange.faults.add(Fault(FaultKind.REFUSE, on=f"POST /api/v3/{path}", code=-2010))
    stand.enter()
    (bought,) = stand.orders("LIMIT")
    assert stand.orders("MARKET") == []
    resting = stand.net.exchange.records.open_orders()
    assert {leg.list_id for leg in resting} == {bought.list_id}
    assert len(resting) == (2 if stand.plan.protection == PAIR else 1)
    assert stand.world.journal.position("sma_crossover", "BTCUSDT").is_open


def test_a_refused_list_becomes_a_market_order_and_protection_after_it(stand):
    """The exchange takes no lists today: entered all the same, protected in the same tick."""
    refuse = Fault(FaultKind.REFUSE, on="POST /api/v3/orderList/o", code=-2010, times=2)
    stand.net.exchange.faults.add(refuse)
    stand.enter()
    assert len(stand.orders("MARKET")) == 1
    assert stand.net.exchange.records.open_orders() != []
    assert stand.world.journal.position("sma_crossover", "BTCUSDT").is_open


def asked() -> tuple[OrderRequest, Position, EntryTerms]:
    """Return a buy of one unit at 100 with all that protects it."""
    from tests.thunes_core.trading.test_guard import TICK

    request = OrderRequest("BTCUSDT", Side.BUY, OrderType.MARKET, Decimal(1), "id", Leg.ENTRY)
    book = Position("s", "BTCUSDT", cash=Decimal(1000))
    terms = EntryTerms(START, Decimal(100), Decimal(1000), TICK, Costs(), STOP, ("OPO",))
    return request, book, terms


def test_the_buy_may_fill_a_little_above_the_expected_price():
    """100.05 is expected; half a percent more is the limit."""
    request, book, terms = asked()
    buy, stop = protected_entry(request, book, terms)
    assert (buy.price, buy.time_in_force) == (Decimal("100.55"), TimeInForce.FOK)
    assert stop.stop_price == Decimal("95.04")
    assert buy.list_id == stop.list_id == "id-l"


@pytest.mark.parametrize(
    "changed",
    [
        {"lists": ()},
        {"protection": Protection()},
        {"free": Decimal("99.9")},
    ],
    ids=["no lists", "no protection", "no money to spare"],
)
def test_where_no_list_can_be_the_buy_goes_alone(changed):
    """As a market order, protected right after."""
    request, book, terms = asked()
    assert protected_entry(request, book, replace(terms, **changed)) == (request,)


def test_adding_to_an_open_position_goes_alone():
    """Its protection rests already and is resized in one request."""
    request, book, terms = asked()
    assert protected_entry(request, replace(book, quantity=Decimal(1)), terms) == (request,)
