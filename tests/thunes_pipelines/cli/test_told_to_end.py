"""SIGTERM to the long-lived stream, as real processes: the tick in flight finishes, exit code 0."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from time import sleep

import pytest
from sqlalchemy import create_engine, select

from tests.databases import ledger_in
from thunes_core.adapters.ledger import open_ledger
from thunes_core.adapters.ledger.schema import lease
from thunes_core.clock import monotonic_seconds
from thunes_core.domain.parameters import Champion, ParameterSet
from thunes_core.testnet.app import serve_in_thread
from thunes_core.testnet.market import generated_market
from thunes_pipelines.cli import trading
from thunes_pipelines.cli.main import main

START = datetime(2024, 1, 1, tzinfo=UTC)
STUDY = "sma_crossover.BTCUSDT.1h"
STREAM = [sys.executable, "-m", "thunes_pipelines.cli.main", "stream", "--trade", "--json"]
AS_A_SCRIPT_DOES = ("bash", "-c", 'trap "" INT; exec "$@"', "-")
"""What is started with `&` in a script ignores SIGINT."""

BOUND_SECONDS = 60


@contextmanager
def started(folder: Path, url: str, *shell: str) -> Iterator[subprocess.Popen[bytes]]:
    """Start the stream (by a `shell`) in a home of its own; it is gone afterwards."""
    own = {
        "THUNES_HOME": str(folder),
        "THUNES_CONFIG": os.devnull,
        "THUNES_BROKER": "exchange",
        "THUNES_BINANCE_REST_URL": url,
        "THUNES_MLFLOW_TRACKING_URI": "http://127.0.0.1:9",
    }
    process = subprocess.Popen(
        [*shell, *STREAM],
        env=os.environ | own,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def wait_for(what: Callable[[], bool]) -> None:
    """Look until it is so."""
    until = monotonic_seconds() + BOUND_SECONDS
    while not what():
        assert monotonic_seconds() < until
        sleep(0.02)


def is_leased(url: str) -> bool:
    """True when a tick has begun."""
    engine = create_engine(url)
    with engine.connect() as connection:
        found = connection.execute(select(lease.c.holder)).first() is not None
    engine.dispose()
    return found


@pytest.mark.slow
@pytest.mark.parametrize("shell", [(), AS_A_SCRIPT_DOES], ids=["alone", "ignoring SIGINT"])
def test_a_stream_told_to_end_finishes_the_tick_in_flight(tmp_path, shell):
    """The exchange holds its answers back until SIGTERM was sent: the tick still ends whole."""
    url = ledger_in(tmp_path)
    ledger = open_ledger(url)
    values = ParameterSet("sma_crossover", {"fast": 5, "slow": 20})
    ledger.remember_champion(Champion(STUDY, values, "1", "run"), START)
    market = generated_market(["BTCUSDT"], start=START, history_days=3)
    with closing(ledger), serve_in_thread(market) as net:
        net.exchange.lock.acquire()
        with started(tmp_path, net.url, *shell) as process:
            wait_for(lambda: is_leased(url))
            process.send_signal(signal.SIGTERM)
            net.exchange.lock.release()
            out, err = process.communicate(timeout=BOUND_SECONDS)
        assert process.returncode == 0, err.decode()
        assert json.loads(out)["bars"] == 0
        assert ledger.last_tick() is not None
        assert ledger.decisions().height == 1
        assert ledger.verify_audit().whole


def test_a_command_that_is_interrupted_says_so_and_ends_with_one(monkeypatch, capsys):
    """SIGTERM anywhere is heard as Ctrl-C, even where Ctrl-C is ignored; no traceback."""
    told_before = signal.getsignal(signal.SIGTERM)
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    monkeypatch.setattr(sys, "argv", ["thunes", "status"])
    monkeypatch.setattr(trading, "load", lambda: os.kill(os.getpid(), signal.SIGTERM))
    try:
        with pytest.raises(SystemExit) as ended:
            main()
    finally:
        signal.signal(signal.SIGINT, before)
    assert ended.value.code == 1
    assert capsys.readouterr().err == "thunes: interrupted before it was done\n"
    assert signal.getsignal(signal.SIGTERM) == told_before


def test_an_interrupted_tick_says_what_became_of_its_orders(monkeypatch, capsys):
    """One sentence: what was sent is asked after, stops stay, run it again."""
    monkeypatch.setattr(sys, "argv", ["thunes", "tick"])
    monkeypatch.setattr(trading, "load", lambda: os.kill(os.getpid(), signal.SIGTERM))
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 1
    told = capsys.readouterr().err
    assert "asked after by the next tick, stops stay at the exchange" in told
    assert "Traceback" not in told
