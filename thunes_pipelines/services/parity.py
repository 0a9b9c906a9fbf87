"""Parity: the same bars through the live path on a stepped local testnet, and through the backtest.

The testnet replays the bars, fees are taken in the quote asset and no order is too large, as in the
backtest, and a tick runs at every open. Whatever is held after each bar and every closed trade must
be the same.

Add here: what is compared. Keep out: the tick, the backtest, the testnet.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, fields
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from thunes_core.clock import to_millis
from thunes_core.domain.bars import Interval, parse_interval
from thunes_core.domain.limits import Costs, LimitEntry, LotRules, Protection, RiskLimits
from thunes_core.domain.parameters import Champion, ParameterSet, Value, study_key
from thunes_core.errors import BarsInvalid
from thunes_core.settings import LOCAL_KEY, LOCAL_SECRET

if TYPE_CHECKING:
    from thunes_core.adapters.ledger import Ledger
    from thunes_core.domain.instrument import Instrument
    from thunes_core.domain.results import BacktestResult
    from thunes_core.testnet.app import RunningTestnet
    from thunes_core.trading.world import World

WIDE = Decimal(10) ** 12
SPARE_BARS = 10
Told = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class ParityCase:
    """What is run on both paths; `cash` in quote units. `entry` makes increases limit orders."""

    bars: pl.DataFrame
    strategy: str
    values: Mapping[str, Value]
    cash: Decimal = Decimal(10_000)
    costs: Costs = field(default_factory=Costs)
    protection: Protection = field(default_factory=Protection)
    entry: LimitEntry | None = None

    @property
    def symbol(self) -> str:
        """The bars' symbol."""
        return str(self.bars["symbol"][0])

    @property
    def interval(self) -> Interval:
        """The bars' interval."""
        return parse_interval(str(self.bars["interval"][0]))


@dataclass(frozen=True, slots=True)
class Tolerance:
    """How far apart figures may be: rounding of floats, or what the exchange's tick does to stops.

    A resting stop stands on the tick below the backtest's, and so does a limit entry. Its fill may
    be a tick lower (two for the stop of such an entry), and the cash that is short for it may make
    a later quantity a step smaller.
    """

    price: float = 1e-6
    quantity: float = 1e-9
    pnl: float = 1e-6

    @staticmethod
    def of(case: ParityCase, instrument: Instrument) -> Tolerance:
        """Return the tolerance for `case`; what rests at a price of ours allows for its ticks."""
        rules = case.protection
        protects = bool(rules.stop_loss or rules.take_profit or rules.trailing_stop)
        ticks = protects + (case.entry is not None)
        if not ticks:
            return Tolerance()
        tick, step = ticks * float(instrument.tick_size), float(instrument.step_size)
        price = float(case.bars["high"].max())  # type: ignore[arg-type] # of floats
        moved = tick * float(case.cash) / price + step * price
        return Tolerance(tick + 1e-6, 1.01 * step, moved)


@dataclass(frozen=True, slots=True)
class ParityResult:
    """How many ticks ran, how many orders were sent, and every difference found."""

    ticks: int
    orders: int
    differences: tuple[dict[str, Any], ...]

    def as_dict(self) -> dict[str, Any]:
        """Return it as plain values."""
        return {
            "ticks": self.ticks,
            "orders": self.orders,
            "differences": list(self.differences),
        }


def run_parity(case: ParityCase, told: Told = lambda _done, _of: None) -> ParityResult:
    """Run `case` on both paths and compare; `told` hears of progress.

    Raises `UnknownName` or `ParametersInvalid` for the strategy, `BarsInvalid` for too few bars.
    """
    parameters, warmup = _parameters(case)
    first = warmup + SPARE_BARS
    if case.bars.height < first + 2:
        raise BarsInvalid(
            f"parity: expected more than {first + 2} bars for a warm-up of {warmup}; "
            f"it was {case.bars.height}; give a longer file"
        )
    with _account(case, parameters, first) as (world, net, ledger):
        instrument = world.market.instruments([case.symbol])[case.symbol]
        notes = _walk(case, world, net, first, told)
        simulated = _simulate(case, first, _lots(instrument))
        allowed = Tolerance.of(case, instrument)
        differences = compare(simulated, ledger, case.interval, allowed)
        orders = ledger.orders().filter(pl.col("status") != "REFUSED").height
    said = tuple({"kind": "note", "note": note} for note in notes)
    return ParityResult(case.bars.height - first, orders, (*said, *differences))


def compare(
    simulated: BacktestResult, ledger: Ledger, interval: Interval, allowed: Tolerance
) -> tuple[dict[str, Any], ...]:
    """Return every bar that ends with another holding and every trade that differs."""
    return (
        *_held_differently(simulated.equity, ledger.fills(), interval, allowed),
        *_traded_differently(simulated.trades, ledger.trades(), interval, allowed),
    )


def _held_differently(
    expected: pl.DataFrame, fills: pl.DataFrame, interval: Interval, allowed: Tolerance
) -> Iterator[dict[str, Any]]:
    signed = (
        pl.when(pl.col("side") == "BUY").then(pl.col("quantity")).otherwise(-pl.col("quantity"))
    )
    moves = fills.group_by(
        open_time=pl.col("time").dt.truncate(interval.every), maintain_order=True
    ).agg(moved=signed.sum())
    both = expected.join(moves, on="open_time", how="left").with_columns(
        live=pl.col("moved").fill_null(0.0).cum_sum()
    )
    apart = (pl.col("live") - pl.col("quantity")).abs() > allowed.quantity
    for row in both.filter(apart).iter_rows(named=True):
        yield {
            "kind": "holding",
            "bar": row["open_time"],
            "backtest": row["quantity"],
            "live": row["live"],
        }


def _traded_differently(
    expected: pl.DataFrame, live: pl.DataFrame, interval: Interval, allowed: Tolerance
) -> Iterator[dict[str, Any]]:
    closed = expected.filter(pl.col("exit_time").is_not_null()).to_dicts()
    actual = live.to_dicts()
    for number in range(max(len(closed), len(actual))):
        wanted = closed[number] if number < len(closed) else None
        found = actual[number] if number < len(actual) else None
        apart = _apart(wanted, found, interval, allowed)
        if apart:
            yield {"kind": "trade", "number": number, "fields": apart, **_pair(wanted, found)}


def _apart(
    wanted: Mapping[str, Any] | None,
    found: Mapping[str, Any] | None,
    interval: Interval,
    allowed: Tolerance,
) -> list[str]:
    if wanted is None or found is None:
        return ["missing"]
    limits = {
        "entry_price": allowed.price,
        "exit_price": allowed.price,
        "quantity": allowed.quantity,
        "pnl": allowed.pnl,
    }
    names = [name for name, limit in limits.items() if abs(wanted[name] - found[name]) > limit]
    names += ["reason"] * (wanted["reason"] != found["reason"])
    names += ["entry_time"] * (interval.floor(found["entry_time"]) != wanted["entry_time"])
    exits = {interval.floor(found["exit_time"]) + k * interval.duration for k in (0, 1)}
    return names + ["exit_time"] * (wanted["exit_time"] not in exits)


def _pair(wanted: Mapping[str, Any] | None, found: Mapping[str, Any] | None) -> dict[str, Any]:
    names = ("entry_time", "exit_time", "entry_price", "exit_price", "quantity", "pnl", "reason")
    return {
        "backtest": wanted and {name: wanted[name] for name in names},
        "live": found and {name: found[name] for name in names},
    }


def _walk(case: ParityCase, world: World, net: RunningTestnet, first: int, told: Told) -> list[str]:
    from thunes_core.trading.step import tick

    plan, notes = _plan(case), list[str]()
    times = case.bars["open_time"].to_list()
    for number, moment in enumerate(times[first:], start=1):
        _stand_at(net, moment)
        notes += tick(world, plan).notes
        told(number, len(times) - first)
    _stand_at(net, times[-1] + case.interval.duration - timedelta(milliseconds=1))
    _settle(world, plan)
    return notes


def _settle(world: World, plan: Any) -> None:
    """Book what happened inside the last bar."""
    from thunes_core.trading.reconcile import reconcile
    from thunes_core.trading.step import leased, open_desk
    from thunes_core.trading.world import parse_study

    with leased(world) as journal:
        studies = tuple(parse_study(key) for key in plan.studies)
        reconcile(open_desk(world, plan, journal, studies))


def _stand_at(net: RunningTestnet, moment: datetime) -> None:
    with net.exchange.lock:
        net.exchange.clock.move_to(to_millis(moment))
        net.exchange.advance()


def _plan(case: ParityCase) -> Any:
    from thunes_core.trading.world import TradingPlan

    limits = RiskLimits(
        daily_loss_quote=WIDE,
        cooldown_minutes=case.protection.cooldown_minutes,
        max_order_notional=WIDE,
        max_symbol_exposure=WIDE,
        max_total_exposure=WIDE,
    )
    study = study_key(case.strategy, case.symbol, case.interval)
    return TradingPlan((study,), case.cash, limits, case.protection, case.costs, entry=case.entry)


@dataclass(frozen=True, slots=True)
class _Fixed:
    """A source that knows one parameter set."""

    parameters: ParameterSet

    def champion(self, study: str) -> Champion:
        """Return the one there is."""
        return Champion(study, self.parameters, "parity", "")


@contextmanager
def _account(
    case: ParityCase, parameters: ParameterSet, first: int
) -> Iterator[tuple[World, RunningTestnet, Ledger]]:
    from thunes_core.adapters.binance.broker import BinanceBroker
    from thunes_core.adapters.binance.market import BinanceMarket
    from thunes_core.adapters.ledger import open_ledger
    from thunes_core.testnet.app import serve_in_thread
    from thunes_core.testnet.listing import without_maxima
    from thunes_core.testnet.market import replayed_market
    from thunes_core.trading.world import World

    start = case.bars["open_time"][first]
    usual = replayed_market([case.bars], start=start).listing(case.symbol)
    market = replayed_market([case.bars], start=start, listings=[without_maxima(usual)])
    with (
        tempfile.TemporaryDirectory() as folder,
        serve_in_thread(market, cash=case.cash, costs=case.costs, fee_asset="quote") as net,
        closing(BinanceMarket(net.url)) as public,
        closing(BinanceBroker(net.url, LOCAL_KEY, LOCAL_SECRET)) as broker,
        closing(open_ledger(f"sqlite:///{Path(folder) / 'l.db'}", synchronous="OFF")) as ledger,
    ):
        yield World(public, broker, ledger, _Fixed(parameters)), net, ledger


def _parameters(case: ParityCase) -> tuple[ParameterSet, int]:
    """Return the complete parameter set, as the live path demands it, and its warm-up."""
    from thunes_core.strategies.base import build, strategy_class

    strategy = build(case.strategy, case.values)
    names = {f.name for f in fields(strategy)}  # type: ignore[arg-type] # a strategy is a dataclass
    space = strategy_class(case.strategy).space
    values = {name: getattr(strategy, name) for name in space.dimensions if name in names}
    space.require(values)
    return ParameterSet(case.strategy, values), strategy.warmup_bars


def _lots(found: Instrument) -> LotRules:
    return LotRules(float(found.step_size), float(found.min_quantity), float(found.min_notional))


def _simulate(case: ParityCase, first: int, lots: LotRules) -> BacktestResult:
    """Backtest from flat: what the strategy wanted before the first tick does not count."""
    from thunes_core.backtest.simulate import backtest
    from thunes_core.strategies.base import build

    wanted = build(case.strategy, case.values).target_exposure(case.bars)
    before = pl.int_range(case.bars.height, eager=True) < first - 1
    targets = pl.select(pl.when(before).then(0.0).otherwise(wanted).alias("target"))["target"]
    return backtest(
        case.bars,
        targets,
        cash=float(case.cash),
        costs=case.costs,
        protection=case.protection,
        lots=lots,
        entry=case.entry,
    )
