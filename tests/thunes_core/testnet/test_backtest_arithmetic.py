"""Trading a backtest's decisions on the testnet gives the backtest's figures."""

from __future__ import annotations

from decimal import Decimal

import numpy as np
import pytest

from tests.shared_data import shared
from tests.thunes_core.testnet.calls import order, signed
from thunes_core.backtest.simulate import backtest
from thunes_core.clock import to_millis
from thunes_core.domain.limits import Costs, LotRules, Protection
from thunes_core.testnet.candles import read_candles
from thunes_core.testnet.clock import SteppedClock
from thunes_core.testnet.market import replayed_market
from thunes_core.testnet.matching import Exchange
from thunes_core.testnet.options import Options
from thunes_core.testnet.settlement import FeeAsset, terms_of

COSTS = Costs(taker_fee=0.001, maker_fee=0.0008, slippage=0.0005)
BARS = "data/bars/binance_spot__BTCUSDT__1h__finom__to2025H1.parquet"


def close_to(left: object, right: object) -> bool:
    """True when two figures differ by less than a billionth."""
    return float(left) == pytest.approx(float(right), rel=1e-9)  # type: ignore[arg-type]


def test_market_orders_at_the_open_reproduce_the_backtest() -> None:
    """Two months of real hours: every entry and exit price, and the final cash."""
    bars = read_candles(shared(BARS)).tail(1500)
    close = bars["close"].to_numpy()
    means = [np.convolve(close, np.ones(n) / n)[: len(close)] for n in (12, 48)]
    target = (means[0] > means[1]).astype(float)
    target[:48] = 0
    lots = LotRules(step_size=0.00001, min_quantity=0.00001, min_notional=5.0)
    expected = backtest(bars, target, cash=10_000.0, costs=COSTS, lots=lots)
    closed = expected.trades.filter(expected.trades["reason"] != "open")
    on = Exchange(
        replayed_market([bars], start=bars["open_time"][0]),
        SteppedClock(to_millis(bars["open_time"][0])),
        Options(terms=terms_of(COSTS, FeeAsset.QUOTE)),
    )
    for trade in closed.iter_rows(named=True):
        quantity = f"{trade['quantity']:.5f}"
        for side, when in (("BUY", "entry"), ("SELL", "exit")):
            on.clock.move_to(to_millis(trade[f"{when}_time"]))
            fill = order(on, side, "MARKET", quantity=quantity)["fills"][0]
            assert close_to(fill["price"], trade[f"{when}_price"])
    assert len(closed) > 15
    assert close_to(on.wallet.free("USDT"), 10_000 + closed["pnl"].sum())
    assert on.wallet.free("BTC") == 0


def test_resting_protection_fills_where_the_backtest_says() -> None:
    """Stops and targets of the backtest, resting at the exchange as OCO from the entry on."""
    bars = read_candles(shared(BARS)).tail(900)
    target = np.ones(len(bars))
    target[::40] = 0.0
    protection = Protection(stop_loss=0.012, take_profit=0.015)
    expected = backtest(bars, target, cash=10_000.0, costs=COSTS, protection=protection)
    on = Exchange(
        replayed_market([bars], start=bars["open_time"][0]),
        SteppedClock(to_millis(bars["open_time"][0])),
        Options(terms=terms_of(COSTS, FeeAsset.QUOTE)),
    )
    on.market.listing("BTCUSDT").filters.pop("PRICE_FILTER")
    seen = {"stop_loss": 0, "take_profit": 0}
    for trade in expected.trades.iter_rows(named=True):
        if trade["reason"] not in seen:
            continue
        on.clock.move_to(to_millis(trade["entry_time"]))
        on.advance()
        fill = order(on, "BUY", "MARKET", quantity="0.01")["fills"][0]
        entry = Decimal(fill["price"])
        form = {
            "aboveType": "LIMIT_MAKER",
            "abovePrice": f"{entry * Decimal('1.015'):.8f}",
            "belowType": "STOP_LOSS",
            "belowStopPrice": f"{entry * Decimal('0.988'):.8f}",
        }
        signed(on, "POST", "orderList/oco", symbol="BTCUSDT", side="SELL", quantity="0.01", **form)
        on.clock.move_to(to_millis(trade["exit_time"]))
        on.advance()
        sold = on.records.trades("BTCUSDT")[-1]
        assert close_to(entry, trade["entry_price"])
        assert close_to(sold.price, trade["exit_price"])
        assert sold.is_maker is (trade["reason"] == "take_profit")
        seen[trade["reason"]] += 1
    assert min(seen.values()) > 3
