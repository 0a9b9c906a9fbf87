"""A full or read-only disk under commands and the files beside the ledger: one clear error."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.disk.disks import Disk, disk, require_mounted
from tests.worlds import HOUR, START, bars_of, wave
from thunes_core.adapters.bars.files import read_parquet, write_parquet
from thunes_core.adapters.binance.listings import Listings
from thunes_core.adapters.ledger import open_ledger
from thunes_core.adapters.ledger.export import export_new, verify_files
from thunes_core.adapters.limiter import WeightLimiter
from thunes_core.adapters.stream.board import Board, read_board
from thunes_core.clock import to_millis
from thunes_core.domain.bars import SCHEMA
from thunes_core.domain.portfolio import TradingState
from thunes_core.errors import AskedToWait, StoreFailed
from thunes_core.testnet.app import serve_in_thread
from thunes_core.testnet.market import replayed_market
from thunes_pipelines.cli import main as command

BARS = bars_of(wave())
DOCUMENT = {"symbols": [{"symbol": "BTCUSDT", "filters": []}]}


@pytest.fixture()
def small(tmp_path) -> Iterator[Disk]:
    """A disk of its own that can be filled up."""
    with disk(tmp_path / "disk") as made:
        require_mounted(made)
        yield made


@dataclass(frozen=True)
class Ended:
    """How a command ended and what it said."""

    code: int
    lines: list[str]


@pytest.fixture()
def home(tmp_path, monkeypatch) -> Iterator[Disk]:
    """A home on a disk of its own, before an exchange that is served."""
    market = replayed_market([BARS], start=START)
    with disk(tmp_path / "disk") as made, serve_in_thread(market, cash=1000) as net:
        monkeypatch.chdir(tmp_path)
        BARS.write_parquet(tmp_path / "bars.parquet")
        with net.exchange.lock:
            net.exchange.clock.move_to(to_millis(START + 60 * HOUR))
            net.exchange.advance()
        for name, value in {
            "THUNES_HOME": str(made.folder / "home"),
            "THUNES_BINANCE_REST_URL": net.url,
            "THUNES_BROKER": "exchange",
            "THUNES_MLFLOW_TRACKING_URI": "http://127.0.0.1:9",
        }.items():
            monkeypatch.setenv(name, value)
        yield made


def run(words: str, monkeypatch, capsys) -> Ended:
    """Run `thunes` with `words` as the shell does."""
    monkeypatch.setattr(sys, "argv", ["thunes", *words.split()])
    with pytest.raises(SystemExit) as ended:
        command.main()
    code = ended.value.code
    said = capsys.readouterr().err.splitlines()
    return Ended(int(code or 0), [line for line in said if line.strip()])


COMMANDS = [
    "tick",
    "reconcile",
    "status",
    "halt --reason full",
    "ingest --symbol BTCUSDT --interval 1h",
    "stream --seconds 1",
    "up --port-dagster 0 --port-mlflow 0 --port-testnet 0",
    "audit export",
]


@pytest.mark.parametrize("begun", [False, True], ids=["anew", "begun"])
def test_on_a_full_disk_every_command_ends_with_one_line(home, monkeypatch, capsys, begun):
    """Exit code 3 (2 where a house is begun) and what to do; with room the next tick goes on."""
    require_mounted(home)
    if begun:
        assert run("tick", monkeypatch, capsys).code == 0
    home.fill()
    for words in COMMANDS:
        ended = run(words, monkeypatch, capsys)
        code = 2 if words.startswith("up") else 3
        assert (words, ended.code, len(ended.lines)) == (words, code, 1), ended.lines
        assert ended.lines[0].startswith("thunes: ")
        assert "space" in ended.lines[0]
    home.make_room()
    assert run("tick", monkeypatch, capsys) == Ended(0, [])
    assert run("status --json", monkeypatch, capsys) == Ended(0, [])


def test_a_table_of_the_lake_stays_as_it_was(small):
    """Neither half a file nor anything beside it is left."""
    path = small.folder / "data.parquet"
    write_parquet(BARS, path)
    small.fill()
    with pytest.raises(StoreFailed, match=r"cannot be written.*free space"):
        write_parquet(BARS.head(150), path)
    assert read_parquet(path, SCHEMA).equals(BARS)
    assert sorted(one.name for one in small.folder.iterdir()) == ["ballast", "data.parquet"]


def test_a_board_that_stands_shows_on_and_a_new_one_is_told(small):
    """What is shown needs no room; what must be made does."""
    board = Board(small.folder / "board", ["BTCUSDT"], "1h")
    small.fill()
    board.update("BTCUSDT", heard_ms=7, bid=2.0)
    assert read_board(small.folder / "board")[0].heard_ms == 7
    with pytest.raises(StoreFailed, match=r"board: .* cannot be written"):
        Board(small.folder / "other", ["BTCUSDT"], "1h")
    assert sorted(one.name for one in small.folder.iterdir()) == ["ballast", "board"]
    board.close()


def test_what_is_listed_is_asked_for_again_where_it_cannot_be_kept(small):
    """A cache is no reason to fail a tick."""
    listings = Listings(small.folder / "listings.json")
    small.fill()
    listings.put(DOCUMENT)
    assert listings.get(["BTCUSDT"]) is None
    small.make_room()
    listings.put(DOCUMENT)
    assert listings.get(["BTCUSDT"]) == DOCUMENT["symbols"]


def test_a_ban_is_remembered_on_a_full_disk(small):
    """The budget is written over itself: nobody asks an exchange that banned this address."""
    budget = WeightLimiter(small.folder / "budget", now_ms=lambda: 60_000)
    budget.reserve(1)
    small.fill()
    budget.heard(418, {"Retry-After": "120"})
    with pytest.raises(AskedToWait):
        WeightLimiter(small.folder / "budget", now_ms=lambda: 61_000).reserve(1)


def test_an_export_of_the_audit_goes_on_where_the_disk_was_full(small, tmp_path):
    """No event is lost or told twice."""
    ledger = open_ledger(f"sqlite:///{tmp_path / 'l.db'}", synchronous="OFF")
    folder = small.folder / "audit"
    assert export_new(ledger, folder) == 0
    for number in range(60):
        ledger.set_trading_state(TradingState.HALTED, reason="r" * 200, author=str(number))
    small.fill()
    with pytest.raises(StoreFailed, match="make room"):
        export_new(ledger, folder)
    small.make_room()
    export_new(ledger, folder)
    verdict = verify_files(folder)
    assert (verdict.whole, verdict.rows) == (True, 60)
    ledger.close()


def test_on_a_read_only_disk_commands_end_with_one_line(home, monkeypatch, capsys):
    """And nothing is left half done: the next ones go on."""
    Path(home.folder / "home").mkdir()
    words = ("tick", "status", "halt --reason ro", "ingest --symbol BTCUSDT --interval 1h")
    more = ("stream --seconds 1", "up --port-dagster 0 --port-mlflow 0 --port-testnet 0")
    with home.read_only():
        for asked in (*words, *more):
            ended = run(asked, monkeypatch, capsys)
            assert (asked, ended.code in (2, 3), len(ended.lines)) == (asked, True, 1), ended.lines
    assert run("tick", monkeypatch, capsys) == Ended(0, [])
    monkeypatch.setattr(sys, "argv", ["thunes", "status", "--json"])
    with pytest.raises(SystemExit):
        command.main()
    assert json.loads(capsys.readouterr().out)["state"] == "ACTIVE"
