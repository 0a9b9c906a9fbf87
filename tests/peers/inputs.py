"""Write what THUNES and the others are both asked: markets, targets, exits, returns, spans.

Run as `python -m tests.peers.inputs FOLDER`. All is drawn from seeds: no data is needed.
Add here: a case that others can run too. Keep out: answers.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np

BARS = 600
EXITS = {
    "signals alone": {},
    "signals, fee and slippage": {"fee": 0.001, "slippage": 0.0005},
    "stop": {"fee": 0.001, "stop_loss": 0.02},
    "take profit": {"fee": 0.001, "take_profit": 0.03},
    "stop and take profit": {"stop_loss": 0.02, "take_profit": 0.04},
    "trailing stop": {"fee": 0.001, "trailing_stop": 0.03},
}
MARKETS = range(6)


def market(seed: int) -> dict[str, list[float]]:
    """Draw hourly bars with gaps between close and open, on a grid of cents."""
    rng = np.random.default_rng(seed)
    close = 100 * np.exp(np.cumsum(rng.normal(0, 0.01, BARS)))
    open_ = np.concatenate(([100.0], close[:-1])) * (1 + rng.normal(0, 0.002, BARS))
    high = np.maximum(open_, close) * (1 + np.abs(rng.normal(0, 0.006, BARS)))
    low = np.minimum(open_, close) * (1 - np.abs(rng.normal(0, 0.006, BARS)))
    columns = {"open": open_, "high": high, "low": low, "close": close}
    rounded = {name: np.round(values, 2) for name, values in columns.items()}
    rounded["high"] = np.maximum.reduce(list(rounded.values()))
    rounded["low"] = np.minimum.reduce(list(rounded.values()))
    return {name: values.tolist() for name, values in rounded.items()}


def target(close: list[float]) -> list[float]:
    """Return 1 while the mean of 5 closes is above that of 20, else 0; it begins with a 0."""
    values = np.array(close)
    fast, slow = (np.convolve(values, np.ones(n) / n)[: len(values)] for n in (5, 20))
    wanted = (fast > slow * (1 + 1e-12)).astype(float)
    wanted[:20] = 0.0
    return wanted.tolist()


def cases() -> list[dict[str, Any]]:
    """Return every market with every set of exits."""
    return [
        {"name": name, "seed": seed, **bars, "target": target(bars["close"]), "exits": exits}
        for seed in MARKETS
        for bars in [market(seed)]
        for name, exits in EXITS.items()
    ]


def returns() -> dict[str, list[float]]:
    """Return daily returns of several kinds: calm, wild, losing, skewed, short."""
    rng = np.random.default_rng(99)
    return {
        "calm": rng.normal(0.001, 0.005, 730).tolist(),
        "wild": rng.normal(0.002, 0.05, 365).tolist(),
        "losing": rng.normal(-0.001, 0.01, 400).tolist(),
        "skewed": (0.01 - rng.exponential(0.01, 500)).tolist(),
        "short": rng.normal(0.0, 0.01, 20).tolist(),
    }


def splits() -> dict[str, list[dict[str, Any]]]:
    """Return walk-forwards and combinatorial splits whose sizes divide evenly."""
    return {
        "walk_forward": [
            {"bars": 1000, "train": 400, "test": 100, "purge": 0, "anchored": False},
            {"bars": 1010, "train": 400, "test": 100, "purge": 10, "anchored": False},
            {"bars": 1010, "train": 400, "test": 100, "purge": 10, "anchored": True},
        ],
        "combinatorial": [
            {"bars": 600, "groups": 6, "tested": 2, "purge": 0, "embargo": 0},
            {"bars": 600, "groups": 6, "tested": 2, "purge": 5, "embargo": 0},
            {"bars": 800, "groups": 8, "tested": 3, "purge": 4, "embargo": 7},
        ],
    }


def main(folder: Path) -> None:
    """Write `inputs.json` into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    document = {"cases": cases(), "returns": returns(), "splits": splits()}
    (folder / "inputs.json").write_text(json.dumps(document))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
