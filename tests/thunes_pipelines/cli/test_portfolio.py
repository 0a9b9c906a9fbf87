"""`thunes portfolio`: several symbols on shared cash, with limits for each and in all."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import polars as pl
import pytest
import typer
from typer.testing import CliRunner

from tests.thunes_pipelines.cli.test_backtest import bars
from thunes_core.adapters.bars.store import BarStore
from thunes_core.domain.bars import Interval
from thunes_core.errors import ThunesError
from thunes_pipelines.cli import backtest, portfolio
from thunes_pipelines.cli.inputs import read_bars

STRATEGY = ("--strategy", "sma_crossover")
PARAMS = '{"fast": 3, "slow": 9}'


def run(*words: object):
    """Run the command alone; return its result."""
    app = typer.Typer()
    portfolio.add_to(app)
    backtest.add_to(app)
    return CliRunner().invoke(app, [str(word) for word in words])


def found(*words: object) -> dict[str, Any]:
    """Return the JSON of a run of the command on these words."""
    result = run("portfolio", *STRATEGY, "--json", "-", *words)
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


@pytest.fixture
def files(tmp_path):
    """Two symbols: what swings, and the same a quarter of a swing later."""
    later = (
        bars(260).tail(240).with_columns(symbol=pl.lit("ETHUSDT"), open_time=bars()["open_time"])
    )
    paths = (tmp_path / "btc.parquet", tmp_path / "eth.parquet")
    bars().write_parquet(paths[0])
    later.write_parquet(paths[1])
    return paths


@pytest.fixture
def both(files):
    """The options that name both files."""
    return ("--bars", files[0], "--bars", files[1])


def held_at_once(document: dict[str, Any]) -> int:
    """Return the most positions that were held at the end of a bar."""
    columns = zip(*document["quantities"].values(), strict=True)
    return max(sum(quantity > 0 for quantity in row) for row in columns)


def test_one_symbol_alone_is_a_backtest(files):
    """The same metrics to the last digit: one arithmetic."""
    alone = found("--bars", files[0], "--params", PARAMS, "--stop-loss", "0.02")
    asked = ("--bars", files[0], *STRATEGY, "--params", PARAMS, "--stop-loss", "0.02")
    single = json.loads(run("backtest", *asked, "--json", "-").stdout)
    assert alone["metrics"] == single["metrics"]
    assert alone["equity"]["equity"] == single["equity"]["equity"]


def test_cash_is_shared_by_weight(both):
    """Each symbol holds its part of the whole equity, and cash and parts make up the equity."""
    weights = '{"BTCUSDT": 0.75, "ETHUSDT": 0.25}'
    document = found(*both, "--params", PARAMS, "--weights", weights)
    first = {t["symbol"]: t for t in reversed(document["trades"])}
    spent = {name: t["entry_price"] * t["quantity"] for name, t in first.items()}
    assert spent["BTCUSDT"] == pytest.approx(7500, rel=0.05)
    assert spent["ETHUSDT"] == pytest.approx(2500, rel=0.05)
    assert min(document["equity"]["cash"]) >= -1e-9


def test_limits_bind(both):
    """Most positions at once, and most of the equity in all of them."""
    assert held_at_once(found(*both, "--params", PARAMS)) == 2
    assert held_at_once(found(*both, "--params", PARAMS, "--max-positions", "1")) == 1
    half = found(*both, "--params", PARAMS, "--max-total-exposure", "0.5")["equity"]
    assert min(half["cash"]) > 0.4 * min(half["equity"])


def test_parameters_by_symbol_are_each_its_own(files, both):
    """What is said of one symbol changes nothing of the other."""
    slower = '{"fast": 4, "slow": 30}'
    mixed = found(*both, "--params", f'{{"BTCUSDT": {PARAMS}, "ETHUSDT": {slower}}}')
    same = found(*both, "--params", PARAMS)

    def entries(document, symbol):
        return [t["entry_time"] for t in document["trades"] if t["symbol"] == symbol]

    assert entries(mixed, "BTCUSDT") == entries(same, "BTCUSDT")
    assert entries(mixed, "ETHUSDT") != entries(same, "ETHUSDT")


def test_stored_bars_give_what_files_give(files, both, tmp_path, monkeypatch):
    """`--symbols` reads the lake."""
    monkeypatch.setenv("THUNES_HOME", str(tmp_path / "home"))
    store = BarStore(tmp_path / "home" / "lake")
    for path in files:
        held = read_bars(path)
        store.replace_window(
            held,
            symbol=held["symbol"][0],
            interval=Interval.H1,
            start=held["open_time"][0],
            end=held["open_time"][-1] + timedelta(hours=1),
            observed_at=held["open_time"][-1] + timedelta(hours=1),
        )
    stored = found("--symbols", "ETHUSDT,BTCUSDT", "--interval", "1h", "--params", PARAMS)
    assert stored["metrics"] == pytest.approx(found(*both, "--params", PARAMS)["metrics"])


def test_people_see_the_whole_and_each_symbol(both):
    """A symbol that never traded has its row, too."""
    never = f'{{"BTCUSDT": {PARAMS}, "ETHUSDT": {{"fast": 3, "slow": 900}}}}'
    said = run("portfolio", *STRATEGY, *both, "--params", never).output
    assert "total_return" in said
    assert "│ BTCUSDT │" in said
    assert "│ ETHUSDT │      0 │        – │" in said


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "either --bars FILE, once for each symbol, or --symbols"),
        (("--symbols", "BTCUSDT"), "--interval"),
        (("--bars", "no.parquet"), "no.parquet is none"),
    ],
)
def test_bars_that_are_not_given_end_as_two(words, said):
    """What was expected is told."""
    code, message = outcome("portfolio", *STRATEGY, *words)
    assert code == 2
    assert said in message


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--symbols", "BTCUSDT", "--interval", "1h"), "give one of them"),
        (("--weights", '{"BTCUSDT": 1}'), "exactly the symbols BTCUSDT, ETHUSDT"),
        (("--weights", '{"BTCUSDT": 0.7, "ETHUSDT": 0.7}'), "at most 1 in sum"),
        (("--weights", '{"BTCUSDT": "a", "ETHUSDT": true}'), "correct BTCUSDT, ETHUSDT"),
        (("--weights", '{"BTCUSDT": NaN, "ETHUSDT": 0.5}'), "at most 1 in sum"),
        (("--params", '{"BTCUSDT": {}}'), "parameters of exactly BTCUSDT, ETHUSDT"),
        (("--params", '{"quick": 1}'), "expected parameters among"),
        (("--max-total-exposure", "nan"), "finite"),
        (("--max-positions", "-1"), "--max-positions"),
        (("--json", "/no/such/place.json"), "cannot be written"),
    ],
)
def test_bad_options_end_as_two_with_what_was_expected(both, words, said):
    """Exit code 2 and a message that says what to give."""
    code, message = outcome("portfolio", *STRATEGY, *both, *words)
    assert code == 2
    assert said in message


def test_a_symbol_given_twice_ends_as_two(files):
    """One of the two would be lost in silence."""
    code, message = outcome("portfolio", *STRATEGY, "--bars", files[0], "--bars", files[0])
    assert code == 2
    assert "each symbol once; it was BTCUSDT, BTCUSDT" in message


def outcome(*words: object) -> tuple[int, str]:
    """Return the exit code that `main` would end with, and the message."""
    result = run(*words)
    if isinstance(result.exception, ThunesError):
        return result.exception.exit_code, str(result.exception)
    return result.exit_code, result.output
