"""Books of finite depth: partial fills, seeded."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from tests.thunes_core.testnet.calls import get, order, signed
from tests.thunes_core.testnet.markets import RISING, exchange, step
from thunes_core.domain.limits import Costs
from thunes_core.testnet.liquidity import Depth
from thunes_core.testnet.matching import Exchange
from thunes_core.testnet.options import Options
from thunes_core.testnet.settlement import terms_of

D = Decimal
MINE = {"symbol": "BTCUSDT"}
GTC = {"timeInForce": "GTC"}


def thin(seed: int = 1, level_quote: float = 100.0) -> Exchange:
    """Return an exchange whose book holds about 2,000 USDT a side."""
    depth = Depth(seed=seed, level_quote=level_quote)
    return exchange(RISING, Options(cash=D(100_000), terms=terms_of(Costs(0, 0, 0)), depth=depth))


def test_market_order_walks_the_book() -> None:
    """Several fills at worsening prices, exactly the levels that depth shows."""
    on = thin()
    asks = get(on, "depth", **MINE)["asks"]
    placed = order(on, "BUY", "MARKET", quantity="5")
    prices = [D(f["price"]) for f in placed["fills"]]
    assert len(prices) > 2
    assert prices == sorted(set(prices))
    assert [f["price"] for f in placed["fills"]] == [a[0] for a in asks[: len(prices)]]
    assert sum(D(f["qty"]) for f in placed["fills"]) == 5


def test_market_order_beyond_the_book_expires_in_its_rest() -> None:
    """Partly executed, the status says EXPIRED."""
    placed = order(thin(), "BUY", "MARKET", quantity="100")
    assert placed["status"] == "EXPIRED"
    assert 0 < D(placed["executedQty"]) < 100


@pytest.mark.parametrize(("tif", "executes"), [("IOC", True), ("FOK", False)])
def test_impatient_limits_take_what_there_is_or_nothing(tif: str, executes: bool) -> None:
    """IOC takes a part and expires, FOK takes nothing."""
    form = {"price": "100.10", "quantity": "50", "timeInForce": tif}
    placed = order(thin(), "BUY", "LIMIT", **form)
    assert placed["status"] == "EXPIRED"
    assert (D(placed["executedQty"]) > 0) is executes


def test_resting_order_fills_in_parts() -> None:
    """A limit that the price goes through fills over some seconds and several trades."""
    seen = set()
    for seed in range(6):
        on = thin(seed)
        order(on, "BUY", "LIMIT", price="99.00", quantity="10", **GTC)
        step(on, 0.5)
        trades = signed(on, "GET", "myTrades", **MINE)
        assert {t["price"] for t in trades} == {"99.00000000"}
        assert [t["time"] for t in trades] == sorted(t["time"] for t in trades)
        seen.add(len(trades))
    assert max(seen) > 2


def test_a_partly_filled_order_shows_it_and_holds_only_the_rest() -> None:
    """PARTIALLY_FILLED in between; held is price × what remains."""
    on = thin(3)
    order(on, "BUY", "LIMIT", price="99.00", quantity="10", **GTC)
    shown: Any = {}
    for _ in range(3600):
        step(on, 1 / 3600)
        shown = signed(on, "GET", "order", **MINE, orderId=1)
        if shown["status"] != "NEW":
            break
    assert shown["status"] == "PARTIALLY_FILLED"
    assert on.wallet.held("USDT") == 99 * (10 - D(shown["executedQty"]))
    signed(on, "DELETE", "order", **MINE, orderId=1)
    assert on.wallet.held("USDT") == 0


def test_a_partly_filled_leg_ends_its_sibling() -> None:
    """The first part of the limit leg expires the stop, the rest stays held by the limit."""
    on = thin(1)
    on.wallet.add("BTC", D(10))
    signed(
        on, "POST", "orderList/oco", **MINE, side="SELL", quantity="10",
        aboveType="LIMIT_MAKER", abovePrice="101.00", belowType="STOP_LOSS", belowStopPrice="90.00",
    )  # fmt: skip
    for _ in range(3600):
        step(on, 1 / 3600)
        shown = signed(on, "GET", "allOrders", **MINE)
        if shown[0]["status"] != "NEW":
            break
    assert [o["status"] for o in shown] == ["PARTIALLY_FILLED", "EXPIRED"]
    assert on.wallet.held("BTC") == 10 - D(shown[0]["executedQty"])


def test_one_seed_gives_one_history() -> None:
    """The same seed twice gives the same trades, another seed others."""

    def run(seed: int) -> Any:
        on = thin(seed)
        order(on, "BUY", "MARKET", quantity="3")
        order(on, "SELL", "LIMIT", price="103.00", quantity="2", **GTC)
        step(on, 2)
        return signed(on, "GET", "myTrades", **MINE)

    assert run(1) == run(1) != run(2)


def test_balances_add_up_after_partial_fills() -> None:
    """To the last digit, as with whole fills."""
    on = thin(5)
    order(on, "BUY", "LIMIT", price="99.00", quantity="7.77777", **GTC)
    order(on, "BUY", "MARKET", quantity="3.33333")
    step(on, 2)
    quote, base = D(100_000), D(0)
    for t in signed(on, "GET", "myTrades", **MINE):
        quote -= D(t["quoteQty"])
        base += D(t["qty"])
    assert on.wallet.total("USDT") == quote
    assert on.wallet.total("BTC") == base
