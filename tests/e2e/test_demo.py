"""The demo is the whole loop: it must end with orders, books that add up, and no surprise."""

from __future__ import annotations

from pathlib import Path

import pytest

from thunes_core.errors import BadInput
from thunes_pipelines.services.demo import DemoPlan, run
from thunes_pipelines.services.demo_result import DemoResult


def run_quietly(home: Path) -> DemoResult:
    """Run a short demo without telling."""
    return run(DemoPlan(home, days=1, history_days=180), lambda *_: None)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_demo_trades_exactly_and_twice_the_same(tmp_path: Path) -> None:
    """Two runs give the same orders, and the ledger equals the exchange to the last digit."""
    first = run_quietly(tmp_path / "first")
    second = run_quietly(tmp_path / "second")
    assert first.ticks == 24
    assert first.fills > 0
    assert first.trades_difference == first.cash_difference == 0
    assert len(first.champions) == len(first.studies) == 4
    assert [path.name for path in first.reports] == ["2025-01-01.html"]
    assert first.orders_fingerprint == second.orders_fingerprint


def test_demo_never_clears_a_folder_that_it_did_not_make(tmp_path: Path) -> None:
    """A folder with something else in it is refused, and the something stays."""
    kept = tmp_path / "precious.txt"
    kept.write_text("mine")
    with pytest.raises(BadInput, match="neither; give another --home"):
        run_quietly(tmp_path)
    assert kept.read_text() == "mine"
