"""An exchange with one of everything that the published examples speak of, and requests for it."""

from __future__ import annotations

from typing import Any

import polars as pl

from tests.thunes_core.testnet.calls import order, signed
from tests.thunes_core.testnet.markets import RISING, START_MS, ZERO_HOUR, bars
from thunes_core.testnet.clock import SteppedClock
from thunes_core.testnet.market import replayed_market
from thunes_core.testnet.matching import Exchange
from thunes_core.testnet.options import Options

MINE = {"symbol": "BTCUSDT"}
LIMIT = {**MINE, "side": "SELL", "type": "LIMIT", "timeInForce": "GTC", "quantity": "0.3"}
RESTING = {**LIMIT, "price": "150.00"}
TAKING = {**MINE, "side": "BUY", "type": "MARKET", "quantity": "0.1"}
MAKER = {**MINE, "side": "BUY", "type": "LIMIT_MAKER", "quantity": "0.3", "price": "120.00"}
OCO = {
    **MINE,
    "side": "SELL",
    "quantity": "0.2",
    "aboveType": "LIMIT_MAKER",
    "abovePrice": "150.00",
    "belowType": "STOP_LOSS_LIMIT",
    "belowStopPrice": "90.00",
    "belowPrice": "89.00",
    "belowTimeInForce": "GTC",
}
OLD_OCO = {
    **MINE,
    "side": "SELL",
    "quantity": "0.2",
    "price": "150.00",
    "stopPrice": "90.00",
    "stopLimitPrice": "89.00",
    "stopLimitTimeInForce": "GTC",
}
WORKING = {
    **MINE,
    "workingType": "LIMIT",
    "workingSide": "BUY",
    "workingPrice": "99.00",
    "workingQuantity": "1",
    "workingTimeInForce": "GTC",
}
PENDING = {"pendingType": "MARKET", "pendingSide": "SELL"}
PAIR = {
    "pendingSide": "SELL",
    "pendingAboveType": "LIMIT_MAKER",
    "pendingAbovePrice": "109.00",
    "pendingBelowType": "STOP_LOSS",
    "pendingBelowStopPrice": "95.00",
}
PAIR_OF_LIMITS = {
    **PAIR,
    "pendingBelowType": "STOP_LOSS_LIMIT",
    "pendingBelowPrice": "94.00",
    "pendingBelowTimeInForce": "GTC",
}
SIZED = {"pendingQuantity": "0.5"}
FILTERS = {
    "exchange_filters": ({"filterType": "EXCHANGE_MAX_NUM_ORDERS", "maxNumOrders": 1000},),
    "asset_filters": ({"filterType": "MAX_ASSET", "asset": "USDT", "limit": "1000000.00000000"},),
}


def replace(old: dict[str, Any], **more: Any) -> dict[str, Any]:
    """Return a request that replaces an order."""
    return {**old, "cancelReplaceMode": "STOP_ON_FAILURE", **more}


def two_markets(**options: Any) -> Exchange:
    """Return an exchange of BTCUSDT and of BTCUSDC a little cheaper, with exchange filters."""
    cheap = bars([tuple(p - 1 for p in row) for row in RISING], "BTCUSDC")
    on = replayed_market([bars(RISING), cheap], start=ZERO_HOUR)
    return Exchange(on, SteppedClock(START_MS), Options(**{**FILTERS, **options}))


def prepared(**options: Any) -> Exchange:
    """Return an exchange with one of everything.

    Orders: 1 a fill, 2 and 3 resting, 4 and 5 an OCO (list 0), 6 and 7 an OTO (list 1), whose
    pending order was amended; 8 and 9 a prevented match, 10 routed.
    """
    on = two_markets(**options)
    order(on, "BUY", "MARKET", quantity="5")
    order(on, "SELL", "LIMIT", price="140.00", quantity="0.5", timeInForce="GTC")
    order(on, "SELL", "LIMIT", price="141.00", quantity="0.5", timeInForce="GTC")
    signed(on, "POST", "orderList/oco", **OCO)
    signed(on, "POST", "orderList/oto", **WORKING, **PENDING, **SIZED)
    signed(on, "PUT", "order/amend/keepPriority", **MINE, orderId=7, newQty="0.4")
    order(on, "SELL", "LIMIT", price="100.01", quantity="0.1", timeInForce="GTC")
    order(on, "BUY", "MARKET", quantity="0.1", selfTradePreventionMode="EXPIRE_MAKER")
    routed = {**RESTING, "price": "110.00", "side": "BUY"}
    signed(on, "POST", "sor/order", **routed)
    return on


def frame_of_rising() -> pl.DataFrame:
    """Return the candles of the market."""
    return bars(RISING)
