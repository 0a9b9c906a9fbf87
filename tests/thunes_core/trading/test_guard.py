"""Protection rests at the exchange, fits what is held, moves and never stands in the way."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from tests.worlds import HOUR, START, BarsMarket, Small, bars_of, small_world, wave
from thunes_core.domain.instrument import Instrument, LotSize, Notional, PriceFilter
from thunes_core.domain.limits import Protection
from thunes_core.domain.orders import Leg, OrderType
from thunes_core.domain.portfolio import Position, TradingState
from thunes_core.errors import ExchangeRejected, ExchangeUnavailable, OutcomeUnknown
from thunes_core.trading.step import tick
from thunes_core.trading.stops import Protected, fits, requests_for, resting, wanted

SMALLEST = (LotSize(Decimal("0.001"), Decimal(9000), Decimal("0.001")), Notional(Decimal(5)))
BOTH = Protection(stop_loss=0.05, take_profit=0.5)
STOP = Protection(stop_loss=0.05)
TRAIL = Protection(trailing_stop=0.04)
TICK = Instrument(
    "BTCUSDT",
    "BTC",
    "USDT",
    filters=(PriceFilter(Decimal("0.01"), Decimal(10**6), Decimal("0.01")),),
)
LONG = Position(
    "s",
    "BTCUSDT",
    cash=Decimal(0),
    quantity=Decimal(1),
    average_price=Decimal("100.333"),
    high_water=103.0,
    level=1.0,
)


def enter(small: Small) -> int:
    """Tick until something is held; return that bar."""
    for bar in range(41, 80):
        small.market.stand_at(bar)
        if any(fill.side == "BUY" for fill in tick(small.world, small.plan).fills):
            return bar
    raise AssertionError("the wave never made the strategy buy")


def held(small: Small) -> Position:
    """Return the one book."""
    (book,) = small.ledger.positions()
    return book


def open_at_exchange(small: Small) -> dict[str, object]:
    """Return what rests, by leg."""
    return {o.client_order_id.split("-")[3]: o for o in small.broker.inner.open_orders()}


@pytest.fixture(params=[STOP, BOTH, TRAIL], ids=["stop", "pair", "trail"])
def small(request, tmp_path):
    """Return a world on a wave of prices with one kind of protection."""
    made = small_world(tmp_path, BarsMarket(bars_of(wave())), protection=request.param)
    yield made
    made.ledger.close()


def test_an_entry_is_protected_in_the_same_tick(small):
    """What rests has the size of what is held."""
    enter(small)
    resting = open_at_exchange(small)
    assert set(resting) == ({"stop", "target"} if small.plan.protection == BOTH else {"stop"})
    assert {order.quantity for order in resting.values()} == {held(small).quantity}


def test_another_tick_leaves_fitting_protection_alone(small):
    """Nothing is sent again."""
    enter(small)
    before = small.ledger.orders().height
    small.market.now += timedelta(minutes=10)
    tick(small.world, small.plan)
    assert small.ledger.orders().height == before


def test_a_signal_exit_releases_protection_and_sells_all(small):
    """Afterwards nothing rests and nothing is held."""
    bar = enter(small)
    while held(small).is_open and bar < 100:
        bar += 1
        small.market.stand_at(bar)
        tick(small.world, small.plan)
    assert open_at_exchange(small) == {}
    account = small.broker.account()
    assert account.total("BTC") == held(small).dust
    assert account.total("USDT") == held(small).cash
    assert small.ledger.open_orders() == []


def test_a_stop_that_went_off_is_booked_with_its_reason(tmp_path):
    """The exchange sold; the next tick books it, blocks and rests nothing."""
    small = small_world(tmp_path, BarsMarket(bars_of(wave())), protection=STOP)
    enter(small)
    small.market.prices["BTCUSDT"] = Decimal(90)
    small.market.now += timedelta(minutes=10)
    tick(small.world, small.plan)
    assert not held(small).is_open
    assert held(small).blocked
    assert small.ledger.trades()["reason"].to_list() == ["stop_loss"]
    assert small.ledger.open_orders() == []
    small.ledger.close()


def test_a_trailing_stop_only_rises_and_is_moved_in_one_request(tmp_path):
    """Every move is a replacement: the position is never without a stop."""
    small = small_world(tmp_path, BarsMarket(bars_of(wave())), protection=TRAIL)
    moves = []
    honest = small.broker.inner.replace

    def counted(client_order_id, approved, **restricted):
        moves.append(approved.request.stop_price)
        return honest(client_order_id, approved, **restricted)

    small.broker.inner.replace = counted
    bar = enter(small)
    for later in range(bar + 1, bar + 8):
        small.market.stand_at(later)
        tick(small.world, small.plan)
        assert len(open_at_exchange(small)) == 1
    assert len(moves) >= 3
    assert moves == sorted(moves)
    small.ledger.close()


def test_an_interrupted_tick_leaves_it_to_the_next_to_protect(tmp_path):
    """Killed after the entry: the first act of the next tick is reconcile, then the stop rests."""
    small = small_world(tmp_path, BarsMarket(bars_of(wave())), protection=STOP)
    small.broker.script = [("after", KeyboardInterrupt())]
    with pytest.raises(KeyboardInterrupt):
        enter(small)
    tick(small.world, small.plan)
    assert held(small).is_open
    assert set(open_at_exchange(small)) == {"stop"}
    small.ledger.close()


def test_protection_that_the_exchange_refuses_closes_the_position_with_an_alarm(tmp_path):
    """Asked for twice; better flat than unprotected."""
    small = small_world(tmp_path, BarsMarket(bars_of(wave())), protection=STOP)
    refused = ("before", ExchangeRejected("no stops today", -2010))
    small.broker.script = [None, refused, refused]
    enter(small)
    assert not held(small).is_open
    notes = small.ledger.last_tick()["notes"]
    assert any(note.startswith("ALARM BTCUSDT: protection was refused") for note in notes)
    small.ledger.close()


def test_protection_that_is_refused_once_is_asked_for_again_at_once(tmp_path):
    """In the same tick, under an id of its own; the position stays."""
    small = small_world(tmp_path, BarsMarket(bars_of(wave())), protection=STOP)
    small.broker.script = [None, ("before", ExchangeRejected("not now", -2010))]
    enter(small)
    assert held(small).is_open
    assert set(open_at_exchange(small)) == {"stop"}
    assert len(set(small.broker.sent)) == 3
    small.ledger.close()


@pytest.mark.parametrize(
    ("kind", "error"),
    [
        ("before", ExchangeUnavailable("no connection")),
        ("before", OutcomeUnknown("timeout")),
        ("after", OutcomeUnknown("timeout")),
    ],
    ids=["never left", "lost", "placed without an answer"],
)
def test_protection_of_unknown_fate_is_resolved_and_never_doubled(tmp_path, kind, error):
    """The position is kept; within three ticks exactly one stop rests."""
    small = small_world(tmp_path, BarsMarket(bars_of(wave())), protection=STOP)
    small.broker.script = [None, (kind, error)]
    enter(small)
    assert held(small).is_open
    for _ in range(3):
        small.market.now += timedelta(minutes=10)
        tick(small.world, small.plan)
    assert set(open_at_exchange(small)) == {"stop"}
    assert len(small.broker.inner.open_orders()) == 1
    small.ledger.close()


def test_halted_keeps_the_stop_where_it_is(tmp_path):
    """Cancels only, and protective stops stay."""
    small = small_world(tmp_path, BarsMarket(bars_of(wave())), protection=TRAIL)
    bar = enter(small)
    before = open_at_exchange(small)
    small.ledger.set_trading_state(TradingState.HALTED, reason="look", author="me")
    small.market.stand_at(bar + 2)
    tick(small.world, small.plan)
    assert open_at_exchange(small) == before
    small.ledger.close()


def test_reducing_still_protects(tmp_path):
    """A protective order reduces: no limit stands before it."""
    small = small_world(tmp_path, BarsMarket(bars_of(wave())), protection=TRAIL)
    bar = enter(small)
    (before,) = open_at_exchange(small).values()
    small.ledger.set_trading_state(TradingState.REDUCING, reason="loss", author="risk")
    small.market.stand_at(bar + 2)
    tick(small.world, small.plan)
    (after,) = open_at_exchange(small).values()
    assert after.stop_price > before.stop_price
    small.ledger.close()


def test_without_a_champion_protection_is_looked_after_all_the_same(tmp_path):
    """A study that cannot decide still keeps its stop."""
    small = small_world(tmp_path, BarsMarket(bars_of(wave())), protection=STOP)
    bar = enter(small)
    (stop,) = open_at_exchange(small).values()
    small.broker.inner.cancel("BTCUSDT", stop.client_order_id)
    small.champions.error = ExchangeUnavailable("planted")
    small.market.stand_at(bar + 1)
    tick(small.world, small.plan)
    assert set(open_at_exchange(small)) == {"stop"}
    small.ledger.close()


def test_switching_protection_off_releases_what_rests(tmp_path):
    """The plan says none: none rests, the position stays."""
    small = small_world(tmp_path, BarsMarket(bars_of(wave())), protection=BOTH)
    bar = enter(small)
    small.plan = replace(small.plan, protection=Protection())
    small.market.stand_at(bar + 1)
    tick(small.world, small.plan)
    assert open_at_exchange(small) == {}
    assert held(small).is_open
    small.ledger.close()


def test_an_exit_that_a_stop_overtook_is_not_sent(tmp_path):
    """The stop sold between the look and the exit: there is nothing left to sell."""
    small = small_world(tmp_path, BarsMarket(bars_of(wave())), protection=STOP)
    bar = enter(small)
    honest = small.broker.inner.replace

    def too_late(client_order_id, approved, **restricted):
        small.market.prices["BTCUSDT"] = Decimal(80)
        small.market.now += timedelta(seconds=1)
        return honest(client_order_id, approved, **restricted)

    small.broker.inner.replace = too_late
    while held(small).is_open and bar < 100:
        bar += 1
        small.market.stand_at(bar)
        tick(small.world, small.plan)
    sells = [row for row in small.ledger.fills().to_dicts() if row["side"] == "SELL"]
    assert len(sells) == 1
    assert small.ledger.trades()["reason"].to_list() == ["stop_loss"]
    assert "-2022" in small.ledger.orders()["code"].to_list()
    small.ledger.close()


def test_prices_stand_on_the_tick_below():
    """95 % of 100.333 is 95.31635, 110 % is 110.3663."""
    found = wanted(LONG, Protection(stop_loss=0.05, take_profit=0.1), TICK)
    assert found == Protected(Decimal(1), Decimal("95.31"), Decimal("110.36"))


def test_the_higher_of_stop_and_trail_gives_price_and_reason():
    """4 % below the high water of 103 is 98.88, above the stop."""
    found = wanted(LONG, Protection(stop_loss=0.05, trailing_stop=0.04), TICK)
    assert found is not None
    assert (found.stop, found.stop_reason) == (Decimal("98.88"), "trailing_stop")


LOTS = replace(TICK, filters=(*TICK.filters, *SMALLEST))
PAIR = Protected(Decimal("1.000"), Decimal("95.00"), Decimal("110.00"))


@pytest.mark.parametrize(
    ("change", "stays"),
    [
        ({"quantity": Decimal("1.049")}, True),
        ({"quantity": Decimal("1.060")}, False),
        ({"quantity": Decimal("0.999")}, False),
        ({"stop": Decimal("95.09")}, True),
        ({"stop": Decimal("95.10")}, False),
        ({"target": Decimal("109.90")}, True),
        ({"target": Decimal("109.80")}, False),
        ({"stop": Decimal("95.09"), "stop_reason": "trailing_stop"}, False),
        ({"target": None}, False),
    ],
)
def test_a_pair_is_cancelled_only_where_that_is_worth_the_moment_without(change, stays):
    """More than a thousandth off, or five quote units left out; what trails is always moved."""
    assert fits(PAIR, replace(PAIR, **change), LOTS) is stays


def test_a_lone_stop_is_moved_for_every_tick():
    """One request does it: nothing stands bare."""
    lone = replace(PAIR, target=None)
    assert not fits(lone, replace(lone, stop=Decimal("95.01")), LOTS)
    assert not fits(None, lone, LOTS)
    assert fits(lone, lone, LOTS)


def test_what_a_partly_filled_stop_still_covers_is_what_rests(tmp_path):
    """Four of ten are sold: six rest."""
    small = small_world(tmp_path, BarsMarket(bars_of(wave())), protection=STOP)
    enter(small)
    (record,) = small.ledger.open_orders()
    part = replace(record, executed_quantity=record.request.quantity * Decimal("0.4"))
    rests = resting([part])
    assert rests is not None
    assert rests.quantity == record.request.quantity * Decimal("0.6")
    small.ledger.close()


def test_nothing_is_wanted_for_a_flat_book_or_without_protection():
    """Nothing to hold, nothing to place."""
    assert wanted(replace(LONG, quantity=Decimal(0)), BOTH, TICK) is None
    assert wanted(LONG, Protection(), TICK) is None


def test_a_symbol_without_stop_market_gets_a_stop_limit_with_room():
    """Where the exchange takes only STOP_LOSS_LIMIT, its limit is 5 % below."""
    old = replace(TICK, order_types=("LIMIT", "MARKET", "STOP_LOSS_LIMIT"))
    protected = Protected(Decimal(1), Decimal("95.31"), None)
    (request,) = requests_for(protected, LONG, START, old, 0)
    assert (request.type, request.price) == (OrderType.STOP_LOSS_LIMIT, Decimal("90.54"))


def test_a_pair_shares_a_list_id_and_its_ids_are_short_enough():
    """Binance takes 36 characters."""
    protected = Protected(Decimal(1), Decimal("95.31"), Decimal("110.36"))
    stop, target = requests_for(protected, LONG, START + 500_000 * HOUR, TICK, 99)
    assert stop.list_id == target.list_id
    assert (stop.leg, target.leg) == (Leg.STOP, Leg.TARGET)
    assert max(len(i) for i in (stop.client_order_id, target.client_order_id, stop.list_id)) <= 36
    assert stop.reduces
    assert target.reduces
