"""How orders fill, what they cost, what they hold."""

from __future__ import annotations

from decimal import Decimal

import pytest

from tests.thunes_core.testnet.calls import order, signed
from tests.thunes_core.testnet.markets import (
    HOUR_MS,
    QUIET,
    RISING,
    START_MS,
    Ohlc,
    exchange,
    step,
)
from thunes_core.domain.limits import Costs
from thunes_core.testnet.liquidity import Depth
from thunes_core.testnet.matching import Exchange, Options
from thunes_core.testnet.orders import Status
from thunes_core.testnet.settlement import FeeAsset, FillPrice, terms_of

D = Decimal
FREE = Options(terms=terms_of(Costs(0, 0, 0)))
GTC = {"timeInForce": "GTC"}


def balances(on: Exchange) -> dict[str, tuple[Decimal, Decimal]]:
    """Return free and held by asset."""
    return {a: (on.wallet.free(a), on.wallet.held(a)) for a in on.wallet.assets}


def status(on: Exchange, order_id: int) -> str:
    """Return the status a query shows."""
    return signed(on, "GET", "order", symbol="BTCUSDT", orderId=order_id)["status"]


def test_market_buy_fills_at_the_open_plus_slippage() -> None:
    """At a bar boundary: open × (1 + slippage), eight decimals kept, fee in the base received."""
    on = exchange(RISING, Options(terms=terms_of(Costs(0.001, 0.001, 0.00055))), at_ms=HOUR_MS)
    fill = order(on, "BUY", "MARKET", quantity="2")["fills"][0]
    assert fill["price"] == "103.05665000"
    assert (fill["commission"], fill["commissionAsset"]) == ("0.00200000", "BTC")
    assert balances(on) == {
        "BTC": (D("1.998"), D(0)),
        "USDT": (D(10_000) - 2 * D("103.05665"), D(0)),
    }


@pytest.mark.parametrize("fill_price", list(FillPrice))
def test_slipped_price_is_exact_or_rounded_against_the_taker(fill_price: FillPrice) -> None:
    """The option `tick` puts fills on the tick, as a real book would."""
    terms = terms_of(Costs(0, 0, 0.0001234), fill_price=fill_price)
    on = exchange(RISING, Options(terms=terms))
    bought = order(on, "BUY", "MARKET", quantity="1")["fills"][0]["price"]
    sold = order(on, "SELL", "MARKET", quantity="1")["fills"][0]["price"]
    exact = fill_price is FillPrice.EXACT
    assert bought == ("100.01234000" if exact else "100.02000000")
    assert sold == ("99.98766000" if exact else "99.98000000")


def test_quote_quantity_buys_what_it_pays_for() -> None:
    """100 USDT at 100.05 buy 0.99950 BTC, floored to the step."""
    on = exchange(RISING, Options(terms=terms_of(Costs(0, 0, 0.0005))))
    placed = order(on, "BUY", "MARKET", quoteOrderQty="100")
    assert placed["origQty"] == placed["executedQty"] == "0.99950000"
    assert placed["origQuoteOrderQty"] == "100.00000000"
    assert D(placed["cummulativeQuoteQty"]) == D("0.9995") * D("100.05")


@pytest.mark.parametrize(
    ("fee_asset", "after_buy", "after_sell"),
    [
        (FeeAsset.BASE, {"BTC": "0.99900000"}, {"USDT": "0.0999"}),
        (FeeAsset.QUOTE, {"BTC": "1"}, {"USDT": "0.2"}),
        (FeeAsset.BNB, {"BTC": "1"}, {"BNB": "0.00025"}),
    ],
)
def test_fees_are_paid_in_the_asset_of_the_option(
    fee_asset: FeeAsset, after_buy: dict[str, str], after_sell: dict[str, str]
) -> None:
    """In what is received, in quote, or in BNB with the discount."""
    start = {"USDT": D(10_000), "BNB": D(1)}
    terms = terms_of(Costs(0.001, 0.001, 0), fee_asset)
    on = exchange(QUIET, Options(balances=start, terms=terms))
    order(on, "BUY", "MARKET", quantity="1")
    for asset, free in after_buy.items():
        assert on.wallet.free(asset) == D(free)
    order(on, "SELL", "MARKET", quantity="0.999" if fee_asset is FeeAsset.BASE else "1")
    bought_and_sold = D("-0.1") if fee_asset is FeeAsset.BASE else D(0)
    for asset, paid in after_sell.items():
        gone = start[asset] - on.wallet.free(asset)
        assert gone + bought_and_sold == D(paid)


def test_bnb_fee_falls_back_when_there_is_none() -> None:
    """Without enough BNB the fee is taken from what is received, between two fills too."""
    terms = terms_of(Costs(0.001, 0.001, 0), FeeAsset.BNB)
    on = exchange(QUIET, Options(balances={"USDT": D(10_000), "BNB": D("0.0002")}, terms=terms))
    assets = [
        order(on, "BUY", "MARKET", quantity="1")["fills"][0]["commissionAsset"] for _ in range(2)
    ]
    assert assets == ["BNB", "BTC"]


def test_limit_rests_holds_and_fills_when_the_price_goes_through() -> None:
    """A buy at 99 holds 99, fills at 99 in the hour whose low is 98, as a maker."""
    on = exchange(RISING, Options(terms=terms_of(Costs(0.01, 0.001, 0.01))))
    placed = order(on, "BUY", "LIMIT", price="99.00", quantity="1", **GTC)
    assert placed["status"] == "NEW"
    assert balances(on)["USDT"] == (D(9_901), D(99))
    step(on, 1)
    trade = signed(on, "GET", "myTrades", symbol="BTCUSDT")[0]
    assert (trade["price"], trade["isMaker"], trade["commission"]) == (
        "99.00000000",
        True,
        "0.00100000",
    )
    assert START_MS < trade["time"] < START_MS + HOUR_MS // 3
    assert balances(on) == {"BTC": (D("0.999"), D(0)), "USDT": (D(9_901), D(0))}


def test_limit_at_the_low_itself_does_not_fill() -> None:
    """The price must trade through the limit, touching is not enough."""
    on = exchange(RISING)
    order(on, "BUY", "LIMIT", price="98.00", quantity="1", **GTC)
    step(on, 4)
    assert status(on, 1) == "NEW"


def test_limit_leapt_over_by_an_open_fills_at_the_better_open() -> None:
    """A sell at 110.50 rests through the high of 110 and fills at the next open, 112."""
    on = exchange(RISING, FREE)
    order(on, "BUY", "MARKET", quantity="1")
    order(on, "SELL", "LIMIT", price="110.50", quantity="1", **GTC)
    step(on, 4)
    trade = signed(on, "GET", "myTrades", symbol="BTCUSDT")[1]
    assert (trade["price"], trade["time"]) == ("112.00000000", START_MS + 2 * HOUR_MS)


def test_marketable_limit_takes_within_its_price() -> None:
    """A buy limit above the market takes at the slipped price, never beyond its limit."""
    on = exchange(RISING, Options(terms=terms_of(Costs(0, 0, 0.01))))
    far = order(on, "BUY", "LIMIT", price="105.00", quantity="1", **GTC)
    near = order(on, "BUY", "LIMIT", price="100.50", quantity="1", **GTC)
    assert [o["fills"][0]["price"] for o in (far, near)] == ["101.00000000", "100.50000000"]


@pytest.mark.parametrize("tif", ["IOC", "FOK"])
def test_impatient_limits_expire_when_they_cannot_take(tif: str) -> None:
    """IOC and FOK below the market end at once and hold nothing."""
    on = exchange(RISING)
    placed = order(on, "BUY", "LIMIT", price="99.00", quantity="1", timeInForce=tif)
    assert placed["status"] == "EXPIRED"
    assert balances(on)["USDT"] == (D(10_000), D(0))


def test_limit_maker_that_would_take_is_rejected() -> None:
    """-2010 with the exchange's words; a maker below the market rests."""
    on = exchange(RISING)
    taking = order(on, "BUY", "LIMIT_MAKER", price="101.00", quantity="1")
    assert taking == {"code": -2010, "msg": "Order would immediately match and take."}
    assert order(on, "BUY", "LIMIT_MAKER", price="99.00", quantity="1")["orderId"] == 1


FALLING: list[Ohlc] = [
    (100.0, 101.0, 99.0, 100.0),
    (100.0, 101.0, 94.0, 96.0),
    (90.0, 92.0, 88.0, 91.0),
]


def long(on: Exchange) -> Exchange:
    """Buy one."""
    order(on, "BUY", "MARKET", quantity="1")
    return on


@pytest.mark.parametrize(
    ("stop", "price", "hour"), [("95.00", "94.05000000", 1), ("93.00", "89.10000000", 2)]
)
def test_stop_fills_at_the_worse_of_stop_and_open(stop: str, price: str, hour: int) -> None:
    """Crossed inside a bar: stop × (1 − slippage). Leapt over: the open × (1 − slippage)."""
    on = long(exchange(FALLING, Options(terms=terms_of(Costs(0, 0, 0.01)))))
    order(on, "SELL", "STOP_LOSS", stopPrice=stop, quantity="1")
    step(on, 3)
    trade = signed(on, "GET", "myTrades", symbol="BTCUSDT")[1]
    assert trade["price"] == price
    assert START_MS + hour * HOUR_MS <= trade["time"] < START_MS + (hour + 1) * HOUR_MS


def test_stop_limit_rests_when_the_market_leapt_below_its_limit() -> None:
    """Stop 93, limit 92: the open of 90 triggers it, and the high of 92 does not go through."""
    on = long(exchange(FALLING, FREE))
    order(on, "SELL", "STOP_LOSS_LIMIT", stopPrice="93.00", price="92.00", quantity="1", **GTC)
    step(on, 3)
    shown = signed(on, "GET", "order", symbol="BTCUSDT", orderId=2)
    assert (shown["status"], shown["isWorking"]) == ("NEW", True)
    assert shown["workingTime"] == START_MS + 2 * HOUR_MS


def test_take_profit_goes_off_when_the_price_reaches_it() -> None:
    """A sell above the market triggers on the way up."""
    on = long(exchange(RISING, FREE))
    order(on, "SELL", "TAKE_PROFIT", stopPrice="104.00", quantity="1")
    step(on, 1)
    assert signed(on, "GET", "myTrades", symbol="BTCUSDT")[1]["price"] == "104.00000000"


@pytest.mark.parametrize(
    ("side", "kind", "stop"),
    [
        ("SELL", "STOP_LOSS", "100.00"),
        ("SELL", "STOP_LOSS", "101.00"),
        ("BUY", "STOP_LOSS", "99.00"),
        ("SELL", "TAKE_PROFIT", "99.00"),
        ("BUY", "TAKE_PROFIT", "101.00"),
    ],
)
def test_stop_on_the_wrong_side_is_rejected(side: str, kind: str, stop: str) -> None:
    """An order that would trigger immediately is no order."""
    on = long(exchange(RISING))
    answer = order(on, side, kind, stopPrice=stop, quantity="0.5")
    assert answer == {"code": -2010, "msg": "Order would trigger immediately."}


def test_cancel_frees_what_was_held() -> None:
    """And a second cancel is told that there is no such order."""
    on = exchange(RISING)
    order(on, "BUY", "LIMIT", price="90.00", quantity="2", newClientOrderId="mine", **GTC)
    done = signed(on, "DELETE", "order", symbol="BTCUSDT", origClientOrderId="mine")
    assert (done["status"], done["origClientOrderId"]) == ("CANCELED", "mine")
    assert balances(on)["USDT"] == (D(10_000), D(0))
    again = signed(on, "DELETE", "order", symbol="BTCUSDT", origClientOrderId="mine")
    assert again == {"code": -2011, "msg": "Unknown order sent."}


def test_client_id_may_be_used_again_after_the_order_ended() -> None:
    """Unique among open orders only; a query by it then finds the newer order."""
    on = exchange(RISING)
    first = {"price": "90.00", "quantity": "1", "newClientOrderId": "same", **GTC}
    order(on, "BUY", "LIMIT", **first)
    assert order(on, "BUY", "LIMIT", **first)["msg"] == "Duplicate order sent."
    signed(on, "DELETE", "order", symbol="BTCUSDT", origClientOrderId="same")
    assert order(on, "BUY", "LIMIT", **first)["orderId"] == 2
    found = signed(on, "GET", "order", symbol="BTCUSDT", origClientOrderId="same")
    assert (found["orderId"], found["status"]) == (2, "NEW")


@pytest.mark.parametrize(
    "form",
    [
        {"side": "BUY", "kind": "MARKET", "quantity": "101"},
        {"side": "BUY", "kind": "LIMIT", "quantity": "101", "price": "99.99", **GTC},
        {"side": "SELL", "kind": "MARKET", "quantity": "1"},
    ],
)
def test_what_cannot_be_paid_is_refused(form: dict[str, str]) -> None:
    """-2010 with the exchange's words, and nothing is held or listed."""
    on = exchange(RISING)
    answer = order(on, form.pop("side"), form.pop("kind"), **form)
    assert answer["code"] == -2010
    assert answer["msg"] == "Account has insufficient balance for requested action."
    assert signed(on, "GET", "allOrders", symbol="BTCUSDT") == []


def test_events_of_a_long_step_happen_in_their_order() -> None:
    """A buy limit fills in hour 0, and its base then pays for nothing placed earlier."""
    on = exchange(RISING, FREE)
    order(on, "BUY", "LIMIT", price="99.00", quantity="1", **GTC)
    order(on, "BUY", "STOP_LOSS", stopPrice="103.50", quantity="1")
    order(on, "BUY", "STOP_LOSS", stopPrice="109.50", quantity="1")
    step(on, 4)
    trades = signed(on, "GET", "myTrades", symbol="BTCUSDT")
    assert [t["orderId"] for t in trades] == [1, 2, 3]
    assert [t["time"] for t in trades] == sorted(t["time"] for t in trades)


def test_one_long_step_and_many_short_ones_give_the_same_trades() -> None:
    """The outcome does not depend on how often anybody looked."""

    def run(hours: float, times: int) -> list[dict]:
        on = exchange(RISING)
        order(on, "BUY", "LIMIT", price="99.00", quantity="1", **GTC)
        order(on, "BUY", "STOP_LOSS_LIMIT", stopPrice="105.00", price="106.00", quantity="1", **GTC)
        for _ in range(times):
            step(on, hours)
        return signed(on, "GET", "myTrades", symbol="BTCUSDT")

    assert run(4, 1) == run(1 / 60, 240)


def test_a_stop_that_nobody_can_pay_any_more_expires() -> None:
    """The market leapt above what was held for a buy stop: it ends, the money is free."""
    on = exchange(RISING, Options(cash=D("110.60"), terms=terms_of(Costs(0, 0, 0))))
    order(on, "BUY", "STOP_LOSS", stopPrice="110.50", quantity="1")
    step(on, 4)
    assert on.records.orders("BTCUSDT")[0].status is Status.EXPIRED
    assert balances(on)["USDT"] == (D("110.60"), D(0))


def test_total_of_the_account_is_what_its_trades_say() -> None:
    """Balances equal the start plus the sum of trades minus fees, to the last digit."""
    on = exchange(RISING, Options(terms=terms_of(Costs(0.00075, 0.0002, 0.000333))))
    for quantity in ("0.12345", "1.00001", "0.33333"):
        order(on, "BUY", "MARKET", quantity=quantity)
        order(on, "SELL", "LIMIT", price="103.33", quantity="0.11111", **GTC)
        step(on, 0.7)
    quote, base = D(10_000), D(0)
    for t in signed(on, "GET", "myTrades", symbol="BTCUSDT"):
        sign = 1 if t["isBuyer"] else -1
        assert D(t["price"]) * D(t["qty"]) == D(t["quoteQty"])
        quote -= sign * D(t["quoteQty"])
        base += sign * D(t["qty"])
        fee = D(t["commission"])
        base, quote = (base - fee, quote) if t["isBuyer"] else (base, quote - fee)
    shown = {b["asset"]: b for b in signed(on, "GET", "account")["balances"]}
    assert D(shown["USDT"]["free"]) + D(shown["USDT"]["locked"]) == quote
    assert D(shown["BTC"]["free"]) + D(shown["BTC"]["locked"]) == base


def test_stop_that_a_thin_book_makes_too_dear_expires() -> None:
    """All money is held at the stop's price; the book asks more: nothing fills, all comes back."""
    thin = Options(terms=terms_of(Costs(0, 0, 0)), depth=Depth(seed=4, level_quote=30.0))
    on = exchange(RISING, thin)
    asked = order(on, "BUY", "STOP_LOSS", quantity="97.08737", stopPrice="103")
    step(on, 1.5)
    assert status(on, asked["orderId"]) == "EXPIRED"
    assert balances(on)["USDT"] == (D(10_000), D(0))
