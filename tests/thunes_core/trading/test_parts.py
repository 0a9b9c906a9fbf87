"""A position that one order may not carry is covered by several, and left in parts."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from tests.thunes_core.trading import test_unprotected
from tests.thunes_core.trading.test_unprotected import BOOK, OCO, Watched
from tests.worlds import START
from thunes_core.domain.instrument import Instrument, LotSize, MaxAsset, Notional, at_most
from thunes_core.domain.limits import Protection
from thunes_core.domain.orders import Leg, OrderRequest, OrderStatus, OrderType, Side
from thunes_core.domain.records import OrderRecord
from thunes_core.testnet.faults import FaultKind
from thunes_core.trading.parts import Step, next_step
from thunes_core.trading.step import tick
from thunes_core.trading.stops import Protected

ORDER, SWAP = test_unprotected.SWAP.replace("/cancelReplace", ""), test_unprotected.SWAP
MY_FILTERS = "GET /api/v3/myFilters"
STOP = Protection(stop_loss=0.05)
PAIR = Protection(stop_loss=0.05, take_profit=0.5)
TRAIL = Protection(trailing_stop=0.04)
watched = test_unprotected.watched


def limit(watched: Watched, most: str, asset: str = "USDT", *, known: bool = True) -> None:
    """Let the exchange limit what one order may move of an asset; we learn it at the next tick."""
    rule = {"filterType": "MAX_ASSET", "asset": asset, "limit": most}
    exchange = watched.net.exchange
    exchange.options = replace(exchange.options, asset_filters=(rule,))
    if known:
        watched.broker._own.forget()


def entered(watched: Watched, protection: Protection) -> int:
    """Hold a position of about 1,000 under `protection`, without any limit; return the bar."""
    watched.plan = replace(watched.plan, protection=protection)
    return watched.enter()


def bare_of(watched: Watched, protection: Protection) -> int:
    """Hold a position whose entry brought no protection; return the bar."""
    watched.plan = replace(watched.plan, protection=Protection())
    bar = watched.enter()
    watched.plan = replace(watched.plan, protection=protection)
    watched.watch.ended.clear()
    watched.watch._since.clear()
    return bar


def stopped(watched: Watched) -> list[Decimal]:
    """Return the quantities of the stops that rest."""
    return [o.quantity for o in watched.stops() if str(o.asked.type) == "STOP_LOSS"]


def held(watched: Watched) -> Decimal:
    """Return what the book holds, in whole steps."""
    return watched.ledger.position(*BOOK).quantity.quantize(Decimal("0.00001"), "ROUND_DOWN")


def alarms(watched: Watched) -> list[str]:
    """Return the alarms of the last tick."""
    return [note for note in watched.ledger.last_tick()["notes"] if "ALARM" in note]


def sold(watched: Watched) -> list[Decimal]:
    """Return what each sale at the market was worth."""
    trades = watched.net.exchange.records.trades("BTCUSDT")
    return [one.quote for one in trades if not one.is_buyer]


@pytest.mark.parametrize("protection", [STOP, PAIR], ids=["stop", "pair"])
def test_what_covers_all_stays_though_a_new_order_could_not(watched, protection):
    """A limit binds where an order is placed: what rests is not made smaller for it."""
    bar = entered(watched, protection)
    before = {one.order_id for one in watched.stops()}
    limit(watched, "400")
    for later in (bar + 1, bar + 2):
        assert watched.tick_at(later).notes == ()
    assert {one.order_id for one in watched.stops()} == before
    assert stopped(watched) == [held(watched)]
    assert watched.bare_seconds == 0


@pytest.mark.parametrize("known", [True, False], ids=["told", "learnt by a refusal"])
@pytest.mark.parametrize("asset", ["USDT", "BTC"])
@pytest.mark.parametrize("protection", [STOP, PAIR], ids=["stop", "pair"])
def test_what_one_order_may_not_carry_rests_in_several(watched, protection, asset, known):
    """All of it is covered in the same tick, without an alarm, and then nothing is sent."""
    bar = bare_of(watched, protection)
    limit(watched, "400" if asset == "USDT" else "3.8", asset, known=known)
    if not known:
        watched.fail(FaultKind.ERROR, MY_FILTERS, times=99)
        watched.broker._own.forget()
    watched.move(watched.net.exchange.clock.now_ms() + 60_000)
    tick(watched.world, watched.plan)
    assert len(stopped(watched)) >= 3
    assert sum(stopped(watched)) == held(watched)
    assert alarms(watched) == []
    sent = len(watched.net.exchange.records.orders("BTCUSDT"))
    watched.tick_at(bar + 1)
    assert len(watched.net.exchange.records.orders("BTCUSDT")) == sent


def test_so_does_what_is_more_than_one_lot_at_the_market(watched):
    """MARKET_LOT_SIZE binds a stop, which sells at the market; it became less since it was told."""
    bare_of(watched, STOP)
    rules = watched.net.exchange.market.listing("BTCUSDT").filters
    rules["MARKET_LOT_SIZE"] = rules["MARKET_LOT_SIZE"] | {"maxQty": "3.00000000"}
    watched.move(watched.net.exchange.clock.now_ms() + 60_000)
    tick(watched.world, watched.plan)
    assert len(stopped(watched)) == 4
    assert sum(stopped(watched)) == held(watched)
    assert alarms(watched) == []


def test_so_does_what_is_worth_more_than_an_order_at_the_market_may_be(watched):
    """The maximum of NOTIONAL, where it binds orders at the market, and however new it is."""
    bar = bare_of(watched, STOP)
    rules = watched.net.exchange.market.listing("BTCUSDT").filters
    rules["NOTIONAL"] |= {"maxNotional": "300.00000000", "applyMaxToMarket": True}
    watched.move(watched.net.exchange.clock.now_ms() + 60_000)
    tick(watched.world, watched.plan)
    assert sum(stopped(watched)) == held(watched)
    assert alarms(watched) == []
    watched.leave(bar)
    assert max(sold(watched)) <= 300
    assert not watched.is_open


def test_after_a_jump_of_the_price_all_is_covered(watched):
    """The highs of closed bars are far below: the latest price is what the exchange values by."""
    bare_of(watched, PAIR)
    watched.plan = replace(watched.plan, protection=STOP)
    book = watched.ledger.position(*BOOK)
    watched.ledger.save_position(replace(book, high_water=book.high_water * 0.7))
    limit(watched, "600")
    watched.move(watched.net.exchange.clock.now_ms() + 60_000)
    tick(watched.world, watched.plan)
    assert sum(stopped(watched)) == held(watched)
    assert len(stopped(watched)) == 2
    refused = [o for o in watched.ledger.orders().to_dicts() if o["status"] == "REJECTED"]
    assert refused == []


@pytest.mark.parametrize("known", [True, False], ids=["told", "learnt by a refusal"])
def test_a_trail_is_moved_part_by_part(watched, known):
    """It rises with the closed bars; each part by one request, so that nothing stands bare."""
    bar = entered(watched, TRAIL)
    limit(watched, "400", known=known)
    if not known:
        watched.fail(FaultKind.ERROR, MY_FILTERS, times=99)
        watched.broker._own.forget()
    levels = []
    for later in range(bar + 1, bar + 5):
        watched.tick_at(later)
        assert alarms(watched) == []
        assert sum(stopped(watched)) == held(watched)
        (level,) = {one.asked.stop_price for one in watched.stops()}
        levels.append(level)
    assert levels == sorted(set(levels))
    assert watched.bare_seconds == 0


@pytest.mark.parametrize("counted", [True, False], ids=["old beside new", "new alone"])
def test_a_trail_is_moved_where_no_more_stops_are_taken(watched, counted):
    """Where the old stop is counted beside the new one, it is cancelled before."""
    bar = entered(watched, TRAIL)
    exchange = watched.net.exchange
    exchange.options = replace(exchange.options, filters_before_cancel=counted)
    rules = exchange.market.listing("BTCUSDT").filters
    rules["MAX_NUM_ALGO_ORDERS"] = {"filterType": "MAX_NUM_ALGO_ORDERS", "maxNumAlgoOrders": 1}
    levels = []
    for later in range(bar + 1, bar + 5):
        watched.tick_at(later)
        assert alarms(watched) == []
        (stop,) = watched.stops()
        assert stop.quantity == held(watched)
        levels.append(stop.asked.stop_price)
    assert levels == sorted(set(levels))
    assert watched.bare_seconds == 0


def test_parts_wait_for_a_trail_of_the_exchange_as_stops_alone(watched):
    """Four with a trail beside each were eight, of which five are taken; they follow later."""
    late = Protection(stop_loss=0.05, trailing_stop=0.03, trailing_activation=0.02)
    watched.plan = replace(watched.plan, native_trail=True)
    bar = bare_of(watched, late)
    limit(watched, "300")
    watched.move(watched.net.exchange.clock.now_ms() + 60_000)
    tick(watched.world, watched.plan)
    assert alarms(watched) == []
    assert [one.asked.trailing_delta for one in watched.stops()] == [None] * 4
    assert sum(stopped(watched)) == held(watched)
    for later in range(bar + 1, bar + 5):
        watched.tick_at(later)
    assert [one.asked.trailing_delta for one in watched.stops()] == [300] * 4
    assert sum(stopped(watched)) == held(watched)
    assert watched.bare_seconds == 0


def test_a_position_that_cannot_be_covered_whole_is_closed_in_parts(watched):
    """One stop is allowed, and it may not carry all: the rest is sold first, with an alarm."""
    bare_of(watched, STOP)
    rules = watched.net.exchange.market.listing("BTCUSDT").filters
    rules["MAX_NUM_ALGO_ORDERS"] = {"filterType": "MAX_NUM_ALGO_ORDERS", "maxNumAlgoOrders": 1}
    limit(watched, "300")
    watched.move(watched.net.exchange.clock.now_ms() + 60_000)
    tick(watched.world, watched.plan)
    assert not watched.is_open
    assert watched.stops() == []
    assert alarms(watched) == ["ALARM BTCUSDT: protection was refused, the position is closed"]
    assert len(sold(watched)) >= 4
    assert max(sold(watched)) <= 300
    assert watched.bare_seconds <= 1


@pytest.mark.parametrize("known", [True, False], ids=["told", "learnt by a refusal"])
def test_a_position_that_cannot_be_protected_is_sold_in_parts_at_once(watched, known):
    """Within one tick, each within the limit; nothing is left."""
    bare_of(watched, PAIR)
    limit(watched, "300", known=known)
    if not known:
        watched.fail(FaultKind.ERROR, MY_FILTERS, times=99)
        watched.broker._own.forget()
    watched.fail(FaultKind.REFUSE, OCO, times=99)
    watched.move(watched.net.exchange.clock.now_ms() + 60_000)
    tick(watched.world, watched.plan)
    assert not watched.is_open
    assert max(sold(watched)) <= 300
    assert alarms(watched) == ["ALARM BTCUSDT: protection was refused, the position is closed"]
    assert watched.bare_seconds == 0


@pytest.mark.parametrize("swaps", [True, False], ids=["in one request", "one by one"])
def test_an_exit_that_is_refused_as_too_large_is_made_smaller_at_once(watched, swaps):
    """The limit is new and not told: the same tick leaves in parts of what fits."""
    bar = entered(watched, STOP)
    if not swaps:
        watched.net.exchange.market.listing("BTCUSDT").extra = {"cancelReplaceAllowed": False}
    watched.fail(FaultKind.ERROR, MY_FILTERS, times=99)
    limit(watched, "300")
    watched.leave(bar)
    assert max(sold(watched)) <= 300
    assert not watched.is_open
    assert watched.stops() == []
    assert watched.bare_seconds == 0


@pytest.mark.parametrize("protection", [STOP, PAIR, Protection()], ids=["stop", "pair", "none"])
def test_an_exit_leaves_in_parts_within_one_tick(watched, protection):
    """However many: none is larger than the limit, and nothing is left for the next tick."""
    bar = bare_of(watched, protection)
    limit(watched, "450" if protection.take_profit else "300")
    report = watched.leave(bar)
    assert len(sold(watched)) >= 3
    assert max(sold(watched)) <= 450
    assert not watched.is_open
    assert watched.stops() == []
    assert (report.uncertain, alarms(watched)) == ((), [])


@pytest.mark.parametrize("kind", [FaultKind.THROTTLE, FaultKind.DROP, FaultKind.DROP_AFTER])
def test_an_exit_in_parts_goes_on_after_a_part_that_failed(watched, kind):
    """What is left is covered meanwhile, and sold once that part is certain; nothing twice."""
    bar = bare_of(watched, STOP)
    limit(watched, "300")
    before = held(watched)
    watched.fail(kind, f"{ORDER}", skip=6)
    report = watched.leave(bar)
    assert not watched.is_open
    assert watched.stops() == []
    assert report.uncertain == ()
    trades = watched.net.exchange.records.trades("BTCUSDT")
    assert sum(one.quantity for one in trades if not one.is_buyer) == before


@pytest.mark.parametrize("locks", [True, False])
def test_the_other_parts_do_not_wait_for_one_of_unknown_outcome(watched, locks):
    """All but that one is covered at once, and that one too where stops hold their coins."""
    watched.broker.locks_coins = locks
    bare_of(watched, STOP)
    limit(watched, "300")
    watched.fail(FaultKind.DROP, ORDER, skip=1)
    watched.pauses = False
    watched.move(watched.net.exchange.clock.now_ms() + 60_000)
    assert tick(watched.world, watched.plan).uncertain == ("BTCUSDT",)
    assert len(stopped(watched)) == (4 if locks else 3)
    assert held(watched) - sum(stopped(watched)) < Decimal("0.00001" if locks else "2.5")
    watched.pauses = True
    watched.pause(timedelta(minutes=1))
    assert tick(watched.world, watched.plan).uncertain == ()
    assert sum(stopped(watched)) == held(watched)
    assert alarms(watched) == []


def test_parts_that_one_outage_swallows_are_one_attempt(watched):
    """Each gets no answer once; they are placed anew, and the position is not closed for them."""
    bare_of(watched, STOP)
    limit(watched, "300")
    watched.fail(FaultKind.DROP, ORDER, times=4)
    watched.move(watched.net.exchange.clock.now_ms() + 60_000)
    tick(watched.world, watched.plan)
    assert sum(stopped(watched)) == held(watched)
    assert alarms(watched) == []


@pytest.mark.parametrize("locks", [True, False])
def test_an_exit_does_not_wait_for_a_part_of_unknown_outcome(watched, locks):
    """All else is sold; what that part may hold follows once it is known, where stops lock none."""
    watched.broker.locks_coins = locks
    bar = bare_of(watched, STOP)
    limit(watched, "300")
    watched.fail(FaultKind.DROP, ORDER, skip=1)
    watched.pauses = False
    watched.move(watched.net.exchange.clock.now_ms() + 60_000)
    tick(watched.world, watched.plan)
    watched.plan = replace(watched.plan, protection=replace(STOP, take_profit=0.0001))
    watched.tick_at(bar + 1)
    assert held(watched) == (0 if locks else Decimal("2.30903"))
    watched.pause(timedelta(minutes=1))
    tick(watched.world, watched.plan)
    watched.tick_at(bar + 2)
    assert not watched.is_open
    assert watched.stops() == []


@pytest.mark.parametrize("locks", [True, False])
def test_what_is_free_beside_a_sale_of_unknown_outcome_is_covered_at_once(watched, locks):
    """By as many parts as it takes, though nothing that rests is moved meanwhile.

    What the sale may have taken is covered as well where stops hold their coins.
    """
    watched.broker.locks_coins = locks
    bar = bare_of(watched, STOP)
    limit(watched, "300")
    watched.fail(FaultKind.DROP, ORDER)
    before, covered = held(watched), []
    honest = watched.pause
    watched.pause = lambda length: (covered.append(sum(stopped(watched))), honest(length))
    watched.leave(bar)
    (lost,) = [o for o in watched.ledger.orders().to_dicts() if o["code"] == "not_executed"]
    bare = 0 if locks else Decimal(lost["quantity_text"])
    assert set(covered) == {before - bare}
    assert not watched.is_open


def test_an_entry_near_the_limit_brings_cover_for_all_of_it(watched):
    """Where an order of its own may just carry it, its stop may, too, or two do."""
    limit(watched, "1010")
    entered(watched, STOP)
    assert sum(stopped(watched)) == held(watched)
    assert alarms(watched) == []


def test_when_its_stops_go_off_all_is_sold(watched):
    """Each part sells itself; the book is flat and blocked, nothing rests."""
    bare_of(watched, STOP)
    limit(watched, "400")
    watched.move(watched.net.exchange.clock.now_ms() + 60_000)
    tick(watched.world, watched.plan)
    book = watched.ledger.position(*BOOK)
    watched.plan = replace(watched.plan, protection=Protection(stop_loss=0.001))
    for _ in range(1, 40):
        watched.move(watched.net.exchange.clock.now_ms() + 3_600_000)
        tick(watched.world, watched.plan)
        if not watched.is_open:
            break
    assert book.is_open
    assert not watched.is_open
    assert watched.stops() == []
    assert max(sold(watched)) <= 400


LOT = Instrument(
    "BTCUSDT",
    "BTC",
    "USDT",
    filters=(LotSize(Decimal("0.1"), Decimal(0), Decimal("0.1")), Notional(Decimal(5))),
)
WANTED = Protected(Decimal(10), Decimal(90), None, most=Decimal(4))


def rests(quantity: str, number: int, price: str = "90") -> OrderRecord:
    """Return a stop that rests."""
    request = OrderRequest(
        "BTCUSDT",
        Side.SELL,
        OrderType.STOP_LOSS,
        Decimal(quantity),
        f"th-{number}",
        Leg.STOP,
        stop_price=Decimal(price),
        reduces=True,
    )
    return OrderRecord(request, "s", START, OrderStatus.NEW, START)


def step_of(*records: OrderRecord, desired: Protected = WANTED) -> tuple[str, list[str]] | None:
    """Return the quantity of the next part, and in place of which orders it comes."""
    step = next_step(records, desired, LOT)
    if step is None:
        return None
    return str(step.part and step.part.quantity), [one.client_order_id for one in step.old]


def test_parts_are_equal_and_as_few_as_can_be():
    """Ten in fours: three parts, none of which is too small for an order of its own."""
    assert step_of() == ("3.3", [])
    assert step_of(rests("3.3", 1)) == ("3.3", [])
    assert step_of(rests("3.3", 1), rests("3.3", 2)) == ("3.4", [])
    assert step_of(rests("3.3", 1), rests("3.3", 2), rests("3.4", 3)) is None


def test_a_part_that_rests_stays_however_large():
    """Another comes beside it; what may join the smallest one does."""
    assert step_of(rests("7", 1)) == ("3", [])
    assert step_of(rests("7", 1), rests("2", 2)) == ("3", ["th-2"])
    assert step_of(rests("10", 1)) is None


def test_a_part_in_the_wrong_place_is_moved_by_itself():
    """The others stay where they are until it is their turn."""
    assert step_of(rests("6", 1), rests("4", 2, "89")) == ("4", ["th-2"])
    assert step_of(rests("6", 1, "89"), rests("4", 2)) == ("4", ["th-1"])


def test_a_part_gives_up_no_more_than_it_must():
    """What one order may not carry, but enough for an order of its own."""
    assert step_of(rests("4.2", 1, "89"), rests("5.8", 2)) == ("4.0", ["th-1"])
    dear = replace(LOT, filters=(LOT.filters[0], Notional(Decimal(50))))
    moved = next_step([rests("4.2", 1, "89"), rests("5.8", 2)], WANTED, dear)
    assert moved.part.quantity == Decimal("3.6")  # 0.6 at 90 is worth more than 50


def test_what_a_part_gave_up_is_covered_before_the_next_is_moved():
    """Where a part of its own is needed anyhow; else it joins the next."""
    assert step_of(rests("4", 1), rests("4.5", 2, "89")) == ("1.5", [])
    assert step_of(rests("4", 1), rests("2", 3), rests("3.9", 2, "89")) == ("4.0", ["th-2"])
    assert step_of(rests("6", 1), rests("2", 2, "89")) == ("4", ["th-2"])


def test_too_much_is_taken_from_the_smallest():
    """One that is not needed at all is taken back."""
    assert step_of(rests("9", 1), rests("2", 2)) == ("1", ["th-2"])
    assert step_of(rests("10", 1), rests("2", 2)) == ("None", ["th-2"])


def test_while_something_is_unknown_no_part_gives_way():
    """What is missing beside those that rest is placed all the same, if it can be sold."""
    first, cents = rests("3.3", 1), replace(WANTED, quantity=Decimal("3.3"))
    dear = replace(LOT, filters=(LOT.filters[0], Notional(Decimal(500))))
    assert next_step([first], WANTED, LOT, moves=False) == Step(replace(cents, stop=Decimal(90)))
    for others in ([rests("6.7", 2)], [rests("6.7", 2, "89")], [rests("9", 2)]):
        assert next_step([first, *others], WANTED, LOT, moves=False) is None
    assert next_step([first, rests("3.3", 2)], WANTED, dear, moves=False) is None


def test_parts_of_a_finer_lot_are_moved_in_whole_lots():
    """The exchange made its lots coarser: what rests stays, what is moved loses the fraction."""
    coarse = replace(LOT, filters=(LotSize(Decimal("0.5"), Decimal(0), Decimal("0.5")),))
    desired = replace(WANTED, quantity=Decimal("10.0"))
    finer = [rests("3.3", 1), rests("3.3", 2), rests("3.4", 3)]
    assert next_step(finer, desired, coarse) is None
    assert next_step([*finer[:2], rests("3.2", 3)], desired, coarse) is None
    moved = next_step([rests("3.3", 1, "89"), *finer[1:]], desired, coarse)
    assert moved.part.quantity == Decimal("3.0")


def test_what_nobody_could_sell_is_left_out():
    """Below the minima, where no part may take it in; else it joins one."""
    dear = replace(LOT, filters=(LOT.filters[0], Notional(Decimal(50))))
    assert next_step([rests("9.8", 1)], WANTED, dear) is None
    assert step_of(rests("9.8", 1), desired=replace(WANTED, most=None)) == ("10.0", ["th-1"])


def test_what_is_learnt_takes_the_place_of_what_was_told():
    """One limit for an asset, the newest."""
    again = at_most(at_most(LOT, Decimal(3)), Decimal(2))
    assert again.filters == (MaxAsset("BTC", Decimal(2)), *LOT.filters)


def test_an_order_too_small_to_halve_teaches_nothing(watched):
    """Then it is refused like any other."""
    bare_of(watched, STOP)
    limit(watched, "0.001", "BTC", known=False)
    watched.fail(FaultKind.ERROR, MY_FILTERS, times=99)
    watched.move(watched.net.exchange.clock.now_ms() + 60_000)
    report = tick(watched.world, watched.plan)
    assert watched.is_open
    assert watched.stops() == []
    assert report.uncertain == ("BTCUSDT",)
