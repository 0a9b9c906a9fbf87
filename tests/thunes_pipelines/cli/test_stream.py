"""The command `stream`."""

from __future__ import annotations

import json
from contextlib import closing, nullcontext
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Timer
from time import sleep
from types import SimpleNamespace

import pytest
import stamina
import typer
from typer.testing import CliRunner

from thunes_core.adapters.bars.store import BarStore
from thunes_core.adapters.binance.broker import BinanceBroker
from thunes_core.adapters.binance.market import BinanceMarket
from thunes_core.adapters.ledger import open_ledger
from thunes_core.adapters.stream.board import latest
from thunes_core.clock import monotonic_seconds
from thunes_core.domain.bars import Interval
from thunes_core.domain.parameters import Champion, ParameterSet
from thunes_core.domain.portfolio import TradingState
from thunes_core.domain.records import StateRecord
from thunes_core.errors import AnswerIsNo, ExchangeUnavailable, StoreFailed
from thunes_core.settings import LOCAL_KEY, LOCAL_SECRET, load
from thunes_core.testnet.app import serve_in_thread
from thunes_core.testnet.market import generated_market
from thunes_core.trading.tend import Tended
from thunes_core.trading.world import TickReport
from thunes_pipelines.cli import stream
from thunes_pipelines.resources import wiring
from thunes_pipelines.services import stream as services_stream
from thunes_pipelines.services import stream_ticks

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
        assert latest(tmp_path / "board.local", symbol).bar_open_time == last


def test_a_closed_bar_runs_a_tick_in_the_same_process(
    app: typer.Typer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Entries and exits follow the remembered champion; one account, one audit, no bar twice."""
    monkeypatch.setenv("THUNES_SYMBOLS", "BTCUSDT")
    monkeypatch.setenv("THUNES_BROKER", "exchange")
    monkeypatch.setenv("THUNES_MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    settings = load()
    study = "sma_crossover.BTCUSDT.1m"
    values = ParameterSet("sma_crossover", {"fast": 5, "slow": 20})
    with closing(wiring.ledger(settings)) as ledger:
        ledger.remember_champion(Champion(study, values, "1", "run"), START)
    market = generated_market(["BTCUSDT"], start=START, interval=Interval.M1, history_days=2)
    with serve_in_thread(market, clock="x60") as net:
        monkeypatch.setenv("THUNES_BINANCE_REST_URL", net.url)
        result = CliRunner().invoke(app, ["--seconds", "8", "--trade"])
    assert result.exit_code == 0, result.output
    assert result.output.count("tick at") >= 2
    with closing(wiring.ledger(settings)) as ledger:
        decided = ledger.decisions()["bar"]
        assert len(decided) >= 2, result.output
        assert decided.is_unique().all()
        assert ledger.verify_audit().whole


def test_a_failed_tick_is_told_and_the_next_one_comes(
    app: typer.Typer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The exchange is gone for the tick: a sentence, no traceback, and the thread lives."""
    monkeypatch.setenv("THUNES_BINANCE_REST_URL", "http://127.0.0.1:9")
    told: list[str] = []
    with (
        stamina.set_testing(True, attempts=1),
        stream_ticks.WokenTicks(load(), told.append) as ticks,
    ):
        for wanted in (1, 2):
            ticks.wake()
            deadline = monotonic_seconds() + 20
            while len(told) < wanted and monotonic_seconds() < deadline:
                sleep(0.01)
    assert len(told) >= 2
    assert all(line.startswith("tick: ") for line in told)


def test_a_tick_that_failed_or_left_something_open_is_followed_by_another_unwoken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One fails, one is not certain of a symbol, the third is: then it rests."""
    clear = TickReport(START, StateRecord(TradingState.ACTIVE, "", "", START))
    answers = [ExchangeUnavailable("planted"), replace(clear, uncertain=("BTCUSDT",)), clear]
    told: list[str] = []

    def tick() -> TickReport:
        answer = answers.pop(0)
        if isinstance(answer, ExchangeUnavailable):
            raise answer
        return answer

    monkeypatch.setattr(wiring, "ticks", lambda _: nullcontext(tick))
    monkeypatch.setenv("THUNES_HOME", str(tmp_path))
    with stream_ticks.WokenTicks(load(), told.append, again_seconds=0.01):
        deadline = monotonic_seconds() + 20
        while len(told) < 3 and monotonic_seconds() < deadline:
            sleep(0.01)
    assert [line.partition(":")[0].split(" ")[0] for line in told] == ["tick"] * 3
    assert answers == []


def test_what_is_open_after_a_wake_is_woken_for_again() -> None:
    """The account's stream puts it off and calls again."""
    services_stream.require_certain(Tended((), ()))
    with pytest.raises(AnswerIsNo, match="BTCUSDT: expected orders and protection to be known"):
        services_stream.require_certain(Tended((), (), ("BTCUSDT",)))


def test_a_patient_stream_waits_for_its_exchange(
    app: typer.Typer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Three looks into the dark, then it answers; the board stands there from the start."""
    looks: list[int] = []
    monkeypatch.setattr(services_stream, "PAUSE_SECONDS", 0.0)
    market = generated_market(["BTCUSDT"], start=START, interval=Interval.M1, history_days=1)

    class Shy:
        def server_time(self) -> datetime:
            looks.append(1)
            if len(looks) < 3:
                assert load().board_path.exists()
                raise ExchangeUnavailable("not yet")
            return real.server_time()

        def __getattr__(self, name: str) -> object:
            return getattr(real, name)

    with serve_in_thread(market, clock="x60") as net:
        monkeypatch.setenv("THUNES_BINANCE_REST_URL", net.url)
        real = BinanceMarket(net.url)
        monkeypatch.setattr(wiring, "binance_market", lambda _: Shy())
        result = CliRunner().invoke(app, ["--seconds", "0.5", "--patient", "--json"])
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["connections"] == 1
    assert len(looks) >= 3


@pytest.mark.slow
def test_an_event_of_the_account_wakes_reconciliation(
    app: typer.Typer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A trade that nobody here asked for is in the ledger's eyes while the stream still runs.

    It takes money that the books count on, so it is looked at four times, for seven seconds.
    """
    monkeypatch.setenv("THUNES_BROKER", "exchange")
    market = generated_market(
        ["BTCUSDT", "ETHUSDT"], start=START, interval=Interval.M1, history_days=2
    )
    with serve_in_thread(market, cash=10_000) as net:
        monkeypatch.setenv("THUNES_BINANCE_REST_URL", net.url)
        trader = Timer(1.5, _buy, (net.url,))
        trader.start()
        result = CliRunner().invoke(app, ["--seconds", "12", "--json"])
        trader.join()
    assert result.exit_code == 0, result.output
    document = json.loads(result.stdout)
    assert document["account_connections"] == 1
    assert document["account_events"] >= 2
    assert document["wakes"] >= 2
    with closing(open_ledger(f"sqlite:///{tmp_path / 'ledger.db'}")) as ledger:
        assert int(ledger.cursor("BTCUSDT") or -1) >= 0
        assert ledger.cursor("ETHUSDT") == "-1"


def _buy(url: str) -> None:
    with closing(BinanceBroker(url, LOCAL_KEY, LOCAL_SECRET)) as account:
        account.client.create_order(symbol="BTCUSDT", side="BUY", type="MARKET", quantity="0.01")


def test_a_dead_exchange_has_exit_code_three(
    app: typer.Typer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody there to ask for the time."""
    monkeypatch.setenv("THUNES_BINANCE_REST_URL", "http://127.0.0.1:9")
    result = CliRunner().invoke(app, ["--seconds", "1", "--json"])
    assert isinstance(result.exception, ExchangeUnavailable)
    assert result.exception.exit_code == 3


def test_one_that_is_patient_waits_for_the_disk(
    app: typer.Typer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its death stopped the whole house on a disk that was full for half a minute."""
    board = tmp_path / "board.local"
    (board / "in the way").mkdir(parents=True)
    slept: list[float] = []

    def make_room(seconds: float) -> None:
        slept.append(seconds)
        (board / "in the way").rmdir()
        board.rmdir()

    monkeypatch.setattr(services_stream, "time", SimpleNamespace(sleep=make_room))
    market = generated_market(
        ["BTCUSDT", "ETHUSDT"], start=START, interval=Interval.M1, history_days=2
    )
    with serve_in_thread(market, clock="x600") as net:
        monkeypatch.setenv("THUNES_BINANCE_REST_URL", net.url)
        refused = CliRunner().invoke(app, ["--seconds", "0.5", "--json"])
        assert isinstance(refused.exception, StoreFailed)
        result = CliRunner().invoke(app, ["--seconds", "1.5", "--json", "--patient"])
    assert result.exit_code == 0, result.output
    assert slept == [services_stream.PAUSE_SECONDS]
    assert latest(board, "BTCUSDT").bar_open_time is not None
