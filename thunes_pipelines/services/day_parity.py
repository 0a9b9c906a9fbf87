"""Parity of one real day: what was traded, order by order, against the backtest of the same bars.

The backtest begins where the book was last flat, with the money it had then, and takes for each bar
the parameters that really decided on it. What differs is late, slipped, missing or too much.

Add here: what is compared. Keep out: invented markets (`parity`), what the UI shows (assets).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import polars as pl

from thunes_core.domain.limits import Costs, LimitEntry, LotRules, Protection
from thunes_core.strategies.base import build_from
from thunes_core.trading.world import Study, parse_study

if TYPE_CHECKING:
    from thunes_core.adapters.ledger import Ledger

SPARE_BARS = 5
STEPS_APART = 1.01
"""A quantity may differ by a step (rounding, money short by an earlier fill's slippage) and by the
fee, which the exchange takes from the coins that were bought."""

ReadBars = Callable[[Study, datetime, datetime], pl.DataFrame]
SCHEMA = {
    "study": pl.String(),
    "bar": pl.Datetime("us", "UTC"),
    "verdict": pl.String(),
    "backtest_quantity": pl.Float64(),
    "live_quantity": pl.Float64(),
    "backtest_price": pl.Float64(),
    "live_price": pl.Float64(),
    "worse_bps": pl.Float64(),
}


@dataclass(frozen=True, slots=True)
class DayTerms:
    """What the backtest of the day is run with; `allotment` in quote units, `entry` as traded."""

    allotment: float
    costs: Costs
    protection: Protection
    lots: LotRules
    entry: LimitEntry | None = None


def study_parity(
    ledger: Ledger, read: ReadBars, key: str, day: tuple[datetime, datetime], terms: DayTerms
) -> pl.DataFrame:
    """Return a row per order of the day, live or simulated, of one study.

    `day`: start and end (excluded), UTC. `bar` is the open at which it was traded; quantities are
    signed, base units; `worse_bps` is how much worse than the backtest the live price was. The
    verdict is `same`, `quantity`, `missing` (live has none) or `extra`. Empty where nothing was
    decided, or a version's parameters are not known any more.
    """
    from thunes_core.backtest.simulate import backtest

    study = parse_study(key)
    decided = _of(ledger.decisions(day[0] - study.interval.duration, day[1]), study)
    start = _flat_since(ledger, study, day[0])
    targets = _targets(_of(ledger.decisions(), study), ledger, read, study, (start, day[1]))
    if decided.is_empty() or targets is None or targets.is_empty():
        return pl.DataFrame(schema=SCHEMA)
    run = backtest(
        targets.drop("target"),
        targets["target"],
        cash=terms.allotment + _earned(ledger, study, start),
        costs=terms.costs,
        protection=terms.protection,
        lots=terms.lots,
        entry=terms.entry,
    )
    simulated = _moves(run.equity, run.trades, targets, terms)
    live = _traded(_of(ledger.fills(start, day[1]), study), study)
    rows = _compared(simulated, live, study, terms)
    return rows.filter((pl.col("bar") >= day[0]) & (pl.col("bar") < day[1]))


def _of(frame: pl.DataFrame, study: Study) -> pl.DataFrame:
    return frame.filter(strategy=study.strategy, symbol=study.symbol)


def _flat_since(ledger: Ledger, study: Study, day_start: datetime) -> datetime:
    """Return the newest moment, at or before the day's start, at which nothing was held."""
    trades = _of(ledger.trades(), study)
    held = trades.filter((pl.col("entry_time") < day_start) & (pl.col("exit_time") > day_start))
    book = ledger.position(study.strategy, study.symbol)
    entries = held["entry_time"].to_list()
    if book is not None and book.is_open and book.entry_time is not None:
        entries.append(book.entry_time)
    return study.interval.floor(min([day_start, *entries]))


def _earned(ledger: Ledger, study: Study, start: datetime) -> float:
    """Return what the trades that were closed before `start` earned, quote units."""
    closed = _of(ledger.trades(until=start), study)
    return float(closed["pnl"].sum())


def _targets(
    decided: pl.DataFrame,
    ledger: Ledger,
    read: ReadBars,
    study: Study,
    window: tuple[datetime, datetime],
) -> pl.DataFrame | None:
    """Return bars with `target`, by the version that decided each; 0 before the window's first.

    None where a version is not known any more. A target that was not followed by an order before
    the window began (a block after a stop) does not count until it changes.
    """
    first = window[0] - study.interval.duration
    versions = decided.filter(pl.col("bar") >= first)["parameters"].unique().to_list()
    champions = [ledger.version_of(study.key, fingerprint) for fingerprint in versions]
    built = [build_from(c.parameters) for c in champions if c is not None]
    if not built or len(built) < len(versions):
        return None
    spare = (max(one.warmup_bars for one in built) + SPARE_BARS) * study.interval.duration
    bars = read(study, first - spare, window[1])
    if bars.is_empty():
        return None
    by_bar = bars.join(
        decided.select(open_time="bar", version="parameters", before="previous_target"),
        on="open_time",
        how="left",
    ).with_columns(pl.col("version", "before").forward_fill())
    wanted = pl.coalesce(
        *(
            pl.when(pl.col("version") == name).then(one.target_exposure(bars))
            for name, one in zip(versions, built, strict=True)
        ),
        pl.lit(0.0),
    )
    early = pl.col("open_time") < first
    with_target = by_bar.with_columns(target=pl.when(early).then(0.0).otherwise(wanted))
    return _unblocked(with_target, first, _held_at(ledger, study, window[0])).drop(
        "version", "before"
    )


def _held_at(ledger: Ledger, study: Study, moment: datetime) -> bool:
    """True when the first decision of the window led to an entry at its first bar."""
    fills = _of(ledger.fills(moment, moment + study.interval.duration), study)
    return not fills.filter(side="BUY").is_empty()


def _unblocked(bars: pl.DataFrame, first: datetime, enters: bool) -> pl.DataFrame:
    """Set the first run of one target to 0 where it was wanted before and nothing was bought."""
    now = bars.filter(open_time=first)
    if enters or now.is_empty() or now["before"][0] is None:
        return bars
    old = now["before"][0]
    if old == 0.0 or now["target"][0] != old:
        return bars
    after = pl.col("open_time") >= first
    changed = (after & (pl.col("target") != old)).cast(pl.Int8).cum_max() == 1
    return bars.with_columns(target=pl.when(changed).then("target").otherwise(0.0))


def _moves(
    equity: pl.DataFrame, trades: pl.DataFrame, bars: pl.DataFrame, terms: DayTerms
) -> pl.DataFrame:
    """Return bar, backtest_quantity (signed) and backtest_price of every bar that traded.

    The price of a buy by a limit order is that of the trade it opened.
    """
    costs = terms.costs
    moved = pl.col("quantity").diff().fill_null(pl.col("quantity"))
    price = (
        pl.when(moved > 0)
        .then(pl.col("open") * (1 + costs.slippage))
        .otherwise(pl.col("open") * (1 - costs.slippage))
    )
    both = equity.join(bars.select("open_time", "open"), on="open_time")
    exits = trades.filter(~pl.col("reason").is_in(["signal", "open"]))
    entries = trades if terms.entry is not None else trades.clear()
    return (
        both.select(bar="open_time", backtest_quantity=moved, plain=price)
        .join(entries.select(bar="entry_time", entry_price="entry_price"), on="bar", how="left")
        .filter(pl.col("backtest_quantity").abs() > 1e-12)
        .join_asof(
            exits.select(bar="exit_time", exit_price="exit_price").sort("bar"),
            on="bar",
            strategy="forward",
            tolerance=_step(bars),
        )
        .select(
            "bar",
            "backtest_quantity",
            backtest_price=pl.when(pl.col("backtest_quantity") < 0)
            .then(pl.coalesce("exit_price", "plain"))
            .otherwise(pl.coalesce("entry_price", "plain")),
        )
    )


def _step(bars: pl.DataFrame) -> timedelta:
    times: list[datetime] = bars["open_time"].tail(2).to_list()
    return times[-1] - times[0]


def _traded(fills: pl.DataFrame, study: Study) -> pl.DataFrame:
    """Return bar, live_quantity (signed, net) and live_price (average) of the fills by bar."""
    sign = pl.when(pl.col("side") == "BUY").then(1.0).otherwise(-1.0)
    worth = (pl.col("quantity") * pl.col("price")).sum()
    return (
        fills.group_by(bar=pl.col("time").dt.truncate(f"{study.interval.minutes}m"))
        .agg(
            live_quantity=(pl.col("quantity") * sign).sum(),
            live_price=worth / pl.col("quantity").sum(),
        )
        .sort("bar")
    )


def _compared(
    simulated: pl.DataFrame, live: pl.DataFrame, study: Study, terms: DayTerms
) -> pl.DataFrame:
    both = simulated.join(live, on="bar", how="full", coalesce=True).sort("bar")
    apart = (pl.col("live_quantity") - pl.col("backtest_quantity")).abs()
    side = pl.col("backtest_quantity").sign()
    fee = terms.costs.taker_fee * pl.col("backtest_quantity").abs()
    allowed = max(STEPS_APART * terms.lots.step_size, 1e-9) + fee
    return both.select(
        pl.lit(study.key).alias("study"),
        "bar",
        verdict=pl.when(pl.col("live_quantity").is_null())
        .then(pl.lit("missing"))
        .when(pl.col("backtest_quantity").is_null())
        .then(pl.lit("extra"))
        .when(apart > allowed)
        .then(pl.lit("quantity"))
        .otherwise(pl.lit("same")),
        backtest_quantity="backtest_quantity",
        live_quantity="live_quantity",
        backtest_price="backtest_price",
        live_price="live_price",
        worse_bps=side * (pl.col("live_price") / pl.col("backtest_price") - 1) * 1e4,
    )


def summary(rows: pl.DataFrame) -> dict[str, Any]:
    """Return how many orders there were by verdict, and the mean slippage beyond the backtest's."""
    counts = dict(rows["verdict"].value_counts().iter_rows())
    return {
        "orders": rows.height,
        **{name: counts.get(name, 0) for name in ("same", "quantity", "missing", "extra")},
        "mean_worse_bps": rows["worse_bps"].mean(),
    }
