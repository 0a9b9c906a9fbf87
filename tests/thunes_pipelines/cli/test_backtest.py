"""`thunes backtest`, `sweep` and `metrics`: files in, fixed JSON out, bad input ends as 2."""

from __future__ import annotations

import json
import math
import os
from pathlib import Path

import numpy as np
import orjson
import polars as pl
import pytest
import typer
from polars.testing import assert_frame_equal
from typer.testing import CliRunner

from thunes_core.backtest.metrics import NAMES
from thunes_core.errors import ThunesError
from thunes_pipelines.cli import backtest

HOUR_US = 3_600_000_000
TRADE_KEYS = ["entry_time", "exit_time", "entry_price", "exit_price", "quantity", "pnl", "reason"]


def run(*arguments: str):
    """Run a command alone; return its result."""
    app = typer.Typer()
    backtest.add_to(app)
    return CliRunner().invoke(app, [str(a) for a in arguments])


def code_and_message(*arguments: str) -> tuple[int, str]:
    """Return the exit code that `main` would end with, and the message."""
    result = run(*arguments)
    if isinstance(result.exception, ThunesError):
        return result.exception.exit_code, str(result.exception)
    return result.exit_code, result.output


def bars(size: int = 240) -> pl.DataFrame:
    """Return hourly bars of 2023 that swing, with the foreign name of the interval."""
    close = np.round(100 + 10 * np.sin(np.arange(size) / 9) + np.arange(size) / 50, 2)
    open_ = np.concatenate(([close[0]], close[:-1]))
    time = pl.Series(1_672_531_200_000_000 + np.arange(size) * HOUR_US)
    return pl.DataFrame(
        {
            "symbol": "BTCUSDT",
            "timeframe": "1h",
            "open_time": time.cast(pl.Datetime("us", "UTC")),
            "open": open_,
            "high": np.maximum(open_, close) + 1,
            "low": np.minimum(open_, close) - 1,
            "close": close,
            "volume": 1.0,
        }
    )


@pytest.fixture
def file(tmp_path):
    """Return a Parquet file of bars without taker columns."""
    path = tmp_path / "bars.parquet"
    bars().write_parquet(path)
    return path


def test_the_document_has_the_fixed_shape(file, tmp_path):
    """Metrics, trades, equity, rejected orders, named as fixed; times ISO 8601 UTC."""
    out = tmp_path / "out.json"
    params = '{"fast": 3, "slow": 9}'
    result = run(
        "backtest", "--bars", file, "--strategy", "sma_crossover", "--params", params, "--json", out
    )
    assert result.exit_code == 0, result.output
    document = orjson.loads(out.read_bytes())
    assert list(document["metrics"]) == list(NAMES)
    assert isinstance(document["metrics"]["trades"], int)
    assert all(list(trade) == TRADE_KEYS for trade in document["trades"])
    assert document["trades"][0]["entry_time"].endswith("Z")
    assert len(document["equity"]["open_time"]) == len(document["equity"]["equity"]) == 240
    assert document["equity"]["open_time"][0] == "2023-01-01T00:00:00Z"
    assert document["rejected_orders"] == 0
    last = document["trades"][-1]
    assert (last["reason"] == "open") == (last["exit_time"] is None) == (last["exit_price"] is None)
    assert "buy and hold" in result.output


def test_json_to_stdout_is_the_document_alone(file):
    """With `--json -` nothing else is printed, and undefined figures are null."""
    result = run("backtest", "--bars", file, "--targets", zero_targets(file), "--json", "-")
    document = json.loads(result.stdout)
    assert document["metrics"]["sharpe"] is None
    assert document["trades"] == []


def zero_targets(file):
    """Write a target of 0 for every bar beside the bars."""
    path = file.with_name("targets.parquet")
    pl.read_parquet(file).select("open_time", target=pl.lit(0.0)).write_parquet(path)
    return path


def test_targets_run_any_exposure_series(file, tmp_path):
    """A target of 1 from bar 10 on buys at bar 11 and never sells."""
    frame = pl.read_parquet(file).select("open_time").with_row_index()
    targets = frame.select("open_time", target=(pl.col("index") >= 10).cast(pl.Float64))
    targets[10:].write_parquet(tmp_path / "t.parquet")
    out = tmp_path / "out.json"
    run("backtest", "--bars", file, "--targets", tmp_path / "t.parquet", "--json", out)
    (trade,) = orjson.loads(out.read_bytes())["trades"]
    assert trade["entry_time"] == "2023-01-01T11:00:00Z"
    assert trade["reason"] == "open"


def test_start_is_included_and_end_is_not(file, tmp_path):
    """A span of one day has its 24 bars; both ends are open times."""
    out = tmp_path / "out.json"
    span = ("--start", "2023-01-02", "--end", "2023-01-03T00:00:00Z")
    run("backtest", "--bars", file, "--strategy", "sma_crossover", *span, "--json", out)
    times = orjson.loads(out.read_bytes())["equity"]["open_time"]
    assert (times[0], times[-1]) == ("2023-01-02T00:00:00Z", "2023-01-02T23:00:00Z")


def test_a_csv_file_of_bars_is_read_too(file, tmp_path):
    """CSV with ISO times gives the result of Parquet."""
    csv, out, same = tmp_path / "bars.csv", tmp_path / "a.json", tmp_path / "b.json"
    pl.read_parquet(file).write_csv(csv)
    for source, target in ((csv, out), (file, same)):
        run("backtest", "--bars", source, "--strategy", "sma_crossover", "--json", target)
    assert out.read_bytes() == same.read_bytes()


def test_costs_exits_and_lots_reach_the_simulation(file, tmp_path):
    """A stop appears as reason, a step in the quantities, and a minimum in the rejections."""
    out = tmp_path / "out.json"
    run(
        "backtest", "--bars", file, "--strategy", "sma_crossover", "--params",
        '{"fast": 3, "slow": 9}', "--stop-loss", "0.01",
        "--step-size", "0.5", "--cash", "1000", "--json", out,
    )  # fmt: skip
    trades = orjson.loads(out.read_bytes())["trades"]
    assert "stop_loss" in {trade["reason"] for trade in trades}
    assert all(trade["quantity"] % 0.5 == 0 for trade in trades)
    run("backtest", "--bars", file, "--strategy", "sma_crossover", "--min-notional", "1e9",
        "--json", out)  # fmt: skip
    assert orjson.loads(out.read_bytes())["rejected_orders"] > 0


def test_limit_entries_reach_the_simulation(file, tmp_path):
    """With an offset no entry is dearer than the close before it less the offset."""
    out = tmp_path / "out.json"
    run("backtest", "--bars", file, "--strategy", "sma_crossover", "--params",
        '{"fast": 3, "slow": 9}', "--limit-offset", "0.005", "--limit-timeout", "4",
        "--json", out)  # fmt: skip
    trades = orjson.loads(out.read_bytes())["trades"]
    closes = pl.read_parquet(file)["close"]
    assert trades
    assert all(trade["entry_price"] <= closes.max() * 0.995 for trade in trades)
    assert {t["entry_price"] for t in trades}.isdisjoint(
        set((pl.read_parquet(file)["open"] * 1.0005).to_list())
    )


def test_a_page_with_charts_is_written(file, tmp_path):
    """`--html` writes one self-contained file."""
    page = tmp_path / "page.html"
    result = run("backtest", "--bars", file, "--strategy", "sma_crossover", "--html", page)
    assert result.exit_code == 0, result.output
    assert page.read_text().lstrip().lower().startswith("<!doctype html")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--strategy", "no_such"), "strategy: expected one of"),
        (("--strategy", "sma_crossover", "--params", "{"), "--params: expected a JSON object"),
        (("--strategy", "sma_crossover", "--params", "[1]"), "--params: expected a JSON object"),
        (("--strategy", "sma_crossover", "--params", '{"fast": 90}'), "1 <= fast < slow"),
        (("--strategy", "sma_crossover", "--params", '{"fast": "a"}'), "fast of type int"),
        (("--strategy", "sma_crossover", "--params", '{"quick": 1}'), "expected parameters among"),
        (("--strategy", "sma_crossover", "--start", "yesterday"), "--start: expected ISO 8601"),
        (("--strategy", "sma_crossover", "--start", "2030-01-01"), "there are none"),
        (("--strategy", "sma_crossover", "--cash", "0"), "--cash"),
        (("--strategy", "sma_crossover", "--taker-fee", "-1"), "--taker-fee"),
        (("--strategy", "sma_crossover", "--stop-loss", "two"), "--stop-loss"),
        (("--strategy", "sma_crossover", "--json", "/no/such/place.json"), "cannot be written"),
        ((), "either --strategy NAME or --targets FILE"),
    ],
)
def test_bad_options_end_as_two_with_what_was_expected(file, arguments, said):
    """Exit code 2 and a message that says what to give."""
    code, message = code_and_message("backtest", "--bars", file, *arguments)
    assert code == 2
    assert said in message


def broken(change: str) -> pl.DataFrame:
    """Return bars with one thing wrong."""
    frame = bars()
    return {
        "no interval": lambda: frame.drop("timeframe"),
        "no close": lambda: frame.drop("close"),
        "negative price": lambda: frame.with_columns(low=pl.lit(-1.0)),
        "null price": lambda: frame.with_columns(close=pl.lit(None, pl.Float64)),
        "high below close": lambda: frame.with_columns(high=pl.col("low")),
        "newest first": frame.reverse,
        "doubled": lambda: pl.concat([frame, frame]).sort("open_time"),
        "two symbols": lambda: frame.with_columns(
            symbol=pl.when(pl.int_range(pl.len()) < 9).then(pl.lit("A")).otherwise(pl.lit("B"))
        ),
        "text price": lambda: frame.with_columns(close=pl.lit("dear")),
        "unknown interval": lambda: frame.with_columns(timeframe=pl.lit("7m")),
        "off grid": lambda: frame.with_columns(pl.col("open_time") + pl.duration(seconds=1)),
    }[change]()


@pytest.mark.parametrize(
    "change",
    [
        "no interval", "no close", "negative price", "null price", "high below close",
        "newest first", "doubled", "two symbols", "text price", "unknown interval", "off grid",
    ],
)  # fmt: skip
def test_bad_bars_end_as_two(tmp_path, change):
    """Bars that break the rules are refused, not repaired in silence."""
    path = tmp_path / "bars.parquet"
    broken(change).write_parquet(path)
    code, message = code_and_message("backtest", "--bars", path, "--strategy", "sma_crossover")
    assert code == 2
    assert "expected" in message or "correct" in message


def test_a_file_that_is_none_ends_as_two(tmp_path):
    """A missing file and one that is no Parquet are told by name."""
    text = tmp_path / "text.parquet"
    text.write_text("hello")
    for path in (tmp_path / "nothing.parquet", text, tmp_path):
        code, message = code_and_message("backtest", "--bars", path, "--strategy", "sma_crossover")
        assert code == 2
        assert str(path) in message


@pytest.mark.parametrize(
    ("targets", "said"),
    [
        (pl.DataFrame({"open_time": [], "target": []}), "target"),
        (bars()[::2].select("open_time", target=pl.lit(1.0)), "bars lack one"),
        (bars().select("open_time", target=pl.lit(1.5)), "values in [0, 1]"),
        (bars().select("open_time"), "columns open_time and target"),
    ],
)
def test_bad_targets_end_as_two(file, tmp_path, targets, said):
    """One target per bar, each in [0, 1]."""
    path = tmp_path / "t.parquet"
    targets.write_parquet(path)
    code, message = code_and_message("backtest", "--bars", file, "--targets", path)
    assert code == 2
    assert said in message


def test_a_sweep_writes_a_row_per_combination(file, tmp_path):
    """Names of the grid and every metric; the speed is told."""
    out, page = tmp_path / "rows.parquet", tmp_path / "map.html"
    grid = '{"fast": [2, 3, 4], "slow": [8, 9], "stop_loss": [0, 0.02]}'
    result = run(
        "sweep", "--bars", file, "--strategy", "sma_crossover", "--grid", grid,
        "--out", out, "--heat-map", page,
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    assert "combinations a second" in result.output
    rows = pl.read_parquet(out)
    assert len(rows) == 12
    assert rows.columns == ["fast", "slow", "stop_loss", *NAMES, "rejected_orders"]
    assert "plotly" in page.read_text().lower()


def test_a_row_of_the_sweep_is_the_backtest(file, tmp_path):
    """The command's rows equal the command's single runs."""
    out, one = tmp_path / "rows.parquet", tmp_path / "one.json"
    exits = ("--trailing-stop", "0.03", "--slippage", "0.001")
    run("sweep", "--bars", file, "--strategy", "sma_crossover", "--grid",
        '{"fast": [3], "slow": [9]}', "--out", out, *exits)  # fmt: skip
    run("backtest", "--bars", file, "--strategy", "sma_crossover", "--params",
        '{"fast": 3, "slow": 9}', "--json", one, *exits)  # fmt: skip
    row = pl.read_parquet(out).row(0, named=True)
    for name, value in orjson.loads(one.read_bytes())["metrics"].items():
        expected = math.nan if value is None else value
        assert row[name] == pytest.approx(expected, rel=1e-9, nan_ok=True), name


def test_a_sweep_in_json_tells_rate_and_best(file, tmp_path):
    """`--json` gives one document with counts, rate and the best row."""
    out = tmp_path / "rows.parquet"
    result = run("sweep", "--bars", file, "--strategy", "sma_crossover", "--grid",
                 '{"fast": [3, 20], "slow": [9]}', "--out", out, "--json")  # fmt: skip
    document = json.loads(result.stdout)
    assert (document["combinations"], document["rows"], document["refused"]) == (2, 1, 1)
    assert document["best"]["fast"] == 3
    assert document["combinations_per_second"] > 0


@pytest.mark.parametrize(
    ("grid", "said"),
    [
        ('{"fast": 3}', "expected a list of values"),
        ("{}", "expected a list of values"),
        ('{"quick": [3]}', "expected names among"),
        ('{"fast": [3.5]}', "parameters' types"),
    ],
)
def test_a_bad_grid_ends_as_two(file, tmp_path, grid, said):
    """The grid is checked before anything is written."""
    out = tmp_path / "rows.parquet"
    code, message = code_and_message(
        "sweep", "--bars", file, "--strategy", "sma_crossover", "--grid", grid, "--out", out
    )
    assert code == 2
    assert said in message
    assert not out.exists()


def test_a_sweep_writes_what_the_name_says(file, tmp_path):
    """CSV has the rows of Parquet; the page of charts is drawn of either."""
    asked = ("--bars", file, "--strategy", "sma_crossover")
    grid = ("--grid", '{"fast": [2, 3], "slow": [8, 9]}')
    for out in (tmp_path / "rows.parquet", tmp_path / "rows.CSV"):
        done = run("sweep", *asked, *grid, "--out", out, "--heat-map", tmp_path / "map.html")
        assert done.exit_code == 0, done.output
    assert_frame_equal(
        pl.read_csv(tmp_path / "rows.CSV"), pl.read_parquet(tmp_path / "rows.parquet")
    )


@pytest.mark.parametrize("name", ["rows.xlsx", "rows", "rows.json"])
def test_a_table_of_another_kind_ends_as_two(tmp_path, name):
    """Before the bars are read."""
    asked = ("--bars", tmp_path / "none.parquet", "--strategy", "sma_crossover", "--grid", "{}")
    code, said = code_and_message("sweep", *asked, "--out", tmp_path / name)
    assert code == 2
    assert f"--out: expected a file that ends in .parquet or .csv; it was {tmp_path / name}" in said
    assert not list(tmp_path.iterdir())


def test_a_heat_map_of_one_name_ends_as_two_before_the_sweep(file, tmp_path):
    """Nothing is written."""
    out = tmp_path / "rows.parquet"
    asked = ("--strategy", "sma_crossover", "--grid", '{"fast": [3]}', "--heat-map", tmp_path / "m")
    code, said = code_and_message("sweep", "--bars", file, *asked, "--out", out)
    assert (code, out.exists()) == (2, False)
    assert "--heat-map: expected a grid of two names" in said


def test_symbol_and_interval_choose_among_those_of_a_file(tmp_path):
    """And name what it leaves unsaid."""
    both, bare = tmp_path / "both.parquet", tmp_path / "bare.parquet"
    other = bars().with_columns(pl.lit("ETHUSDT").alias("symbol"), close=pl.col("open"))
    pl.concat([bars(), other]).write_parquet(both)
    bars().drop("symbol", "timeframe").write_parquet(bare)
    asked = ("--strategy", "sma_crossover", "--interval", "1h")
    for file, symbol in ((both, "BTCUSDT"), (both, "ETHUSDT"), (bare, "SOLUSDT")):
        done = run("backtest", "--bars", file, "--symbol", symbol, *asked)
        assert done.exit_code == 0, done.output
        assert f"sma_crossover {symbol} 1h" in done.output
    code, said = code_and_message("backtest", "--bars", both, *asked)
    assert code == 2
    assert "it holds 2" in said


@pytest.mark.parametrize(
    ("option", "value", "held"), [("--symbol", "ETHUSDT", "BTCUSDT"), ("--interval", "4h", "1h")]
)
@pytest.mark.parametrize("command", ["backtest", "sweep"])
def test_what_a_file_does_not_hold_ends_as_two(file, tmp_path, command, option, value, held):
    """It was taken for the other symbol in silence."""
    out = tmp_path / "rows.parquet"
    more = ("--grid", '{"fast": [3]}', "--out", out) if command == "sweep" else ()
    asked = ("--bars", file, "--strategy", "sma_crossover", option, value, *more)
    code, said = code_and_message(command, *asked)
    assert (code, out.exists()) == (2, False)
    assert f"{option}: expected one that {file} holds ({held}); it was '{value}'" in said


def test_metrics_of_a_file_of_returns(tmp_path):
    """Every daily measure, PSR and, with the trials behind it, DSR."""
    path = tmp_path / "returns.csv"
    pl.DataFrame({"r": np.random.default_rng(0).normal(0.001, 0.02, 300)}).write_csv(path)
    bare = json.loads(run("metrics", "--returns", path, "--json").stdout)
    assert {"sharpe", "sortino", "cagr", "max_drawdown", "calmar", "psr"} <= set(bare)
    assert "dsr" not in bare
    luck = ("--trials", "50", "--trial-variance", "0.001")
    judged = json.loads(run("metrics", "--returns", path, *luck, "--json").stdout)
    assert judged["dsr"] < judged["psr"] == bare["psr"]
    assert "sharpe" in run("metrics", "--returns", path).output


def test_metrics_want_one_column_and_both_figures_of_luck(tmp_path):
    """Two columns, or trials without their variance, end as 2."""
    path = tmp_path / "returns.parquet"
    pl.DataFrame({"a": [0.1], "b": [0.2]}).write_parquet(path)
    assert code_and_message("metrics", "--returns", path)[0] == 2
    pl.DataFrame({"a": [0.1, 0.2]}).write_parquet(path)
    assert code_and_message("metrics", "--returns", path, "--trials", "5")[0] == 2


@pytest.mark.parametrize("option", ["--cash", "--taker-fee", "--stop-loss", "--step-size"])
def test_a_number_that_is_none_ends_as_two(file, option):
    """NaN passes every range, so it is refused by itself."""
    arguments = ("backtest", "--bars", file, "--strategy", "sma_crossover", option, "nan")
    code, said = code_and_message(*arguments)
    assert code == 2
    assert "finite" in said


def test_a_span_without_bars_is_named_as_a_person_would(file):
    """Neither Python's None nor an offset of UTC."""
    asked = ("backtest", "--bars", file, "--strategy", "sma_crossover", "--start", "2030-01-01")
    said = code_and_message(*asked)[1]
    assert f"{file}: expected bars from 2030-01-01 00:00; there are none; widen it" in said


def test_a_symbol_that_is_not_stored_ends_as_two_with_how_to_get_it(tmp_path, monkeypatch):
    """Nothing can be widened there: there is nothing."""
    monkeypatch.setenv("THUNES_HOME", str(tmp_path))
    asked = ("backtest", "--symbol", "XXXUSDT", "--interval", "1h", "--strategy", "sma_crossover")
    code, said = code_and_message(*asked)
    assert code == 2
    assert "store: expected 1h bars of XXXUSDT" in said
    assert "`thunes ingest`" in said


def test_a_time_beyond_the_calendar_ends_as_two(file):
    """A time that UTC cannot hold is bad input."""
    late = ("--start", "9999-12-31T23:59:59-10:00")
    assert code_and_message("backtest", "--bars", file, "--strategy", "x", *late)[0] == 2


def test_targets_that_are_no_numbers_end_as_two(file, tmp_path):
    """Texts in place of targets or of times are bad input."""
    times = bars()["open_time"]
    path = tmp_path / "targets.parquet"
    for column in ({"target": "x"}, {"open_time": "x", "target": 1.0}):
        pl.DataFrame({"open_time": times}).with_columns(
            **{name: pl.lit(value) for name, value in column.items()}
        ).write_parquet(path)
        code, said = code_and_message("backtest", "--bars", file, "--targets", path)
        assert code == 2
        assert "wrong type" in said


@pytest.mark.parametrize("value", [math.nan, math.inf, -1.5])
def test_returns_that_cannot_be_end_as_two(tmp_path, value):
    """A return is finite, and loses no more than everything."""
    path = tmp_path / "returns.parquet"
    pl.DataFrame({"r": [0.1, value, 0.2]}).write_parquet(path)
    code, said = code_and_message("metrics", "--returns", path)
    assert code == 2
    assert "1 of 3" in said


@pytest.mark.parametrize("unit", [1_000_000, 1000, 1, 1 / 1000])
def test_times_as_numbers_are_read_in_the_unit_they_fit(file, tmp_path, unit):
    """Seconds, milliseconds, microseconds and nanoseconds since 1970 are the same times."""
    path = tmp_path / "numbers.parquet"
    times = (bars()["open_time"].to_physical() / unit).cast(pl.Int64)
    bars().with_columns(open_time=times).write_parquet(path)
    asked = ("--strategy", "sma_crossover", "--json", "-")
    expected = run("backtest", "--bars", file, *asked).stdout
    assert run("backtest", "--bars", path, *asked).stdout == expected


def test_a_unit_that_changes_within_a_file_is_followed(file, tmp_path):
    """An exchange went from milliseconds to microseconds: each number is read by its size."""
    path = tmp_path / "mixed.parquet"
    times = bars()["open_time"].to_physical()
    mixed = pl.concat([times[:100] // 1000, times[100:]])
    bars().with_columns(open_time=mixed).write_parquet(path)
    asked = ("--strategy", "sma_crossover", "--json", "-")
    expected = run("backtest", "--bars", file, *asked).stdout
    assert run("backtest", "--bars", path, *asked).stdout == expected


@pytest.mark.parametrize(
    "extreme",
    [
        ("--taker-fee", "0.5", "--slippage", "0.5"),
        ("--cash", "1e-9"),
        ("--cash", "1e15", "--stop-loss", "1", "--take-profit", "1e308"),
        ("--cooldown-minutes", "9" * 30, "--stop-loss", "0.001"),
        ("--step-size", "5e-324"),
        ("--min-notional", "1e308"),
    ],
)
def test_extreme_options_give_defined_answers(file, extreme):
    """Whatever is allowed runs without a warning; what has no answer is null."""
    asked = ("--strategy", "sma_crossover", "--params", '{"fast": 3, "slow": 9}', "--json", "-")
    done = run("backtest", "--bars", file, *asked, *extreme)
    assert done.exit_code == 0, done.output
    assert list(json.loads(done.stdout)["metrics"]) == list(NAMES)


def test_a_cooldown_beyond_all_time_lasts(file):
    """After the first loss nothing is bought again, however large the number of minutes."""
    asked = ("--strategy", "sma_crossover", "--params", '{"fast": 3, "slow": 9}', "--json", "-")
    forever = ("--stop-loss", "0.001", "--cooldown-minutes", "9" * 30)
    trades = json.loads(run("backtest", "--bars", file, *asked, *forever).stdout)["trades"]
    assert [trade["pnl"] < 0 for trade in trades].index(True) == len(trades) - 1


def test_a_file_is_written_whole_or_stays_as_it_was(file, tmp_path):
    """A sweep that fails leaves the earlier result, and nothing beside it."""
    out = tmp_path / "rows.parquet"
    out.write_text("earlier")
    asked = ("sweep", "--bars", file, "--strategy", "sma_crossover", "--out", out)
    assert code_and_message(*asked, "--grid", '{"fast": [3], "slow": ["a"]}')[0] == 2
    assert out.read_text() == "earlier"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["bars.parquet", "rows.parquet"]
    assert run(*asked, "--grid", '{"fast": [3], "slow": [9]}').exit_code == 0
    assert len(pl.read_parquet(out)) == 1
    assert sorted(p.name for p in tmp_path.iterdir()) == ["bars.parquet", "rows.parquet"]


def test_a_device_is_written_to_and_stays(file):
    """What is no plain file is not replaced by one."""
    asked = ("backtest", "--bars", file, "--strategy", "sma_crossover", "--json", os.devnull)
    assert run(*asked).exit_code == 0
    assert not Path(os.devnull).is_file()


def test_negative_exits_of_a_grid_end_as_two(file, tmp_path):
    """A negative stop would silently be none."""
    out = tmp_path / "rows.parquet"
    asked = ("--bars", file, "--strategy", "sma_crossover", "--out", out)
    code, said = code_and_message("sweep", *asked, "--grid", '{"stop_loss": [-0.1]}')
    assert code == 2
    assert "stop_loss=-0.1" in said


def test_names_in_a_grid_are_told_with_the_best(file, tmp_path):
    """A parameter may be a name, as that of an inner strategy."""
    out = tmp_path / "rows.parquet"
    asked = ("--bars", file, "--strategy", "volatility_target", "--out", out)
    done = run("sweep", *asked, "--grid", '{"inner": ["sma_crossover", "macd_trend"]}')
    assert done.exit_code == 0, done.output
    assert "best: inner " in done.stdout


@pytest.mark.parametrize("value", ["1e308", "-1e18", "1" + "0" * 30])
def test_parameters_of_no_sensible_size_end_as_two(file, value):
    """What would overflow on the way is refused by name."""
    asked = ("--strategy", "bollinger_reversion", "--params")
    for name in ("span", "width"):
        code, said = code_and_message("backtest", "--bars", file, *asked, f'{{"{name}": {value}}}')
        assert code == 2
        assert name in said
