"""`thunes check-strategy FILE`: exit codes, table, JSON."""

from __future__ import annotations

import json

import pytest
import typer
from typer.testing import CliRunner

from tests.thunes_core.backtest.cheaters import CHEATERS, HONEST
from thunes_core.errors import BadInput
from thunes_core.strategies import sma_crossover
from thunes_pipelines.cli import check_strategy


def run(*arguments: str):
    """Run the command alone, quickly; return its result."""
    app = typer.Typer()
    app.callback()(lambda: None)
    check_strategy.add_to(app)
    return CliRunner().invoke(app, ["check-strategy", "--places", "4", *arguments])


def written(folder, text: str) -> str:
    """Write a strategy file and return its path."""
    path = folder / "mine.py"
    path.write_text(text)
    return str(path)


def test_an_honest_file_ends_with_zero_and_says_ok(tmp_path):
    """Exit code 0 and a table of what was seen."""
    result = run(written(tmp_path, HONEST["momentum"]))
    assert result.exit_code == 0 and "later bars cut" in result.stdout and "ok" in result.stdout


def test_a_peek_ends_with_one_and_says_where(tmp_path):
    """Exit code 1, the failing check marked."""
    result = run(written(tmp_path, CHEATERS["peeks one bar"][1]))
    assert result.exit_code == 1 and "FAILS" in result.stdout


def test_json_holds_every_check(tmp_path):
    """One document: file, verdict, and for each strategy its checks."""
    result = run(written(tmp_path, CHEATERS["normalises over all bars"][1]), "--json")
    document = json.loads(result.stdout)
    assert result.exit_code == 1 and document["passed"] is False
    (strategy,) = document["strategies"]
    failed = [c["name"] for c in strategy["checks"] if not c["passed"]]
    assert strategy["strategy"] == "mine" and "later bars changed" in failed


def test_own_strategies_pass_with_given_parameters():
    """A file of the project itself, with parameters."""
    result = run(str(sma_crossover.__file__), "--params", '{"fast": 3, "slow": 9}', "--json")
    assert result.exit_code == 0
    assert json.loads(result.stdout)["strategies"][0]["parameters"] == {"fast": 3, "slow": 9}


def test_real_bars_are_probed_too(tmp_path):
    """A fault that only the given bars show is found on them."""
    from tests.thunes_core.strategies.frames import bars_of

    path = tmp_path / "bars.parquet"
    bars_of([100.0 + i % 7 for i in range(300)], interval="4h").write_parquet(path)
    text = CHEATERS["peeks one bar"][1].replace(
        "bars, CLOSE.shift", "bars, (pl.len() == 300) & (CLOSE.shift"
    )
    text = text.replace("> CLOSE)", "> CLOSE))")
    assert run(written(tmp_path, text)).exit_code == 0
    assert run(written(tmp_path, text), "--bars", str(path)).exit_code == 1


@pytest.mark.parametrize(
    "arguments",
    [("--params", "{"), ("--params", '{"slow": 2.5}'), ("--interval", "7m"), ("--bars", "none")],
)
def test_bad_input_is_bad_input(arguments):
    """Wrong JSON, wrong parameters, wrong interval, no bars: exit code 2 by the command line."""
    result = run(str(sma_crossover.__file__), *arguments)
    assert isinstance(result.exception, BadInput) and result.exception.exit_code == 2


def test_a_file_that_is_no_strategy_is_bad_input(tmp_path):
    """Exit code 2, not a verdict."""
    result = run(written(tmp_path, "x = 1"))
    assert isinstance(result.exception, BadInput) and result.exception.exit_code == 2
