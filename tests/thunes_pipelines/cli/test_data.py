"""The command `ingest`: fixed shape, exit codes, messages."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import typer
from typer.testing import CliRunner

from tests.shared_data import shared
from tests.thunes_core.adapters.bars.frames import bars_of
from thunes_core.adapters.bars.store import BarStore
from thunes_core.domain.bars import Interval
from thunes_core.errors import BadInput, BarsInvalid, ExchangeUnavailable, ThunesError, UnknownName
from thunes_core.indicators.columns import columns_of
from thunes_core.testnet.app import RunningTestnet, serve_in_thread
from thunes_core.testnet.market import replayed_market
from thunes_pipelines.cli import data

FIRST = datetime(2024, 1, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
BARS = bars_of([100.0 + i % 7 for i in range(800)], start=FIRST)
ETHER = bars_of([50.0 + i % 3 for i in range(800)], start=FIRST, symbol="ETHUSDT")


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Keep all state in a temporary folder."""
    monkeypatch.setenv("THUNES_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("THUNES_INTERVAL", "1h")
    return tmp_path / "home"


@pytest.fixture
def testnet(monkeypatch: pytest.MonkeyPatch) -> Iterator[RunningTestnet]:
    """Serve two symbols; the clock stands after 700 hours."""
    market = replayed_market([BARS, ETHER])
    with serve_in_thread(market, start=FIRST + 700 * HOUR) as running:
        monkeypatch.setenv("THUNES_BINANCE_REST_URL", running.url)
        yield running


def ingest(*words: str) -> Any:
    """Run `ingest --json`."""
    return run("ingest", *words)


def run(*words: str) -> Any:
    """Run a command with `--json` and return its document; raise what it raised."""
    app = typer.Typer()
    data.add_to(app)
    result = CliRunner().invoke(app, [*words, "--json"])
    if isinstance(result.exception, ThunesError):
        raise result.exception
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def test_a_file_comes_in_with_the_fixed_shape(tmp_path: Path, home: Path) -> None:
    """Received, written, revised, refused, gaps, problems; the bars are in the lake."""
    path = tmp_path / "a.parquet"
    bars_of([1, 2, 3, 4], skip=[1]).write_parquet(path)
    document = ingest("--from", str(path), "--symbol", "BTCUSDT", "--interval", "1h")
    assert document == {
        "received": 3,
        "written": 3,
        "revised": 0,
        "refused": 0,
        "gaps": [{"start": "2024-01-31T21:00:00Z", "end": "2024-01-31T21:00:00Z", "bars": 1}],
        "problems": [],
    }
    assert BarStore(home / "lake").read("BTCUSDT", Interval.H1).height == 3
    again = ingest("--from", str(path), "--symbol", "BTCUSDT")
    assert (again["received"], again["written"]) == (3, 0)


def test_the_exchange_s_bars_come_in_and_then_only_what_is_new(
    testnet: RunningTestnet, home: Path
) -> None:
    """The first run takes the whole history, the second one a day and what closed since."""
    first = ingest("--symbol", "BTCUSDT", "--interval", "1h")
    assert (first["received"], first["written"], first["gaps"]) == (700, 700, [])
    testnet.exchange.clock.move_to(testnet.exchange.clock.now_ms() + 2 * 3_600_000)
    second = ingest("--symbol", "BTCUSDT", "--interval", "1h")
    assert (second["received"], second["written"]) == (27, 2)
    assert BarStore(home / "lake").read("BTCUSDT", Interval.H1).equals(BARS.head(702))


def test_a_window_may_be_named(testnet: RunningTestnet) -> None:
    """Start <= open_time < end."""
    document = ingest("--symbol", "BTCUSDT", "--start", "2024-01-02", "--end", "2024-01-03")
    assert document["received"] == 24


def test_all_configured_symbols_are_one_document(
    testnet: RunningTestnet, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The sum keeps the fixed shape; each symbol's own stands below `symbols`."""
    monkeypatch.setenv("THUNES_SYMBOLS", "BTCUSDT,ETHUSDT")
    document = ingest()
    assert (document["received"], document["written"]) == (1400, 1400)
    assert {s: d["received"] for s, d in document["symbols"].items()} == {
        "BTCUSDT": 700,
        "ETHUSDT": 700,
    }


@pytest.mark.parametrize(
    ("words", "error", "message"),
    [
        (["--symbol", "BTCUSDT", "--interval", "2d"], UnknownName, "expected one of 1m, 3m"),
        (["--symbol", "NOPEUSDT"], UnknownName, "klines of NOPEUSDT 1h"),
        (["--symbol", "btc/usdt"], UnknownName, "2 to 20 capital letters"),
        (["--symbol", "BTCUSDT", "--start", "yesterday"], BadInput, "--start: expected ISO 8601"),
        (
            ["--symbol", "BTCUSDT", "--start", "2024-02-02", "--end", "2024-02-01"],
            BadInput,
            "expected --start before --end",
        ),
        (["--from", "nowhere.parquet"], BadInput, "expected --from FILE with --symbol"),
        (["--from", "nowhere.parquet", "--symbol", "BTCUSDT"], UnknownName, "there is none"),
        (["--from", "x", "--symbol", "BTCUSDT", "--start", "2024-01-01"], BadInput, "without"),
    ],
)
@pytest.mark.usefixtures("testnet")
def test_bad_input_is_one_sentence_with_exit_code_two(
    words: list[str], error: type[BadInput], message: str
) -> None:
    """Whatever is wrong with what was given, the caller is told so."""
    with pytest.raises(error) as caught:
        ingest(*words)
    assert message in str(caught.value)
    assert caught.value.exit_code == 2


def test_a_broken_file_writes_nothing(tmp_path: Path, home: Path) -> None:
    """Exit code 2, and the lake stays as it was."""
    path = tmp_path / "a.parquet"
    path.write_bytes(b"PAR1 and then nothing")
    with pytest.raises(BarsInvalid, match="expected a whole Parquet"):
        ingest("--from", str(path), "--symbol", "BTCUSDT")
    assert not (home / "lake").exists()


def test_a_dead_exchange_has_exit_code_three(monkeypatch: pytest.MonkeyPatch) -> None:
    """The outside failed."""
    monkeypatch.setenv("THUNES_BINANCE_REST_URL", "http://127.0.0.1:9")
    with pytest.raises(ExchangeUnavailable, match="server time") as caught:
        ingest("--symbol", "BTCUSDT")
    assert caught.value.exit_code == 3


def test_people_see_a_table(tmp_path: Path) -> None:
    """Without --json a table names the symbol and what was found."""
    path = tmp_path / "a.parquet"
    pl.concat([bars_of([1, 2, 3])] * 2).write_parquet(path)
    app = typer.Typer()
    data.add_to(app)
    result = CliRunner().invoke(app, ["ingest", "--from", str(path), "--symbol", "BTCUSDT"])
    assert result.exit_code == 0
    assert "ingested 1h bars" in result.output


def test_a_year_of_real_hours_from_the_testnet(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Real candles come back to the last bit, with the halt of 2023 as a declared outage."""
    from thunes_core.testnet.candles import read_candles

    bars = read_candles(shared("data/bars/binance_spot__BTCUSDT__1h__finom__to2025H1.parquet"))
    with serve_in_thread(replayed_market([bars]), start=datetime(2024, 1, 1, tzinfo=UTC)) as net:
        monkeypatch.setenv("THUNES_BINANCE_REST_URL", net.url)
        document = ingest("--symbol", "BTCUSDT", "--start", "2023-01-01")
    assert (document["received"], len(document["gaps"])) == (8759, 1)
    store = BarStore(home / "lake")
    year = bars.filter(pl.col("open_time").dt.year() == 2023)
    assert store.read("BTCUSDT", Interval.H1).equals(year)
    assert store.outages.rows("BTCUSDT", Interval.H1)["bars"].to_list() == [1]


def test_holds_are_shown_and_lifted(home: Path, testnet: RunningTestnet) -> None:
    """A person sees why entries wait, and lifts it."""
    holds = BarStore(home / "lake").holds
    holds.place("BTCUSDT", "foreign_venue", "closes differ")
    expected = {"symbol": "BTCUSDT", "source": "foreign_venue", "why": "closes differ"}
    assert run("holds") == [expected]
    assert run("holds", "--lift", "BTCUSDT") == []
    spiky = columns_of(bars_of([*(100.0 + i % 2 for i in range(60)), 200.0], start=FIRST)).arrays
    assert holds("BTCUSDT", Interval.H1)(spiky)
    assert run("holds", "--clear-spikes", "BTCUSDT") == []
    assert holds("BTCUSDT", Interval.H1)(spiky) is None
