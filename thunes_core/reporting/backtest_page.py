"""The page of one backtest: a single HTML file that needs no network and fits a phone.

Add here: a section of the page. Keep out: drawing (`backtest_figures`), measuring (`backtest`).
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import polars as pl

from thunes_core.domain.results import BacktestResult
from thunes_core.reporting import backtest_figures as figures
from thunes_core.reporting import words

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

SHARES = {
    "total_return", "cagr", "max_drawdown", "win_rate", "exposure", "volatility",
    "average_trade", "psr",
}  # fmt: skip
COUNTS = {"trades", "longest_drawdown_days"}
ROLLING_DAYS = (10, 90)
"""A rolling window is a quarter of the run, but within these bounds."""
LISTED_TRADES = 40


def backtest_page(
    result: BacktestResult,
    bars: pl.DataFrame,
    title: str,
    *,
    benchmark: BacktestResult | None = None,
) -> str:
    """Return the page of `result`, simulated over `bars`, as one self-contained HTML document.

    `benchmark` is drawn and told beside it; by default buying and holding at the default costs.
    Starting cash is the first bar's equity: nothing can be held before the second bar.
    """
    from thunes_core.backtest.more_metrics import buy_and_hold, monthly_returns, more_metrics

    cash = float(result.equity["equity"][0])
    held = benchmark or buy_and_hold(bars, cash=cash)
    rolling, window = rolling_sharpe(result.equity, cash)
    view = {
        "title": title,
        "first": words.moment(bars["open_time"][0]),
        "last": words.moment(bars["open_time"][-1]),
        "bars": len(bars),
        "tiles": _tiles(result, held),
        "rows": _rows(result, held, more_metrics(result, cash), more_metrics(held, cash)),
        "window": window,
        "rejected": result.rejected_orders,
        "trades": _trades(result.trades),
        "unlisted": max(len(result.trades) - LISTED_TRADES, 0),
        "figures": {
            "equity": _json(figures.equity_figure(result.equity, held.equity, cash)),
            "price": _json(figures.trades_figure(bars, result.trades)),
            "months": _json(figures.monthly_figure(monthly_returns(result.equity, cash))),
            "rolling": _json(figures.rolling_sharpe_figure(rolling)) if len(rolling) else "",
        },
    }
    return _rendered(view)


def rolling_sharpe(equity: pl.DataFrame, cash: float) -> tuple[pl.DataFrame, int]:
    """Return day and annual Sharpe ratio over the window before it, and the window in days.

    Empty when there are fewer days than the window; NaN where returns have no spread.
    """
    from thunes_core.backtest.metrics import DAYS_A_YEAR, day_ends, ratio
    from thunes_core.backtest.more_metrics import returns_of
    from thunes_core.indicators import rolling_std, sma

    returns = returns_of(equity, cash)
    window = min(max(len(returns) // 4, ROLLING_DAYS[0]), ROLLING_DAYS[1])
    days = equity["open_time"].gather(day_ends(equity["open_time"].dt.epoch("us").to_numpy()))
    sharpe = ratio(sma(returns, window), rolling_std(returns, window, ddof=1))
    found = pl.DataFrame({"day": days, "sharpe": sharpe * math.sqrt(DAYS_A_YEAR)})
    return found[window - 1 :], window


def _tiles(result: BacktestResult, held: BacktestResult) -> list[dict[str, str]]:
    labels = {
        "total_return": "Total return",
        "cagr": "A year",
        "sharpe": "Sharpe",
        "max_drawdown": "Max drawdown",
        "win_rate": "Win rate",
        "trades": "Closed trades",
    }
    return [
        {
            "label": label,
            "value": shown(name, result.metrics[name]),
            "note": ""
            if name in ("win_rate", "trades")
            else f"held {shown(name, held.metrics[name])}",
            "tone": _tone(name, result.metrics[name]),
        }
        for name, label in labels.items()
    ]


def _rows(
    result: BacktestResult, held: BacktestResult, more: Any, more_held: Any
) -> list[tuple[str, str, str]]:
    ours, theirs = {**result.metrics, **more}, {**held.metrics, **more_held}
    return [
        (name.replace("_", " "), shown(name, value), shown(name, theirs.get(name, math.nan)))
        for name, value in ours.items()
    ]


def shown(name: str, value: float) -> str:
    """Word a metric: shares as per cent, counts whole, undefined as a dash.

    >>> shown("cagr", 0.1234), shown("trades", 7.0), shown("sharpe", float("nan"))
    ('12.3 %', '7', '–')
    >>> shown("sharpe", -1.23456)
    '−1.235'
    """
    if name in SHARES:
        return words.percent(value)
    if name in COUNTS and math.isfinite(value):
        return f"{value:.0f}"
    return f"{value:,.3f}".replace("-", "−") if math.isfinite(value) else words.NONE


def price(value: float | None) -> str:
    """Word a price: cents for what costs a hundred or more, else six significant digits.

    >>> price(106123.456), price(0.0000123456789), price(None)
    ('106,123.46', '0.0000123457', '–')
    """
    if value is None:
        return words.NONE
    digits = 2 if value >= 100 else 5 - math.floor(math.log10(value))
    return f"{value:,.{digits}f}"


def _tone(name: str, value: float) -> str:
    if name not in ("total_return", "cagr", "sharpe") or not value:
        return "plain"
    return "good" if value > 0 else "bad"


def _trades(trades: pl.DataFrame) -> list[dict[str, Any]]:
    newest = trades.tail(LISTED_TRADES).reverse()
    return [
        {
            "entry": words.moment(t["entry_time"]),
            "exit": words.moment(t["exit_time"]),
            "entry_price": price(t["entry_price"]),
            "exit_price": price(t["exit_price"]),
            "pnl": f"{t['pnl']:+,.2f}".replace("-", "−"),
            "tone": "good" if t["pnl"] > 0 else "bad",
            "reason": t["reason"].replace("_", " "),
        }
        for t in newest.iter_rows(named=True)
    ]


def _json(figure: Figure) -> str:
    """Return a figure as JSON that cannot end the script element it stands in."""
    return str(figure.to_json()).replace("<", "\\u003c")


def _rendered(view: dict[str, Any]) -> str:
    from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape
    from markupsafe import Markup
    from plotly.offline import get_plotlyjs

    environment = Environment(
        loader=PackageLoader("thunes_core.reporting"),
        autoescape=select_autoescape(["html", "html.j2"]),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    drawn = {name: Markup(text) for name, text in view["figures"].items()}
    page = environment.get_template("backtest.html.j2")
    return page.render({**view, "figures": drawn, "plotly": Markup(get_plotlyjs())})
