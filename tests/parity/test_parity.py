"""The live path on the local testnet gives the orders of the backtest, one for one."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import ClassVar

import numpy as np
import polars as pl
import pytest

from tests.shared_data import shared
from thunes_core.domain.bars import SCHEMA, Interval
from thunes_core.domain.limits import Costs, LimitEntry, Protection
from thunes_core.domain.parameters import IntRange, ParameterSpace
from thunes_core.errors import BarsInvalid, ParametersInvalid, UnknownName
from thunes_core.indicators import seen, slow_bars
from thunes_core.strategies.base import build, register, registered, registry_kept
from thunes_pipelines.cli.inputs import read_bars
from thunes_pipelines.services import parity
from thunes_pipelines.services.parity import SPARE_BARS, ParityCase, run_parity

TICKS = 60
LIVELY = {
    "bollinger_reversion": {"length": 10},
    "donchian_breakout": {"entry": 10, "exit": 5},
    "rsi_reversion": {"length": 3},
    "sma_crossover": {"fast": 5, "slow": 20},
}


def wandering(bars: int, seed: int) -> pl.DataFrame:
    """Return hourly bars of a random walk near 40,000, prices in cents."""
    rng = np.random.default_rng(seed)
    close = np.round(40_000 * np.exp(np.cumsum(rng.normal(0, 0.012, bars))), 2)
    opens = np.append(40_000.0, close[:-1])
    reach = np.abs(rng.normal(0, 0.004, (2, bars)))
    start = datetime(2025, 1, 1, tzinfo=UTC)
    return pl.DataFrame(
        {
            "symbol": ["BTCUSDT"] * bars,
            "interval": ["1h"] * bars,
            "open_time": [start + timedelta(hours=i) for i in range(bars)],
            "open": opens,
            "high": np.round(np.maximum(opens, close) * (1 + reach[0]), 2),
            "low": np.round(np.minimum(opens, close) * (1 - reach[1]), 2),
            "close": close,
            "volume": np.full(bars, 10.0),
            "quote_volume": 10 * close,
            "trades": np.full(bars, 10),
            "taker_buy_base": np.full(bars, 5.0),
            "taker_buy_quote": 5 * close,
        },
        schema=SCHEMA,
    )


def case_of(strategy: str, ticks: int = TICKS, seed: int = 3) -> ParityCase:
    """Return a case with its warm-up and so many ticks."""
    known = {k: v for k, v in LIVELY.get(strategy, {}).items() if has(strategy, k)}
    warmup = build(strategy, known).warmup_bars
    return ParityCase(wandering(warmup + SPARE_BARS + ticks, seed), strategy, known)


def has(strategy: str, name: str) -> bool:
    """True when the strategy has that parameter."""
    return name in registered()[strategy].space.dimensions


@pytest.mark.parametrize("strategy", sorted(registered()))
def test_every_strategy_trades_live_as_it_did_in_the_backtest(strategy):
    """Same holdings after every bar, same trades, same prices."""
    result = run_parity(case_of(strategy))
    assert result.differences == ()
    assert result.ticks == TICKS


@pytest.mark.parametrize(
    ("symbol", "near", "decimals"), [("BTTUSDT", 0.0003, 8), ("ETHBTC", 0.03, 5)]
)
def test_a_price_of_fractions_is_the_same_on_both_paths(symbol, near, decimals):
    """Millions of units are no order too large: the backtest knows no largest one."""
    case = case_of("sma_crossover", ticks=90, seed=12)
    named = ("open", "high", "low", "close")
    prices = [(pl.col(name) * near / 40_000).round(decimals) for name in named]
    cheap = case.bars.with_columns(*prices, symbol=pl.lit(symbol))
    result = run_parity(replace(case, bars=cheap))
    assert result.differences == ()
    assert result.orders > 5


PROTECTIONS = {
    "stop": Protection(stop_loss=0.02),
    "trail": Protection(trailing_stop=0.02, trailing_activation=0.01, stop_loss=0.03),
    "pair": Protection(stop_loss=0.02, take_profit=0.02),
    "all": Protection(0.03, 0.04, 0.02, 0.01, cooldown_minutes=90),
}


@pytest.mark.parametrize("kind", PROTECTIONS)
def test_protection_resting_at_the_exchange_exits_where_the_backtest_does(kind):
    """Same bars, same reasons; prices differ by less than a tick, which the exchange demands."""
    case = replace(case_of("sma_crossover", ticks=90, seed=12), protection=PROTECTIONS[kind])
    result = run_parity(case)
    assert result.differences == ()
    assert result.orders > 10


WAITING = {
    "unprotected": (Protection(), LimitEntry(offset=0.002, timeout_bars=2)),
    "stop": (PROTECTIONS["stop"], LimitEntry(offset=0.005, timeout_bars=3, then_market=True)),
    "trail": (PROTECTIONS["trail"], LimitEntry(offset=0.0, timeout_bars=1)),
    "pair": (PROTECTIONS["pair"], LimitEntry(offset=0.002, timeout_bars=2)),
    "all": (PROTECTIONS["all"], LimitEntry(offset=0.002, timeout_bars=2)),
}


@pytest.mark.parametrize("kind", WAITING)
def test_limit_entries_fill_and_are_protected_where_the_backtest_has_them(kind):
    """They rest with their protection as one list; the same bars fill, stop and end them."""
    protection, entry = WAITING[kind]
    case = replace(case_of("sma_crossover", ticks=90, seed=12), protection=protection, entry=entry)
    result = run_parity(case)
    assert result.differences == ()
    assert result.orders >= 9


@pytest.mark.slow
def test_real_bitcoin_hours_give_the_same_orders_on_both_paths():
    """Some two hundred ticks of real candles, more than ten orders, no difference."""
    path = shared("data/bars/binance_spot__BTCUSDT__1h__finom__to2025H1.parquet")
    start = datetime(2024, 1, 1, tzinfo=UTC)
    bars = read_bars(path, start, start + timedelta(hours=250))
    result = run_parity(ParityCase(bars, "sma_crossover", {"fast": 5, "slow": 20}))
    assert result.differences == ()
    assert result.orders > 10


@pytest.mark.slow
def test_a_trend_of_hours_timed_on_five_minutes_is_the_same_on_both_paths():
    """Real 5m bars; the strategy reads whole 1h bars, each only from its close on."""
    with registry_kept():

        @register
        @dataclass(frozen=True, slots=True)
        class HoursAndMinutes:
            """In while the last closed hour rose and five minutes are above their mean."""

            name: ClassVar[str] = "hours_and_minutes"
            space: ClassVar[ParameterSpace] = ParameterSpace({"length": IntRange(2, 24)})
            length: int = 6

            @property
            def warmup_bars(self) -> int:
                return 12 * 3 + self.length

            def target_exposure(self, bars: pl.DataFrame) -> pl.Series:
                both = seen(bars, slow_bars(bars, Interval.H1))
                rose = pl.col("slow_close") > pl.col("slow_open")
                above = pl.col("close") > pl.col("close").rolling_mean(self.length)
                wanted = both.select(target=(rose & above).fill_null(value=False))
                return wanted["target"].cast(pl.Float64)

        bars = read_bars(shared("data/bars/binance_spot__BTCUSDT__5m__harthor__to2025H1.parquet"))
        case = ParityCase(bars.head(300), "hours_and_minutes", {})
        result = run_parity(case)
    assert result.differences == ()
    assert result.orders > 20


def test_a_difference_is_found_and_named(monkeypatch):
    """A backtest at other costs buys other quantities: holdings and trades are told apart."""
    honest = parity._simulate

    def cheaper(case, first, lots):
        return honest(replace(case, costs=Costs(slippage=0.002)), first, lots)

    monkeypatch.setattr(parity, "_simulate", cheaper)
    result = run_parity(case_of("sma_crossover"))
    kinds = {difference["kind"] for difference in result.differences}
    assert kinds == {"holding", "trade"}


def test_a_missing_trade_is_a_difference(monkeypatch):
    """The live path sent nothing while the backtest traded."""
    honest = parity._walk

    def idle(case, world, net, first, told):
        world.journal.set_trading_state("HALTED", reason="planted", author="test")
        return honest(case, world, net, first, told)

    monkeypatch.setattr(parity, "_walk", idle)
    result = run_parity(case_of("sma_crossover"))
    missing = [d for d in result.differences if d.get("fields") == ["missing"]]
    assert missing
    assert missing[0]["live"] is None
    assert result.orders == 0


def test_too_few_bars_are_bad_input():
    """The message says how many are needed."""
    with pytest.raises(BarsInvalid, match="more than 32 bars for a warm-up of 20; it was 25"):
        run_parity(ParityCase(wandering(25, 1), "sma_crossover", {"fast": 5, "slow": 20}))


def test_an_unknown_strategy_or_parameter_is_bad_input():
    """Nothing is started for it."""
    with pytest.raises(UnknownName):
        run_parity(ParityCase(wandering(50, 1), "nobody", {}))
    with pytest.raises(ParametersInvalid):
        run_parity(ParityCase(wandering(50, 1), "sma_crossover", {"speed": 5}))
