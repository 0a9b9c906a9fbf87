"""The page of a backtest: complete, self-contained, safe, and drawn by a real browser."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from math import nan, sqrt

import numpy as np
import polars as pl
import pytest

from tests.thunes_core.strategies.frames import bars_of, random_bars
from thunes_core.backtest.simulate import backtest
from thunes_core.reporting import backtest_figures as figures
from thunes_core.reporting.backtest_page import backtest_page, price, rolling_sharpe, shown
from thunes_core.strategies.base import build


@pytest.fixture(scope="module")
def bars():
    """Return four months of hours with trades."""
    return random_bars(4, 3000)


@pytest.fixture(scope="module")
def result(bars):
    """Return a run with many trades."""
    return backtest(bars, build("sma_crossover", {"fast": 5, "slow": 20}).target_exposure(bars))


@pytest.fixture(scope="module")
def page(result, bars):
    """Return the page of the run."""
    return backtest_page(result, bars, 'sma <script>alert("x")</script>')


def embedded(page: str) -> dict[str, dict]:
    """Return the figures that stand in the page, by name."""
    found = re.findall(r'<script type="application/json" id="figure-(\w+)">(.*?)</script>', page)
    return {name: json.loads(text) for name, text in found}


def own_html(page: str) -> str:
    """Return the page without the drawing library."""
    return re.sub(r"<script>/\*\*.*?</script>", "", page, count=1, flags=re.DOTALL)


def test_the_page_holds_all_five_pictures(page):
    """Equity with buy and hold and both drawdowns, trades on the price, months, rolling Sharpe."""
    drawn = embedded(page)
    assert set(drawn) == {"equity", "price", "months", "rolling"}
    names = [trace["name"] for trace in drawn["equity"]["data"]]
    assert names == [
        "buy and hold", "buy and hold, drawdown", "strategy", "strategy, drawdown",
    ]  # fmt: skip
    assert [t["name"] for t in drawn["price"]["data"]] == [
        "close", "entry", "exit, gain", "exit, loss",
    ]  # fmt: skip
    assert drawn["months"]["data"][0]["type"] == "heatmap"


def test_the_page_needs_no_network(page):
    """No source, link or import from outside, and a policy that forbids it."""
    assert not re.search(r"(src|href)=[\"']?(https?:)?//", own_html(page))
    assert "default-src 'none'" in page and "Plotly.newPlot" in page


def test_the_page_fits_a_phone_and_the_dark(page):
    """Viewport, narrow layout and dark colours are declared."""
    assert 'name="viewport"' in page
    assert "max-width: 760px" in page and "prefers-color-scheme: dark" in page


def test_a_title_cannot_become_code(page):
    """What a person calls a run is text."""
    assert "<script>alert" not in page and "&lt;script&gt;alert" in page


def test_every_metric_stands_in_the_table(page, result):
    """By name, beside that of buy and hold."""
    for name in result.metrics:
        assert f"<tr><td>{name.replace('_', ' ')}</td>" in page


def test_every_trade_is_marked_on_the_price(page, result):
    """One mark per entry, one per exit, gains apart from losses."""
    marks = {t["name"]: len(t["text"]) for t in embedded(page)["price"]["data"] if "text" in t}
    closed = result.trades.filter(pl.col("exit_time").is_not_null())
    gains = int((closed["pnl"] > 0).sum())
    assert marks == {"exit, gain": gains, "exit, loss": len(closed) - gains}


def test_a_run_without_trades_has_a_page_all_the_same(bars):
    """Nothing bought: every picture is drawn, undefined figures are dashes."""
    page = backtest_page(backtest(bars, np.zeros(len(bars))), bars, "nothing")
    assert "No trade was made." in page and set(embedded(page)) >= {"equity", "price", "months"}
    assert '<tr><td>win rate</td><td class="n">–</td>' in page


def test_one_bar_has_a_page_all_the_same():
    """The shortest run: no day is full, no window either."""
    single = bars_of([100.0])
    page = backtest_page(backtest(single, np.ones(1)), single, "short")
    assert "The run has fewer than 10 days." in page and "rolling" not in embedded(page)


def test_rolling_sharpe_by_hand():
    """Daily returns of +1 % and −1 % in turn over ten days: mean 0; the eleventh lifts it."""
    days = [100 * 1.01 ** ((i + 1) % 2) for i in range(24)]
    equity = bars_of(days, interval="1d").select("open_time", equity=pl.Series(days))
    found, window = rolling_sharpe(equity, cash=100.0)
    returns = np.diff(np.append(100.0, days)) / np.append(100.0, days[:-1])
    last = returns[-10:]
    assert window == 10 and len(found) == 24 - 10 + 1
    assert found["sharpe"][-1] == pytest.approx(last.mean() / last.std(ddof=1) * sqrt(365))


def test_rolling_sharpe_without_spread_is_a_gap():
    """Cash alone has no Sharpe ratio."""
    equity = bars_of([1.0] * 40, interval="1d").select("open_time", equity=pl.lit(100.0))
    found, _ = rolling_sharpe(equity, cash=100.0)
    assert found["sharpe"].is_nan().all()


def test_thinning_keeps_first_last_and_every_extreme():
    """A spike of one bar among half a million is still seen."""
    values = np.sin(np.arange(500_000) / 1000)
    values[123_456], values[345_678] = 9.0, -9.0
    rows = figures.extremes(values)
    assert len(rows) <= 2 * figures.BUCKETS + 2
    assert {0, 123_456, 345_678, 499_999} <= set(rows.tolist())


def test_short_series_are_drawn_whole():
    """No point is left out where all fit."""
    assert figures.extremes(np.array([1.0, nan, 3.0])).tolist() == [0, 1, 2]


def test_months_are_placed_by_year_with_their_product():
    """+10 % in January and −10 % in March of one year make −1 % for the year."""
    monthly = pl.DataFrame(
        {"year": [2023, 2024, 2024], "month": [12, 1, 3], "return": [0.5, 0.1, -0.1]}
    )
    heat = figures.monthly_figure(monthly).data[0]
    assert list(heat.y) == ["2024", "2023"]
    assert list(heat.text[0]) == ["10.0", "", "-10.0", *[""] * 9, "-1.0"]
    assert heat.text[1][11] == "50.0" and heat.text[1][12] == "50.0"


def test_a_multiplied_equity_is_drawn_on_a_logarithmic_axis():
    """A hundredfold is unreadable otherwise, a doubling is not."""
    times = bars_of([1.0] * 3)["open_time"]
    for last, kind in ((200.0, "linear"), (9000.0, "log")):
        equity = pl.DataFrame({"open_time": times, "equity": [100.0, 150.0, last]})
        assert figures.equity_figure(equity, equity, 100.0).layout.yaxis.type == kind


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [
        ("total_return", 1.234, "123.4 %"),
        ("max_drawdown", -0.05, "−5.00 %"),
        ("trades", 12.0, "12"),
        ("sharpe", 1.5, "1.500"),
        ("win_rate", nan, "–"),
        ("trades", nan, "–"),
    ],
)
def test_metrics_are_worded_by_their_kind(name, value, text):
    """Shares as per cent, counts whole, ratios with three decimals, undefined as a dash."""
    assert shown(name, value) == text


def test_prices_are_worded_by_their_size():
    """Six digits for what is cheap, cents for what is dear."""
    assert [price(v) for v in (1.5, 99.12345, 1e-8, 20_000.0)] == [
        "1.50000", "99.1235", "0.0000000100000", "20,000.00",
    ]  # fmt: skip


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("chromium") is None, reason="needs chromium")
def test_a_browser_draws_every_figure(page, tmp_path):
    """Under the page's own policy, without network, scripts run and four figures appear."""
    path = tmp_path / "page.html"
    path.write_text(page)
    dom = subprocess.run(
        [
            "chromium", "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic",
            "--no-first-run", "--disable-background-networking", "--disable-component-update",
            "--disable-sync", f"--user-data-dir={tmp_path / 'profile'}",
            "--virtual-time-budget=8000", "--dump-dom", path.as_uri(),
        ],
        capture_output=True, text=True, timeout=120, check=True,
    ).stdout  # fmt: skip
    places = re.findall(r'class="figure js-plotly-plot" data-figure="(\w+)"', dom)
    assert places == ["equity", "price", "months", "rolling"]
