"""A process that has imported everything and forks one child per trial; the child may kill itself.

Started as `python -m tests.crash.zygote`. Each line on stdin is a JSON trial, each line on stdout
the child's end: {"signal": 9} or {"exit": 0}. A trial names the exchange, the ledger, and the
point of the order's life at which the child gets a signal: method, before or after, the n-th call.
SIGKILL ends it there; SIGTERM interrupts it as it does a run of Dagster, or (`command`) the command
`thunes tick` with its exit code, and is to end it soon. The point may be a moment of a transaction.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import signal
import sys
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, event

from tests.worlds import FAST_AND_SLOW, WIDE, Champions
from thunes_core.adapters.binance.broker import BinanceBroker
from thunes_core.adapters.binance.market import BinanceMarket
from thunes_core.adapters.ledger import open_ledger
from thunes_core.adapters.ledger.holders import this_process
from thunes_core.domain.limits import LimitEntry, Protection
from thunes_core.settings import LOCAL_KEY, LOCAL_SECRET
from thunes_core.strategies.base import build
from thunes_core.trading.step import tick
from thunes_core.trading.world import TradingPlan, World
from thunes_pipelines.cli.main import load_commands


class Fatal:
    """Stands before a journal or broker and kills the process at one point of its life."""

    def __init__(self, inner: Any, point: dict[str, Any]) -> None:
        self._inner = inner
        self._point = point
        self.settle_time = getattr(inner, "settle_time", None)

    def under(self, lease: Any) -> Fatal:
        return Fatal(self._inner.under(lease), self._point)

    def __getattr__(self, name: str) -> Any:
        real = getattr(self._inner, name)
        return self._deadly(real) if name == self._point.get("method") else real

    def _deadly(self, real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*given: Any, **named: Any) -> Any:
            self._point["calls"] = self._point.get("calls", 0) + 1
            last = self._point["calls"] == self._point.get("nth", 1)
            if last and self._point["when"] == "before":
                strike(self._point)
            answer = real(*given, **named)
            if last and self._point["when"] == "after":
                strike(self._point)
            return answer

        return call


INTERRUPTED = 128 + signal.SIGTERM
FAILED = 70
BOUND_SECONDS = 20


def strike(point: dict[str, Any]) -> None:
    """Send this process the point's signal; an alarm kills what does not end by it."""
    signal.alarm(BOUND_SECONDS)
    os.kill(os.getpid(), point.get("signal", signal.SIGKILL))


def in_transaction(point: dict[str, Any]) -> None:
    """Strike in the transaction that runs the point's statement: after it, or before its commit."""
    seen = {"statement": False}

    def executed(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if statement.startswith(point["statement"]) and not seen["statement"]:
            seen["statement"] = True
            if point["when"] == "after":
                strike(point)

    def commits(_connection: Any) -> None:
        if seen["statement"] and point["when"] == "commit":
            point["when"] = "struck"
            strike(point)

    event.listen(Engine, "after_cursor_execute", executed)
    event.listen(Engine, "commit", commits)


def parts_of(trial: dict[str, Any]) -> tuple[Any, Any, Any, TradingPlan]:
    """Return market, broker and ledger of the trial, mortal at its point, and its plan."""
    point = trial.get("point") or {}
    if "statement" in point:
        in_transaction(point)
    broker = BinanceBroker(trial["url"], LOCAL_KEY, LOCAL_SECRET)
    if not trial.get("lists", True):
        broker.entry_lists = ()
    ledger = Fatal(open_ledger(trial["ledger"], synchronous="OFF"), point)
    protection = Protection(**trial.get("protection", {}))
    entry = LimitEntry(**trial["entry"]) if trial.get("entry") else None
    plan = TradingPlan((trial["study"],), Decimal(1000), WIDE, protection, entry=entry)
    return BinanceMarket(trial["url"]), Fatal(broker, point), ledger, plan


def run(trial: dict[str, Any]) -> None:
    """Run one tick of the trial, interrupted as a run of Dagster is."""
    from dagster._core.errors import DagsterExecutionInterruptedError, raise_execution_interrupts

    market, broker, ledger, plan = parts_of(trial)
    try:
        with raise_execution_interrupts():
            tick(World(market, broker, ledger, Champions(), holder=this_process()), plan)
    except DagsterExecutionInterruptedError:
        os._exit(INTERRUPTED)


def run_command(trial: dict[str, Any]) -> None:
    """Run `thunes tick` on the trial's parts; ends as the command does."""
    from thunes_pipelines.cli import main as command
    from thunes_pipelines.resources import wiring

    os.environ |= {
        "THUNES_HOME": str(Path(trial["home"])),
        "THUNES_CONFIG": os.devnull,
        "THUNES_BINANCE_REST_URL": trial["url"],
        "THUNES_BROKER": "exchange",
    }
    _, broker, ledger, plan = parts_of(trial)
    wiring.broker = lambda _: broker
    wiring.ledger = lambda _: ledger
    wiring.plan = lambda *_: plan
    wiring.parameter_source = lambda _: Champions()
    sys.argv = ["thunes", "tick"]
    with Path(os.devnull).open("w") as sys.stdout:
        command.main()


def child(trial: dict[str, Any]) -> None:
    """Run the trial in this forked process and end it."""
    try:
        (run_command if trial.get("command") else run)(trial)
    except SystemExit as ended:
        os._exit(int(ended.code or 0))
    except BaseException as error:
        sys.stderr.write(f"{type(error).__name__}: {error}\n")
        sys.stderr.flush()
        os._exit(FAILED)
    os._exit(0)


def import_all() -> None:
    """Import what the children would each import for themselves."""
    for name in (
        "binance.client",
        "dagster",
        "numpy.ma",
        "thunes_core.adapters.stream.quoted",
        "thunes_core.trading.shadow",
    ):
        importlib.import_module(name)
    load_commands()
    build("sma_crossover", FAST_AND_SLOW)


def main() -> None:
    """Fork a child for every trial and tell how it ended."""
    import_all()
    gc.freeze()
    for line in sys.stdin:
        pid = os.fork()
        if pid == 0:
            child(json.loads(line))
        _, status = os.waitpid(pid, 0)
        ended = (
            {"signal": os.WTERMSIG(status)}
            if os.WIFSIGNALED(status)
            else {"exit": os.WEXITSTATUS(status)}
        )
        sys.stdout.write(json.dumps(ended) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
