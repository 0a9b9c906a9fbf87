"""The command `stream`."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from thunes_core.adapters.bars.store import BarStore
from thunes_core.adapters.stream.board import latest
from thunes_core.domain.bars import Interval
from thunes_core.errors import ExchangeUnavailable
from thunes_core.testnet.app import serve_in_thread
from thunes_core.testnet.market import generated_market
from thunes_pipelines.cli import stream

START = datetime(2024, 1, 1, tzinfo=UTC)


@pytest.fixture
def app(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> typer.Typer:
    """Return an app with the command, all state in a temporary folder."""
    monkeypatch.setenv("THUNES_HOME", str(tmp_path))
    monkeypatch.setenv("THUNES_INTERVAL", "1m")
    monkeypatch.setenv("THUNES_SYMBOLS", "BTCUSDT,ETHUSDT")
    app = typer.Typer()
    stream.add_to(app)
    return app


def test_bars_of_a_fast_market_are_followed_and_stored(
    app: typer.Typer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At 600 times the real pace: all bars of a second or so, without a hole."""
    market = generated_market(
        ["BTCUSDT", "ETHUSDT"], start=START, interval=Interval.M1, history_days=2
    )
    with serve_in_thread(market, clock="x600") as net:
        monkeypatch.setenv("THUNES_BINANCE_REST_URL", net.url)
        result = CliRunner().invoke(app, ["--seconds", "1.5", "--json"])
    assert result.exit_code == 0, result.output
    document = json.loads(result.stdout)
    assert document["connections"] >= 1
    assert document["bars"] >= 10
    store = BarStore(tmp_path / "lake")
    for symbol in ("BTCUSDT", "ETHUSDT"):
        first, last = store.span(symbol, Interval.M1) or (START, START)
        assert last - first >= timedelta(minutes=4)
        assert store.gaps(symbol, Interval.M1) == []
        assert latest(tmp_path / "board", symbol).bar_open_time == last


def test_a_dead_exchange_has_exit_code_three(
    app: typer.Typer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody there to ask for the time."""
    monkeypatch.setenv("THUNES_BINANCE_REST_URL", "http://127.0.0.1:9")
    result = CliRunner().invoke(app, ["--seconds", "1", "--json"])
    assert isinstance(result.exception, ExchangeUnavailable)
    assert result.exception.exit_code == 3
