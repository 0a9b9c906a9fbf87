"""Doubts about bars hold back entries and nothing else."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import polars as pl

from tests.worlds import BarsMarket, Small, bars_of, small_world, wave
from thunes_core.adapters.bars.holds import Holds
from thunes_core.domain.bars import Interval
from thunes_core.domain.orders import Refusal
from thunes_core.indicators.columns import columns_of
from thunes_core.trading.step import tick
from thunes_core.trading.world import TickReport


def run(small: Small, bar: int, holds: Holds) -> TickReport:
    """Tick at the open of a bar with these holds."""
    small.market.stand_at(bar)
    return tick(replace(small.world, doubts=holds), small.plan)


def test_a_hold_refuses_entries_until_it_is_lifted_and_never_an_exit(tmp_path: Path) -> None:
    """The refused entry carries the sentence; later the position is left while a hold stands."""
    small = small_world(tmp_path, BarsMarket(bars_of(wave())))
    holds = Holds(tmp_path)
    holds.place("BTCUSDT", "foreign_venue", "closes differ")
    refused = [r for bar in range(41, 80) for r in run(small, bar, holds).refused]
    assert {r.code for r in refused} == {Refusal.BAD_BARS}
    assert "foreign_venue: closes differ" in refused[0].why
    holds.lift("BTCUSDT", "foreign_venue")
    fills, bar = [], 80
    while not fills:
        fills, bar = list(run(small, bar, holds).fills), bar + 1
    holds.place("BTCUSDT", "foreign_venue", "closes differ")
    sold = [f for later in range(bar, bar + 60) for f in run(small, later, holds).fills]
    assert [str(f.side) for f in sold] == ["SELL"]
    small.ledger.close()


def test_bars_that_are_broken_hold_an_entry_back(tmp_path: Path) -> None:
    """The tick looks at what it reads, without any check having run."""
    broken = bars_of(wave()).with_columns(high=pl.lit(1.0))
    small = small_world(tmp_path, BarsMarket(broken))
    holds = Holds(tmp_path)
    refused = [r for bar in range(41, 80) for r in run(small, bar, holds).refused]
    assert refused
    assert all("are broken" in r.why for r in refused)
    assert holds("BTCUSDT", Interval.H1)(columns_of(broken).arrays)
    small.ledger.close()
