"""Time vectorbt and backtesting.py; runs in their environment, without THUNES.

Run as `.venv-peers/bin/python tests/benchmarks/peer_speed.py FOLDER`: reads `INTERVAL.npz` and
`tasks.json`, writes `peers.json`. Add here: another code to time. Keep out: ratios.
"""

from __future__ import annotations

import json
import resource
import sys
import time
import warnings
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

FREQUENCIES = {"1h": "1h", "1m": "1min"}


def timed(function: Any) -> tuple[float, float]:
    """Return the seconds that `function` takes, by the clock and of the processor."""
    wall, cpu = time.perf_counter(), time.process_time()
    function()
    return time.perf_counter() - wall, time.process_time() - cpu


def best_of(rounds: int, function: Any) -> tuple[float, float]:
    """Return the least seconds of `rounds` calls, by the clock and of the processor."""
    found = [timed(function) for _ in range(rounds)]
    return min(wall for wall, _ in found), min(cpu for _, cpu in found)


def frame(folder: Path, interval: str) -> pd.DataFrame:
    """Return the bars with an index without a time zone: with one vectorbt is 100 times slower."""
    arrays = np.load(folder / f"{interval}.npz")
    index = pd.date_range(
        "2023-01-01", periods=len(arrays["close"]), freq=interval.replace("m", "min")
    )
    return pd.DataFrame({n: arrays[n] for n in ("open", "high", "low", "close")}, index=index)


def vectorbt_run(
    bars: pd.DataFrame, task: dict[str, Any], combos: list[tuple[int, int]], freq: str
):
    """Run SMA crossovers and measure what THUNES measures too; return the metrics."""
    import vectorbt as vbt
    from vectorbt.portfolio.enums import StopEntryPrice, StopExitPrice

    fast = vbt.MA.run(bars["close"], [f for f, _ in combos], short_name="fast")
    slow = vbt.MA.run(bars["close"], [s for _, s in combos], short_name="slow")
    means = (line.ma.to_numpy().reshape(len(bars), -1) for line in (fast, slow))
    above = np.greater(*means)
    wanted = np.vstack([np.zeros((1, above.shape[1]), bool), above[:-1]])
    before = np.vstack([np.zeros((1, above.shape[1]), bool), wanted[:-1]])
    held = vbt.Portfolio.from_signals(
        bars["close"],
        entries=pd.DataFrame(wanted & ~before, index=bars.index),
        exits=pd.DataFrame(before & ~wanted, index=bars.index),
        price=bars["open"],
        open=bars["open"],
        high=bars["high"],
        low=bars["low"],
        fees=task["fee"],
        slippage=task["slippage"],
        init_cash=10_000,
        sl_stop=task["trail"],
        sl_trail=True,
        stop_entry_price=StopEntryPrice.FillPrice,
        stop_exit_price=StopExitPrice.StopMarket,
        freq=freq,
    )
    trades = held.trades
    return [
        held.total_return(),
        held.annualized_return(),
        held.sharpe_ratio(),
        held.sortino_ratio(),
        held.max_drawdown(),
        held.calmar_ratio(),
        trades.win_rate(),
        trades.profit_factor(),
        trades.count(),
        trades.records,
    ]


def backtesting_run(bars: pd.DataFrame, task: dict[str, Any]) -> Any:
    """Run one SMA crossover with a stop in backtesting.py."""
    from backtesting import Backtest, Strategy
    from backtesting.lib import crossover

    def mean(values: Any, span: int) -> Any:
        return pd.Series(values).rolling(span).mean()

    class Cross(Strategy):
        def init(self) -> None:
            self.fast = self.I(mean, self.data.Close, task["single"]["fast"])
            self.slow = self.I(mean, self.data.Close, task["single"]["slow"])

        def next(self) -> None:
            if crossover(self.fast, self.slow):
                self.buy(sl=self.data.Close[-1] * (1 - task["stop"]))
            elif crossover(self.slow, self.fast):
                self.position.close()

    named = bars.rename(columns=str.capitalize).assign(Volume=1.0)
    return Backtest(named, Cross, cash=1e9, commission=task["fee"]).run()


def times(folder: Path, interval: str, freq: str, task: dict[str, Any]) -> dict[str, float]:
    """Return seconds of runs and combinations a second of a sweep on one interval.

    Each by the clock and of the processor.
    """
    bars = frame(folder, interval)
    one = [(task["single"]["fast"], task["single"]["slow"])]
    combos = list(product(*task["grids"][interval].values()))
    vectorbt_run(bars, task, one, freq)
    single, single_cpu = best_of(15, lambda: vectorbt_run(bars, task, one, freq))
    vectorbt_run(bars, task, combos, freq)
    sweep, sweep_cpu = best_of(2, lambda: vectorbt_run(bars, task, combos, freq))
    found = {
        "single": single,
        "single_cpu": single_cpu,
        "sweep": len(combos) / sweep,
        "sweep_cpu": len(combos) / sweep_cpu,
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }
    if interval == "1h":
        backtesting_run(bars, task)
        found["backtesting"], _ = best_of(3, lambda: backtesting_run(bars, task))
    return found


def main(folder: Path) -> None:
    """Time everything and write `peers.json`."""
    warnings.simplefilter("ignore")
    task = json.loads((folder / "tasks.json").read_text())
    bars, one = frame(folder, "1h"), [(task["single"]["fast"], task["single"]["slow"])]
    first, _ = timed(lambda: vectorbt_run(bars, task, one, FREQUENCIES["1h"]))
    found = {interval: times(folder, interval, f, task) for interval, f in FREQUENCIES.items()}
    found["1h"]["first"] = first  # of this process: imports, loading of compiled code
    (folder / "peers.json").write_text(json.dumps(found))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
