"""Whatever is ordered, cancelled, halted and waited for: the account's figures add up."""

from __future__ import annotations

from collections import Counter
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.thunes_core.testnet.calls import order, signed
from tests.thunes_core.testnet.markets import Ohlc, exchange, step
from thunes_core.domain.limits import Costs
from thunes_core.testnet.liquidity import Depth
from thunes_core.testnet.matching import Exchange
from thunes_core.testnet.options import Options
from thunes_core.testnet.orders import Status
from thunes_core.testnet.settlement import FeeAsset, terms_of

D = Decimal
MINE = {"symbol": "BTCUSDT"}
START = {"BTC": D(3), "USDT": D(1_000), "BNB": D("0.01")}
ROWS: list[Ohlc] = [
    (100.0, 104.0, 97.0, 103.0),
    (103.0, 111.0, 102.0, 109.0),
    (112.0, 113.0, 101.0, 102.0),
    (99.0, 100.0, 88.0, 90.0),
    (90.0, 103.0, 89.0, 101.0),
] * 4
PRICE = st.decimals(80, 125, places=2).map(str)
QUANTITY = st.decimals("0.05", "4", places=5).map(str)
SIDE = st.sampled_from(["BUY", "SELL"])
TIF = st.sampled_from(["GTC", "IOC", "FOK"])


def form(**fields: Any) -> st.SearchStrategy[tuple[str, dict[str, Any]]]:
    """Return a strategy of a request: what to do, with which parameters."""
    kind = fields.pop("do")
    drawn = {k: v if isinstance(v, st.SearchStrategy) else st.just(v) for k, v in fields.items()}
    return st.tuples(st.just(kind), st.fixed_dictionaries(drawn))


SELL_PAIR = {
    "aboveType": "LIMIT_MAKER",
    "abovePrice": PRICE,
    "belowType": st.sampled_from(["STOP_LOSS"]),
    "belowStopPrice": PRICE,
}
WORKING = {
    "workingType": "LIMIT",
    "workingSide": "BUY",
    "workingPrice": PRICE,
    "workingQuantity": QUANTITY,
    "workingTimeInForce": TIF,
    "pendingSide": "SELL",
    "pendingAboveType": "LIMIT_MAKER",
    "pendingAbovePrice": PRICE,
    "pendingBelowType": "STOP_LOSS",
    "pendingBelowStopPrice": PRICE,
}
ACTIONS = st.one_of(
    form(do="order", type="MARKET", side=SIDE, quantity=QUANTITY),
    form(do="order", type="MARKET", side=SIDE, quoteOrderQty=PRICE),
    form(do="order", type="LIMIT", side=SIDE, quantity=QUANTITY, price=PRICE, timeInForce=TIF),
    form(do="order", type="LIMIT_MAKER", side=SIDE, quantity=QUANTITY, price=PRICE),
    form(do="order", type="STOP_LOSS", side=SIDE, quantity=QUANTITY, stopPrice=PRICE),
    form(do="order", type="TAKE_PROFIT", side=SIDE, quantity=QUANTITY, stopPrice=PRICE),
    form(
        do="order", type="STOP_LOSS", side=SIDE, quantity=QUANTITY,
        trailingDelta=st.integers(10, 900),
    ),
    form(
        do="order", type="STOP_LOSS_LIMIT", side=SIDE, quantity=QUANTITY, price=PRICE,
        stopPrice=PRICE, timeInForce=TIF,
    ),
    form(do="orderList/oco", side="SELL", quantity=QUANTITY, **SELL_PAIR),
    form(do="orderList/otoco", pendingQuantity=QUANTITY, **WORKING),
    form(do="orderList/opoco", **WORKING),
    form(do="cancel", orderId=st.integers(1, 12)),
    form(do="step", hours=st.floats(0.01, 3)),
    form(do="status", status=st.sampled_from(["HALT", "TRADING"])),
)  # fmt: skip


def act(on: Exchange, kind: str, fields: dict[str, Any]) -> None:
    """Do one thing; refusals are fine."""
    if kind == "step":
        step(on, fields["hours"])
    elif kind == "status":
        on.set_status("BTCUSDT", fields["status"])
    elif kind == "cancel":
        signed(on, "DELETE", "order", **MINE, **fields)
    elif kind == "order":
        order(
            on,
            fields["side"],
            fields["type"],
            **{k: v for k, v in fields.items() if k not in ("side", "type")},
        )
    else:
        signed(on, "POST", kind, **MINE, **fields)


def require_consistent(on: Exchange) -> None:
    """Fail unless balances, holds, orders, lists and trades tell one story."""
    held: Counter[str] = Counter()
    totals = dict(START)
    for one in on.records.orders("BTCUSDT"):
        held[one.held_asset] += one.held  # type: ignore[assignment]
        assert one.is_open or one.held == 0
        assert one.executed == sum(t.quantity for t in one.trades) <= one.quantity
        assert (one.status is Status.FILLED) == (one.executed == one.quantity > 0)
        assert one.quote == sum(t.quote for t in one.trades)
    for trade in on.records.trades("BTCUSDT"):
        sign = 1 if trade.is_buyer else -1
        totals["BTC"] += sign * trade.quantity
        totals["USDT"] -= sign * trade.quote
        totals[trade.fee_asset] -= trade.fee
        assert trade.quote == trade.price * trade.quantity
    for asset, total in totals.items():
        assert on.wallet.total(asset) == total
        assert on.wallet.free(asset) >= 0
        assert on.wallet.held(asset) == held[asset]
    for made in on.lists.all():
        acted = [leg for leg in made.legs if leg.executed]
        assert len(acted) <= 1 or len(made.legs) == 1
        if made.working is not None and made.working.status is not Status.FILLED:
            assert not acted
    times = [t.time_ms for t in on.records.trades("BTCUSDT")]
    assert times == sorted(times)


@pytest.mark.parametrize("fee_asset", list(FeeAsset))
@pytest.mark.parametrize("depth", [None, Depth(seed=4, level_quote=30.0)])
@settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
@given(actions=st.lists(ACTIONS, min_size=3, max_size=25))
def test_the_account_adds_up_after_anything(
    fee_asset: FeeAsset, depth: Depth | None, actions: list[tuple[str, dict[str, Any]]]
) -> None:
    """To the last digit: totals are the start plus trades, holds are those of open orders."""
    terms = terms_of(Costs(0.001, 0.0007, 0.0005), fee_asset)
    on = exchange(ROWS, Options(balances=START, terms=terms, depth=depth))
    for kind, fields in actions:
        act(on, kind, fields)
        require_consistent(on)
    step(on, 3)
    require_consistent(on)
    past = on.records.as_of(on.present_ms)
    assert [o.status for o in past.orders("BTCUSDT")] == [
        o.status for o in on.records.orders("BTCUSDT")
    ]
    assert past.trades("BTCUSDT") == on.records.trades("BTCUSDT")
