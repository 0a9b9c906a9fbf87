"""The trail as the exchange's own trailing stop, on the local testnet over HTTP."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import polars as pl
import pytest

from tests.thunes_core.risk.test_gate import FREE
from tests.thunes_core.trading import test_unprotected
from tests.thunes_core.trading.test_entry import Stand
from tests.thunes_core.trading.test_guard import LONG, TICK
from tests.thunes_core.trading.test_unprotected import LISTS, OCO
from tests.worlds import HOUR, START, STUDY, WIDE, BarsMarket, Champions, bars_of, small_world, wave
from thunes_core.adapters.binance.broker import BinanceBroker
from thunes_core.adapters.binance.market import BinanceMarket
from thunes_core.adapters.ledger import open_ledger
from thunes_core.domain.instrument import TrailingDelta
from thunes_core.domain.limits import Protection
from thunes_core.domain.orders import ApprovedOrder, OrderType, Refusal, RefusedOrder
from thunes_core.errors import ExchangeUnavailable
from thunes_core.risk.gate import judge
from thunes_core.settings import LOCAL_KEY, LOCAL_SECRET
from thunes_core.testnet.app import serve_in_thread
from thunes_core.testnet.faults import Fault, FaultKind
from thunes_core.testnet.market import replayed_market
from thunes_core.trading.step import tick
from thunes_core.trading.stops import Protected, fits, requests_for, trail_of, wanted
from thunes_core.trading.world import TradingPlan, World
from thunes_pipelines.cli.trading_view import cover_facts

watched = test_unprotected.watched
ENTERED = 49
CANCEL = "DELETE /api/v3/order"
TRAIL = Protection(trailing_stop=0.04)
BESIDE_TARGET = Protection(trailing_stop=0.04, take_profit=0.5)
FRESH = replace(LONG, average_price=Decimal(100), high_water=100.0)
LATER = Protection(stop_loss=0.05, trailing_stop=0.03, trailing_activation=0.02)
FOLLOWS = replace(
    TICK, filters=(*TICK.filters, TrailingDelta(10, 2000, 10, 2000)), follows_price=True
)


def spiking() -> pl.DataFrame:
    """Return the wave with one bar after the entry that rises to 120 and falls to 114 inside."""
    at = pl.col("open_time") == START + (ENTERED + 2) * HOUR
    return bars_of(wave()).with_columns(high=pl.when(at).then(120.0).otherwise("high"))


@contextmanager
def stood(
    tmp_path,
    protection: Protection,
    bars: pl.DataFrame | None = None,
    *,
    kinds: tuple[str, ...] = (),
    entered: bool = True,
) -> Iterator[Stand]:
    """Hold a position that was entered at `ENTERED`; the symbol takes only `kinds` of orders."""
    market = replayed_market([bars_of(wave()) if bars is None else bars], start=START)
    with serve_in_thread(market, cash=2000) as net:
        if kinds:
            net.exchange.market.listing("BTCUSDT").order_types = kinds
        public, broker = BinanceMarket(net.url), BinanceBroker(net.url, LOCAL_KEY, LOCAL_SECRET)
        ledger = open_ledger(f"sqlite:///{tmp_path / 'l.db'}", synchronous="OFF")
        plan = TradingPlan((STUDY,), Decimal(1000), WIDE, protection, native_trail=True)
        stand = Stand(net, World(public, broker, ledger, Champions()), plan)
        stand.tick_at(ENTERED - 1)
        if entered:
            stand.tick_at(ENTERED)
        yield stand
        for one in (public, broker, ledger):
            one.close()


def resting(stand: Stand) -> list[tuple[str, int | None]]:
    """Return type and trailing delta of what is open at the exchange."""
    found = stand.net.exchange.records.open_orders()
    return sorted((str(o.asked.type), o.asked.trailing_delta) for o in found)


@pytest.mark.parametrize("protection", [TRAIL, BESIDE_TARGET], ids=["alone", "beside a target"])
def test_the_trail_rests_from_the_entry_on_and_never_needs_a_move(tmp_path, protection):
    """It comes with the entry's list; rising bars send nothing; nothing is bare, nothing moves."""
    with stood(tmp_path, protection) as stand:
        legs = [("STOP_LOSS", 400)]
        wished = [("LIMIT_MAKER", None), *legs] if protection.take_profit else legs
        assert resting(stand) == wished
        sent = len(stand.net.exchange.records.orders("BTCUSDT"))
        for bar in range(ENTERED + 1, ENTERED + 7):
            assert stand.tick_at(bar).notes == ()
        assert resting(stand) == wished
        assert len(stand.net.exchange.records.orders("BTCUSDT")) == sent
        found = cover_facts(stand.world.journal, stand.tick_at(ENTERED + 7).server_time)
        assert (found["moves"], found["unprotected_seconds"]) == (0, 0.0)


@pytest.mark.parametrize("protection", [TRAIL, BESIDE_TARGET], ids=["alone", "beside a target"])
def test_it_follows_the_trades_inside_a_bar(tmp_path, protection):
    """Up to 120 and back within one bar: sold four per cent below, the target ends with it."""
    with stood(tmp_path, protection, spiking()) as stand:
        for bar in (ENTERED + 1, ENTERED + 2, ENTERED + 3):
            stand.tick_at(bar)
        (trade,) = stand.world.journal.trades().to_dicts()
        assert trade["reason"] == "trailing_stop"
        assert trade["exit_price"] == pytest.approx(120 * 0.96 * 0.9995)
        assert resting(stand) == []
        assert stand.world.journal.open_orders() == []


def test_a_trail_that_begins_later_rests_above_the_fixed_stop_from_the_entry_on(tmp_path):
    """One list holds both; bars that arm the trail send nothing, nothing is bare, nothing moves."""
    with stood(tmp_path, LATER) as stand:
        both = [("STOP_LOSS", None), ("TAKE_PROFIT", 300)]
        assert resting(stand) == both
        (book,) = stand.world.journal.positions()
        stops = {o.asked.stop_price for o in stand.net.exchange.records.open_orders()}
        paid = float(book.average_price)
        assert sorted(map(float, stops)) == pytest.approx([paid * 0.95, paid * 1.02], rel=1e-3)
        sent = len(stand.net.exchange.records.orders("BTCUSDT"))
        for bar in range(ENTERED + 1, ENTERED + 7):
            assert stand.tick_at(bar).notes == ()
        (book,) = stand.world.journal.positions()
        assert book.high_water >= paid * 1.02
        assert resting(stand) == both
        assert len(stand.net.exchange.records.orders("BTCUSDT")) == sent
        found = cover_facts(stand.world.journal, stand.tick_at(ENTERED + 7).server_time)
        assert (found["moves"], found["unprotected_seconds"]) == (0, 0.0)


@pytest.mark.parametrize("stop_loss", [0.05, 0.0], ids=["beside a stop", "alone"])
def test_it_begins_and_goes_off_inside_one_bar(tmp_path, stop_loss):
    """The bar that arms it rises to 120: sold three per cent below, the fixed stop ends with it."""
    protection = replace(LATER, stop_loss=stop_loss)
    with stood(tmp_path, protection, spiking()) as stand:
        for bar in (ENTERED + 1, ENTERED + 2, ENTERED + 3):
            stand.tick_at(bar)
        (trade,) = stand.world.journal.trades().to_dicts()
        assert trade["reason"] == "trailing_stop"
        assert trade["exit_price"] == pytest.approx(120 * 0.97 * 0.9995)
        assert resting(stand) == []
        assert stand.world.journal.open_orders() == []


def test_the_fixed_stop_of_the_pair_sells_where_it_never_begins(tmp_path):
    """Five per cent below the entry, with its own reason; the trail above ends with it."""
    at = pl.col("open_time") == START + (ENTERED + 1) * HOUR
    falls = bars_of(wave()).with_columns(low=pl.when(at).then(90.0).otherwise("low"))
    with stood(tmp_path, replace(LATER, trailing_activation=0.1), falls) as stand:
        stand.tick_at(ENTERED + 2)
        (trade,) = stand.world.journal.trades().to_dicts()
        assert trade["reason"] == "stop_loss"
        assert resting(stand) == []


def test_switched_off_it_gives_way_to_the_stop_in_one_request(tmp_path):
    """The whole list is cancelled by the request that places the stop."""
    with stood(tmp_path, LATER) as stand:
        stand.net.exchange.faults.add(Fault(FaultKind.DROP, on=CANCEL, times=99))
        stand.plan = replace(stand.plan, native_trail=False)
        stand.tick_at(ENTERED, minute=1)
        assert resting(stand) == [("STOP_LOSS", None)]
        found = cover_facts(stand.world.journal, stand.tick_at(ENTERED, minute=2).server_time)
        assert (found["moves"], found["unprotected_seconds"]) == (1, 0.0)


def test_a_pair_that_stands_too_far_off_becomes_the_stop_in_one_request(tmp_path):
    """Nothing is bare for it: the trail takes the stop's place once it is armed."""
    with stood(tmp_path, LATER) as stand:
        stand.net.exchange.faults.add(Fault(FaultKind.DROP, on=CANCEL, times=99))
        (book,) = stand.world.journal.positions()
        dearer = book.average_price * Decimal("1.004")
        stand.world.journal.save_position(replace(book, average_price=dearer))
        stand.tick_at(ENTERED, minute=1)
        (stop,) = stand.net.exchange.records.open_orders()
        assert stop.asked.trailing_delta is None
        assert float(stop.asked.stop_price) == pytest.approx(float(dearer) * 0.95, abs=0.01)
        for bar in range(ENTERED + 1, ENTERED + 7):
            stand.tick_at(bar)
        assert resting(stand) == [("STOP_LOSS", 300)]
        found = cover_facts(stand.world.journal, stand.tick_at(ENTERED + 7).server_time)
        assert (found["moves"], found["moving_unprotected_seconds"]) == (2, 0.0)
        oco = [o for o in stand.net.exchange.lists.all() if o.working is None]
        assert oco == []


def test_a_pair_that_is_refused_leaves_the_fixed_stop_and_is_not_tried_again(tmp_path):
    """A price that passed the activation meanwhile: the stop rests, then the trail alone."""
    with stood(tmp_path, LATER, entered=False) as stand:
        faults = stand.net.exchange.faults
        faults.add(Fault(FaultKind.REFUSE, on="POST /api/v3/orderList/o", times=3))
        report = stand.tick_at(ENTERED)
        assert len(faults.document()["happened"]) == 3
        assert [note for note in report.notes if "ALARM" in note] == []
        assert resting(stand) == [("STOP_LOSS", None)]
        first = stand.net.exchange.records.open_orders()[0].order_id
        stand.tick_at(ENTERED, minute=1)
        assert stand.net.exchange.records.open_orders()[0].order_id == first
        for bar in range(ENTERED + 1, ENTERED + 7):
            stand.tick_at(bar)
        assert resting(stand) == [("STOP_LOSS", 300)]
        found = cover_facts(stand.world.journal, stand.tick_at(ENTERED + 7).server_time)
        assert (found["moves"], found["moving_unprotected_seconds"]) == (1, 0.0)


def test_without_such_orders_the_fixed_stop_rests_until_it_is_armed(tmp_path):
    """A symbol without TAKE_PROFIT: the trail takes the stop's place, in one request, and stays."""
    kinds = ("LIMIT", "LIMIT_MAKER", "MARKET", "STOP_LOSS")
    with stood(tmp_path, LATER, kinds=kinds) as stand:
        assert resting(stand) == [("STOP_LOSS", None)]
        bar = ENTERED
        while resting(stand) == [("STOP_LOSS", None)] and bar < ENTERED + 9:
            bar += 1
            stand.tick_at(bar)
        assert resting(stand) == [("STOP_LOSS", 300)]
        (book,) = stand.world.journal.positions()
        assert book.high_water >= float(book.average_price) * 1.02
        first = stand.net.exchange.records.open_orders()[0].order_id
        stand.tick_at(bar + 1)
        assert stand.net.exchange.records.open_orders()[0].order_id == first
        found = cover_facts(stand.world.journal, stand.tick_at(bar + 2).server_time)
        assert (found["moves"], found["moving_unprotected_seconds"]) == (1, 0.0)


@pytest.mark.parametrize("trail", [0.0009, 0.2001])
def test_a_distance_that_the_exchange_does_not_take_follows_closed_bars(tmp_path, trail):
    """TRAILING_DELTA goes from 10 to 2000: a plain stop rests, and people are told."""
    with stood(tmp_path, Protection(trailing_stop=trail)) as stand:
        stops = stand.net.exchange.records.open_orders()
        assert [o.asked.trailing_delta for o in stops] == [None]
        assert stops[0].asked.stop_price is not None
        notes = stand.world.journal.last_tick()["notes"]
        assert [n for n in notes if "no native trail of" in n] != []


def test_paper_follows_closed_bars_and_says_so(tmp_path):
    """A paper account has no exchange that could follow."""
    small = small_world(tmp_path, BarsMarket(bars_of(wave())), protection=TRAIL)
    small.plan = replace(small.plan, native_trail=True)
    for bar in (ENTERED - 1, ENTERED):
        small.market.stand_at(bar)
        report = tick(small.world, small.plan)
    (stop,) = small.broker.inner.open_orders()
    assert stop.stop_price is not None
    said = "BTCUSDT: no native trail of 4.0000% is taken; it follows closed bars"
    assert said in report.notes
    small.ledger.close()


@pytest.mark.parametrize(
    ("trail", "distance"),
    [(0.001, 10), (0.00094, None), (0.2, 2000), (0.20006, None), (0.012345, 123), (0.0, None)],
)
def test_the_distance_is_whole_basis_points_within_the_filter(trail, distance):
    """Both edges of TRAILING_DELTA are taken; beyond them the exchange does not follow."""
    assert trail_of(Protection(trailing_stop=trail), FOLLOWS) == distance


def test_a_symbol_without_trailing_stops_is_not_asked_for_one():
    """`allowTrailingStop` says so."""
    assert trail_of(TRAIL, replace(FOLLOWS, follows_price=False)) is None


@pytest.mark.parametrize(("delta", "passes"), [(9, False), (10, True), (2000, True), (2001, False)])
def test_the_gate_holds_a_trailing_stop_to_the_filter(delta, passes):
    """On both edges, by the filter's name; an order beyond them never leaves."""
    one = Protected(Decimal(1), Decimal(97), None, trail=delta)
    (request,) = requests_for(one, LONG, START, FOLLOWS, 0)
    assert (request.trailing_delta, request.stop_price) == (delta, None)
    verdict = judge(request, replace(FREE, instrument=FOLLOWS))
    if passes:
        assert isinstance(verdict, ApprovedOrder)
    else:
        assert isinstance(verdict, RefusedOrder)
        assert verdict.code is Refusal.FILTER
        assert verdict.why.startswith("TRAILING_DELTA")


def test_a_trail_that_rests_fits_wherever_it_stands_by_now():
    """Its level is the exchange's; another quantity or target does not fit."""
    wished = wanted(LONG, BESIDE_TARGET, FOLLOWS, native=True)
    rests = replace(wished, stop=None)
    assert wished.trail == 400
    assert fits(rests, wished, FOLLOWS)
    assert not fits(replace(rests, quantity=Decimal(2)), wished, FOLLOWS)
    assert not fits(replace(rests, target=None), wished, FOLLOWS)
    assert not fits(replace(rests, trail=300), wished, FOLLOWS)
    assert not fits(None, wished, FOLLOWS)


@pytest.mark.parametrize(
    ("stop_loss", "trail", "activation", "begins"),
    [
        (0.05, 0.03, 0.02, "102"),
        (0.01, 0.04, 0.0, "103.13"),
        (0.0, 0.04, 0.0201, "102.01"),
        (0.0, 0.04, 0.02012, "102.02"),
    ],
)
def test_it_begins_where_it_is_armed_and_not_below_the_fixed_stop(
    stop_loss, trail, activation, begins
):
    """At the next tick above: armed by the entry's price, or level with the stop."""
    protection = Protection(stop_loss, trailing_stop=trail, trailing_activation=activation)
    found = wanted(FRESH, protection, FOLLOWS, native=True, price=Decimal(100))
    fixed = Decimal(100) * (1 - Decimal(str(stop_loss))) if stop_loss else None
    assert (found.stop, found.target) == (fixed, None)
    assert (found.activation, found.trail) == (Decimal(begins), round(trail * 10_000))


def test_once_the_price_has_been_there_the_trail_alone_is_wanted():
    """Inside the bar already: the latest trade counts where the exchange follows trades."""
    later = wanted(FRESH, LATER, FOLLOWS, native=True, price=Decimal("101.99"))
    now = wanted(FRESH, LATER, FOLLOWS, native=True, price=Decimal(102))
    assert (later.activation, now.activation) == (Decimal(102), None)
    assert (now.trail, now.stop_reason) == (300, "trailing_stop")
    behind = wanted(FRESH, LATER, FOLLOWS, price=Decimal(110))
    assert (behind.stop, behind.trail, behind.activation) == (Decimal(95), None, None)


@pytest.mark.parametrize(
    ("rule", "takes"),
    [((300, 2000, 10, 2000), True), ((301, 2000, 10, 2000), False), ((10, 299, 10, 2000), False)],
)
def test_above_the_market_the_filter_has_its_own_bounds(rule, takes):
    """TRAILING_DELTA binds a TAKE_PROFIT sell by the bounds above."""
    bound = replace(FOLLOWS, filters=(*TICK.filters, TrailingDelta(*rule)))
    found = wanted(FRESH, LATER, bound, native=True, price=Decimal(100))
    requests = requests_for(found, FRESH, START, bound, 0)
    assert [one.trailing_delta for one in requests] == ([None, 300] if takes else [None])


def test_nothing_is_placed_for_a_trail_alone_that_may_not_wait():
    """No fixed stop, and no order that begins above: closed bars arm it, then it rests."""
    protection, kinds = replace(LATER, stop_loss=0.0), ("STOP_LOSS", "LIMIT", "MARKET")
    plain = replace(FOLLOWS, order_types=kinds)
    found = wanted(FRESH, protection, plain, native=True, price=Decimal(100))
    assert requests_for(found, FRESH, START, plain, 0) == ()
    armed = wanted(FRESH, protection, plain, native=True, price=Decimal(102))
    (request,) = requests_for(armed, FRESH, START, plain, 0)
    assert (request.trailing_delta, request.stop_price) == (300, None)
    assert fits(replace(armed, stop=None), found, plain)


def test_an_armed_trail_does_not_take_a_fixed_stop_away_that_is_nearer():
    """The exchange's trail begins at the price of now: below the fixed stop it waits above."""
    near, armed = replace(LATER, stop_loss=0.02), replace(FRESH, high_water=102.1)
    fallen = wanted(armed, near, FOLLOWS, native=True, price=Decimal("99.20"))
    assert (fallen.stop, fallen.trail) == (Decimal(98), 300)
    assert fallen.activation == Decimal("101.04")
    again = wanted(armed, near, FOLLOWS, native=True, price=Decimal("101.04"))
    assert (again.trail, again.activation) == (300, None)
    assert fits(replace(again, stop=None), fallen, FOLLOWS)


def test_beside_a_target_the_fixed_stop_stays_until_the_trail_is_above_it():
    """A pair has no third leg: stop and target rest, within a thousandth of where they should."""
    three = replace(LATER, take_profit=0.5)
    found = wanted(FRESH, three, FOLLOWS, native=True, price=Decimal(100))
    stop, target = requests_for(found, FRESH, START, FOLLOWS, 0)
    assert (stop.stop_price, stop.trailing_delta) == (Decimal(95), None)
    assert (target.type, target.price) == (OrderType.LIMIT_MAKER, Decimal(150))
    rests = replace(found.without_trail(), stop=Decimal("95.05"))
    assert fits(rests, found, FOLLOWS)
    begun = wanted(FRESH, three, FOLLOWS, native=True, price=Decimal(102))
    assert not fits(rests, begun, FOLLOWS)
    assert [one.trailing_delta for one in requests_for(begun, FRESH, START, FOLLOWS, 0)] == [
        300,
        None,
    ]


def test_what_rests_of_a_trail_is_taken_away_only_for_what_protects_better():
    """A pair, a trail that began, a fixed stop that waits for it: each stays for its time."""
    pair = wanted(FRESH, LATER, FOLLOWS, native=True, price=Decimal(100))
    begun = wanted(FRESH, LATER, FOLLOWS, native=True, price=Decimal(110))
    fixed = wanted(FRESH, LATER, FOLLOWS)
    assert pair.activation and begun.trail and fixed.stop
    for rests in (pair, replace(begun, stop=None)):
        assert fits(rests, pair, FOLLOWS)
        assert fits(rests, begun, FOLLOWS)
        assert not fits(replace(rests, trail=200), pair, FOLLOWS)
        assert not fits(replace(rests, quantity=Decimal("0.5")), pair, FOLLOWS)
    assert fits(fixed, pair, FOLLOWS)
    assert not fits(fixed, begun, FOLLOWS)
    assert not fits(pair, fixed, FOLLOWS)
    assert not fits(replace(pair, stop=Decimal(94)), pair, FOLLOWS)
    assert not fits(replace(pair, activation=Decimal(103)), pair, FOLLOWS)
    assert fits(replace(pair, activation=Decimal("102.1")), pair, FOLLOWS)


@pytest.fixture
def prices(watched):
    """Collect the prices that a native trail's ticks are told; 130 after the first pause."""
    watched.plan = replace(watched.plan, protection=LATER, native_trail=True)
    told, honest = list[Decimal](), watched.market.price

    def price(symbol):
        told.append(Decimal(130) if watched.paused else honest(symbol))
        return told[-1]

    watched.market.price = price
    return told


def test_where_it_begins_is_judged_by_the_price_of_then(watched, prices):
    """The first try had no answer: half a minute later the price has passed the activation."""
    watched.broker.locks_coins = False
    watched.fail(FaultKind.REFUSE, LISTS, times=2)
    watched.fail(FaultKind.ERROR, OCO, skip=0, status=504)
    bar = watched.enter()
    assert sum(watched.paused, timedelta(0)) >= watched.broker.settle_time
    assert [(str(o.asked.type), o.asked.trailing_delta) for o in watched.stops()] == [
        ("STOP_LOSS", 300)
    ]
    assert len(prices) <= (bar - 40) + len(watched.paused)


def test_a_price_that_cannot_be_read_again_is_the_one_of_before(watched, prices):
    """Protection does not wait for it."""
    honest = watched.market.price

    def price(symbol):
        if watched.paused:
            raise ExchangeUnavailable("no price")
        return honest(symbol)

    watched.market.price = price
    watched.fail(FaultKind.REFUSE, LISTS, times=2)
    watched.fail(FaultKind.ERROR, OCO, skip=0, status=504)
    watched.enter()
    assert sorted((str(o.asked.type), o.asked.trailing_delta) for o in watched.stops()) == [
        ("STOP_LOSS", None),
        ("TAKE_PROFIT", 300),
    ]


@pytest.mark.parametrize("follows", [True, False])
def test_no_price_is_read_again_that_nobody_needs(watched, prices, follows):
    """One a tick, where nothing is unclear or no native trail is judged."""
    watched.plan = replace(watched.plan, native_trail=follows)
    if not follows:
        watched.fail(FaultKind.REFUSE, LISTS, times=2)
        watched.fail(FaultKind.ERROR, "POST /api/v3/order", skip=1, status=504)
    bar = watched.enter()
    assert bool(watched.paused) is not follows
    assert len(prices) == bar - 40
