"""Let the others answer: run in their environment, where THUNES is not installed.

Run as `.venv-peers/bin/python tests/peers/run_peers.py FOLDER`: reads `inputs.json`, writes
`answers.json`. Add here: another code to ask. Keep out: judging the answers.
"""

from __future__ import annotations

import json
import math
import sys
import warnings
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

CASH = 1_000_000.0
UNITS = 1000
PACKAGES = ("backtesting", "vectorbt", "quantstats", "empyrical-reloaded", "skfolio")


def frame(case: dict[str, Any]) -> pd.DataFrame:
    """Return the bars of a case, hourly from 2023 on, named as backtesting.py wants them."""
    index = pd.date_range("2023-01-01", periods=len(case["close"]), freq="h")
    columns = {name.capitalize(): case[name] for name in ("open", "high", "low", "close")}
    return pd.DataFrame({**columns, "Volume": 1.0}, index=index)


def ask_backtesting(case: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the trades of backtesting.py: 1000 units each, orders at the next open.

    Stop and target of an order are relative to its fill, so the next open is looked up for them.
    """
    from backtesting import Backtest, Strategy

    exits, wanted, opens = case["exits"], case["target"], case["open"]

    class Follow(Strategy):
        def init(self) -> None:
            pass

        def next(self) -> None:
            bar = len(self.data) - 1
            if wanted[bar] > wanted[bar - 1] and bar + 1 < len(opens):
                fill = opens[bar + 1]
                stop = fill * (1 - exits["stop_loss"]) if "stop_loss" in exits else None
                goal = fill * (1 + exits["take_profit"]) if "take_profit" in exits else None
                self.buy(size=UNITS, sl=stop, tp=goal)
            elif wanted[bar] < wanted[bar - 1]:
                self.position.close()

    found = Backtest(frame(case), Follow, cash=CASH, commission=exits.get("fee", 0.0)).run()
    return [
        {
            "entry_bar": int(t.EntryBar),
            "exit_bar": int(t.ExitBar),
            "bought": float(t.EntryPrice),
            "sold": float(t.ExitPrice),
            "pnl_per_unit": float(t.PnL) / UNITS,
        }
        for t in found["_trades"].itertuples()
    ]


def ask_vectorbt(case: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the trades of vectorbt: all cash, signals one bar after the decision, at the open."""
    import vectorbt as vbt
    from vectorbt.portfolio.enums import StopEntryPrice, StopExitPrice

    exits, bars = case["exits"], frame(case)
    wanted = pd.Series(case["target"], index=bars.index).shift(1, fill_value=0.0)
    before = wanted.shift(1, fill_value=0.0)
    trail = exits.get("trailing_stop")
    held = vbt.Portfolio.from_signals(
        bars["Close"],
        entries=wanted > before,
        exits=wanted < before,
        price=bars["Open"],
        open=bars["Open"],
        high=bars["High"],
        low=bars["Low"],
        fees=exits.get("fee", 0.0),
        slippage=exits.get("slippage", 0.0),
        init_cash=CASH,
        sl_stop=trail or exits.get("stop_loss", math.nan),
        sl_trail=trail is not None,
        tp_stop=exits.get("take_profit", math.nan),
        stop_entry_price=StopEntryPrice.FillPrice,
        stop_exit_price=StopExitPrice.StopMarket,
        freq="1h",
    )
    records = held.trades.records
    return [
        {
            "entry_bar": int(t.entry_idx),
            "exit_bar": int(t.exit_idx),
            "bought": float(t.entry_price),
            "sold": float(t.exit_price),
            "quantity": float(t.size),
            "pnl": float(t.pnl),
        }
        for t in records[records["status"] == 1].itertuples()
    ]


def ask_metrics(returns: list[float]) -> dict[str, dict[str, float]]:
    """Return what quantstats and empyrical say of daily returns, 365 days a year."""
    import empyrical as ep
    import quantstats.stats as qs

    series = pd.Series(returns, index=pd.date_range("2023-01-01", periods=len(returns), freq="D"))
    year = {"annualization": 365}
    return {
        "empyrical": {
            "total_return": float(ep.cum_returns_final(series)),
            "cagr": float(ep.annual_return(series, **year)),
            "sharpe": float(ep.sharpe_ratio(series, **year)),
            "sortino": float(ep.sortino_ratio(series, **year)),
            "max_drawdown": float(ep.max_drawdown(series)),
            "calmar": float(ep.calmar_ratio(series, **year)),
            "volatility": float(ep.annual_volatility(series, **year)),
        },
        "quantstats": {
            "total_return": float(qs.comp(series)),
            "cagr": float(qs.cagr(series, periods=365)),
            "sharpe": float(qs.sharpe(series, periods=365)),
            "sortino": float(qs.sortino(series, periods=365)),
            "max_drawdown": float(qs.max_drawdown(series)),
            "volatility": float(qs.volatility(series, periods=365)),
            "psr": float(qs.probabilistic_sharpe_ratio(series, annualize=False)),
        },
    }


def ask_walk_forward(span: dict[str, Any]) -> list[list[list[int]]]:
    """Return (first, last) rows of train and test of skfolio's walk-forward."""
    from skfolio.model_selection import WalkForward

    cut = WalkForward(
        test_size=span["test"],
        train_size=span["train"],
        purged_size=span["purge"],
        expand_train=span["anchored"],
    )
    rows = np.zeros((span["bars"], 1))
    return [
        [[int(train[0]), int(train[-1])], [int(test[0]), int(test[-1])]]
        for train, test in cut.split(rows)
    ]


def ask_combinatorial(span: dict[str, Any]) -> list[list[list[int]]]:
    """Return the training and the test rows of skfolio's combinatorial purged splits."""
    from skfolio.model_selection import CombinatorialPurgedCV

    cut = CombinatorialPurgedCV(
        n_folds=span["groups"],
        n_test_folds=span["tested"],
        purged_size=span["purge"],
        embargo_size=span["embargo"],
    )
    rows = np.zeros((span["bars"], 1))
    return [[train.tolist(), np.concatenate(tests).tolist()] for train, tests in cut.split(rows)]


def ask_goog() -> list[dict[str, Any]]:
    """Return backtesting.py's own SMA 10/30 cross on its GOOG bars, with and without fees."""
    from backtesting import Backtest, Strategy
    from backtesting.lib import crossover
    from backtesting.test import GOOG, SMA

    class Cross(Strategy):
        def init(self) -> None:
            self.fast = self.I(SMA, self.data.Close, 10)
            self.slow = self.I(SMA, self.data.Close, 30)

        def next(self) -> None:
            if crossover(self.fast, self.slow):
                self.buy()
            elif crossover(self.slow, self.fast):
                self.position.close()

    columns = {name.lower(): GOOG[name].tolist() for name in ("Open", "High", "Low", "Close")}
    days = [int(day.timestamp() * 1000) for day in GOOG.index]
    answers = []
    for fee in (0.0, 0.001):
        found = Backtest(GOOG, Cross, cash=10_000, commission=fee, finalize_trades=True).run()
        answers.append(
            {
                "fee": fee,
                "trades": int(found["# Trades"]),
                "final": float(found["Equity Final [$]"]),
                "max_drawdown": float(found["Max. Drawdown [%]"]) / 100,
            }
        )
    return [{"time_ms": days, **columns}, *answers]


def main(folder: Path) -> None:
    """Read `inputs.json`, ask everyone, write `answers.json`."""
    warnings.simplefilter("ignore")
    asked = json.loads((folder / "inputs.json").read_text())
    answers = {
        "versions": {name: version(name) for name in PACKAGES},
        "backtesting": [
            None if {"slippage", "trailing_stop"} & set(case["exits"]) else ask_backtesting(case)
            for case in asked["cases"]
        ],
        "vectorbt": [ask_vectorbt(case) for case in asked["cases"]],
        "metrics": {name: ask_metrics(values) for name, values in asked["returns"].items()},
        "walk_forward": [ask_walk_forward(span) for span in asked["splits"]["walk_forward"]],
        "combinatorial": [ask_combinatorial(span) for span in asked["splits"]["combinatorial"]],
        "goog": ask_goog(),
    }
    (folder / "answers.json").write_text(json.dumps(answers))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
