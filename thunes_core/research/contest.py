"""Challenger against champion on the same bars, side by side: what to look at before promoting.

The challenger's side is its stitched tests, which no search has seen; the champion's is one run of
its parameters over the same span, part of which its own search may have seen: it is favoured.

Add here: a way of comparing the two. Keep out: judging (evidence), drawing.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import polars as pl

from thunes_core.domain.parameters import Champion
from thunes_core.domain.results import WalkForwardResult
from thunes_core.research.figures import Case
from thunes_core.research.windows import Terms
from thunes_core.strategies.base import build_from

SHOWN = ("sharpe", "total_return", "max_drawdown", "calmar", "trades", "win_rate", "exposure")


@dataclass(frozen=True, slots=True)
class Contest:
    """Metrics and equity (open_time, equity) of both; no champion leaves its side empty."""

    challenger: Mapping[str, float]
    challenger_equity: pl.DataFrame
    version: str | None = None
    champion: Mapping[str, float] | None = None
    champion_equity: pl.DataFrame | None = None

    def table(self) -> str:
        """Return both as a Markdown table."""
        head = f"champion (version {self.version})" if self.version else "champion (none)"
        lines = [f"| | challenger | {head} | better |", "|---|---:|---:|---|"]
        return "\n".join([*lines, *(self._line(name) for name in SHOWN)])

    def _line(self, name: str) -> str:
        mine = self.challenger.get(name, math.nan)
        theirs = (self.champion or {}).get(name, math.nan)
        figures = f"| {name.replace('_', ' ')} | {mine:.3g} | {theirs:.3g} |"
        return f"{figures} {_better(name, mine, theirs)} |"


def _better(name: str, mine: float, theirs: float) -> str:
    if name in {"trades", "exposure"} or not (math.isfinite(mine) and math.isfinite(theirs)):
        return ""
    return "equal" if mine == theirs else "challenger" if mine > theirs else "champion"


def contested(
    result: WalkForwardResult, bars: pl.DataFrame, champion: Champion | None, terms: Terms
) -> Contest:
    """Run the champion (None: there is none) over the tests of a walk-forward made of `bars`."""
    if champion is None:
        return Contest(result.metrics, result.stitched)
    run = Case(result, bars, terms).tests().backtest(build_from(champion.parameters), terms)
    return Contest(result.metrics, result.stitched, champion.version, run.metrics, run.equity)
