"""The demo: the whole loop on the local testnet, on a stepped clock, in one process.

Ingest, search, promote, a tick at every bar close, a report every day: the same Dagster jobs that a
daemon starts, run one after another. Equal arguments give equal orders.

Add here: a step of the loop. Keep out: how it is printed (`cli/demo.py`), what a job does.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from thunes_core.clock import to_millis
from thunes_core.domain.bars import Interval, parse_interval
from thunes_core.errors import AnswerIsNo, BadInput, OutsideFailed
from thunes_core.settings import load
from thunes_pipelines.services.demo_result import CASH, DemoResult, sum_up

if TYPE_CHECKING:
    import dagster as dg

    from thunes_core.settings import Settings
    from thunes_core.testnet.app import RunningTestnet
    from thunes_core.testnet.market import Market

GENERATED_SYMBOLS = ("BTCUSDT", "ETHUSDT")
STRATEGIES = ("sma_crossover", "rsi_reversion")
MARKER = ".made-by-thunes-demo"
REPORT_HOUR = 23

Told = Callable[[str, int, int], None]
"""Called with the step's name, how much of it is done, and how much there is."""


@dataclass(frozen=True, slots=True)
class DemoPlan:
    """What the demo trades: `bars` to replay, or an invented market; days to trade; seed."""

    home: Path
    bars: Path | None = None
    days: int = 7
    history_days: int = 365
    seed: int = 7


@dataclass(frozen=True, slots=True)
class Session:
    """The definitions and the instance that every job of the demo runs on."""

    defs: dg.Definitions
    instance: dg.DagsterInstance

    def run(self, job: str, key: str | None = None) -> dg.JobExecutionResult:
        """Run one job to its end; `AnswerIsNo` with the sentence of the step that failed."""
        from thunes_pipelines.services.session import failure_message, run_job_in_process

        result = run_job_in_process(self.defs, job, self.instance, key)
        if not result.success:
            raise AnswerIsNo(f"demo: the job {job} {key or ''} failed: {failure_message(result)}")
        return result


def run(plan: DemoPlan, tell: Told) -> DemoResult:
    """Run the whole loop and return what it did; each job's failure raises its own sentence."""
    from thunes_core.testnet.app import serve_in_thread

    tell("start the local testnet", 0, 1)
    market, interval = _market(plan)
    begin = market.start
    _fresh(plan.home)
    with serve_in_thread(market, clock="stepped", start=begin, cash=CASH) as testnet:
        tell("start the local testnet", 1, 1)
        with _environment(plan, testnet.url, market.symbols, interval):
            return _loop(plan, testnet, begin, tell)


def _market(plan: DemoPlan) -> tuple[Market, Interval]:
    """Build the market: the given candles up to `days` before their end, or an invented one."""
    from thunes_core.testnet.candles import read_candles
    from thunes_core.testnet.market import generated_market, replayed_market

    if plan.bars is None:
        market = generated_market(
            GENERATED_SYMBOLS, seed=plan.seed, history_days=plan.history_days + 30
        )
        return market, Interval.H1
    frame = read_candles(plan.bars)
    interval = parse_interval(str(frame["interval"][0]))
    first, last = frame["open_time"][0], frame["open_time"][-1]
    start = interval.floor(last) - timedelta(days=plan.days)
    if start - first < timedelta(days=30):
        raise BadInput(
            f"demo: expected at least {plan.days + 30} days of candles in {plan.bars}; "
            f"it was {first} to {last}; give a longer file or fewer --days"
        )
    return replayed_market([frame], start=start), interval


def _fresh(home: Path) -> None:
    """Make `home` empty; `BadInput` when it holds something that no demo made."""
    if home.exists() and any(home.iterdir()):
        if not (home / MARKER).exists():
            raise BadInput(
                f"demo: expected an empty folder or one of an earlier demo; {home} is neither; "
                "give another --home"
            )
        shutil.rmtree(home)
    home.mkdir(parents=True, exist_ok=True)
    (home / MARKER).touch()


@contextmanager
def _environment(
    plan: DemoPlan, url: str, symbols: list[str], interval: Interval
) -> Iterator[None]:
    """Let the demo's settings stand alone, whatever the user's are; put theirs back afterwards."""
    own = {
        "THUNES_CONFIG": os.devnull,
        "THUNES_HOME": str(plan.home),
        "THUNES_EXCHANGE": "local",
        "THUNES_BROKER": "exchange",
        "THUNES_BINANCE_REST_URL": url,
        "THUNES_SYMBOLS": ",".join(symbols),
        "THUNES_INTERVAL": str(interval),
        "THUNES_STRATEGIES": ",".join(STRATEGIES),
        "THUNES_HISTORY_DAYS": str(plan.history_days),
        "THUNES_SEED": str(plan.seed),
        "THUNES_PROMOTION": "bootstrap",
        "THUNES_DAILY_LOSS_QUOTE": "100",
        "THUNES_MAX_SYMBOL_EXPOSURE": "2500",
        "THUNES_COOLDOWN_MINUTES": "60",
        "THUNES_STOP_LOSS": "0.02",
        "THUNES_TRAILING_STOP": "0.015",
        "THUNES_TAKE_PROFIT": "0.03",
        "DAGSTER_HOME": str(plan.home / "dagster"),
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "DO_NOT_TRACK": "1",
    }
    theirs = dict(os.environ)
    for name in theirs:
        if name.startswith("THUNES_") and name != "THUNES_LOG_LEVEL":
            del os.environ[name]
    os.environ.update(own)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(theirs)


def _loop(plan: DemoPlan, testnet: RunningTestnet, begin: datetime, tell: Told) -> DemoResult:
    from thunes_pipelines.build import build_definitions
    from thunes_pipelines.services.session import open_instance
    from thunes_pipelines.services.state_folder import prepare

    settings = load()
    prepare(settings)
    with open_instance(settings.home / "dagster") as instance:
        session = Session(build_definitions(), instance)
        _ingest(session, settings, begin - timedelta(days=plan.history_days), begin, tell)
        _research(session, settings, tell)
        end = begin + timedelta(days=plan.days)
        ticks = _trade(session, settings, testnet, begin, end, tell)
        _ingest(session, settings, begin, end, tell, name="ingest the traded week")
        tell("publish the warehouse", 0, 1)
        session.run("publish_warehouse")
        tell("publish the warehouse", 1, 1)
        return sum_up(settings, begin, end, ticks)


def _ingest(
    session: Session,
    settings: Settings,
    start: datetime,
    end: datetime,
    tell: Told,
    name: str = "ingest",
) -> None:
    """Run the job `ingest` for every month between."""
    from thunes_pipelines import partitions

    session.instance.add_dynamic_partitions(partitions.SYMBOL, list(settings.symbols))
    keys = [
        partitions.bars_key(month, symbol)
        for symbol in settings.symbols
        for month in partitions.months_between(start, end)
    ]
    for done, key in enumerate(keys):
        tell(name, done, len(keys))
        session.run("ingest", key)
    tell(name, len(keys), len(keys))


def _research(session: Session, settings: Settings, tell: Told) -> None:
    """Run the job `reoptimise` for every configured study."""
    from thunes_pipelines import partitions

    studies = partitions.configured_studies(settings)
    session.instance.add_dynamic_partitions(partitions.STUDY, studies)
    for done, study in enumerate(studies):
        tell("search walk-forward, judge, promote", done, len(studies))
        session.run("reoptimise", study)
    tell("search walk-forward, judge, promote", len(studies), len(studies))


def _trade(
    session: Session,
    settings: Settings,
    testnet: RunningTestnet,
    begin: datetime,
    end: datetime,
    tell: Told,
) -> int:
    """Step the exchange's clock to every bar close and trade; report at the hour of the report."""
    from thunes_pipelines import partitions

    step = settings.interval.duration
    ticks = (end - begin) // step
    for tick in range(ticks):
        tell("trade", tick, ticks)
        now = begin + step * tick
        _move(testnet, now)
        session.run("trade")
        last_of_day = (now + step).date() > now.date() or tick == ticks - 1
        if now.hour == REPORT_HOUR or last_of_day:
            session.run("daily_report", partitions.day_key(now))
    _move(testnet, end)
    tell("trade", ticks, ticks)
    return ticks


def _move(testnet: RunningTestnet, now: datetime) -> None:
    """Move the exchange's clock, through the door that any client would use."""
    import requests

    answer = requests.post(
        f"{testnet.url}/testnet/clock", json={"to_ms": to_millis(now)}, timeout=10
    )
    if not answer.ok:
        raise OutsideFailed(f"demo: the testnet's clock did not move: {answer.text}")
