"""Write the report of one day, and say what its asset shows.

A report is also written while the exchange, or MLflow, is out of reach: what it does not know, it
says.

Add here: what the asset of the report does. Keep out: facts (`daily_facts`), wording, plots (core).
"""

from __future__ import annotations

import base64
import logging
from contextlib import closing
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import dagster as dg

from thunes_core.adapters.ledger.export import export_new
from thunes_core.adapters.report_files import ReportPaths, write_report
from thunes_core.clock import SystemClock
from thunes_core.domain.parameters import study_key
from thunes_core.errors import BadInput, OutsideFailed, StoreFailed, ThunesError
from thunes_core.reporting.alerts import Alert, Severity
from thunes_core.reporting.daily import DailyReport, attention, daily_report, headline
from thunes_core.reporting.facts import DailyFacts
from thunes_core.settings import Settings
from thunes_pipelines.daily_facts import Surroundings, daily_facts
from thunes_pipelines.failures import told_plainly
from thunes_pipelines.partitions import configured_studies, day_edges
from thunes_pipelines.promises import promises
from thunes_pipelines.resources import wiring
from thunes_pipelines.resources.house import House
from thunes_pipelines.resources.places import audit_folder

if TYPE_CHECKING:
    from thunes_core.adapters.ledger import Ledger

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Told:
    """A written report: its text for the log, and what the asset shows."""

    text: str
    metadata: dict[str, Any]


def write_day(instance: dg.DagsterInstance, house: House, day: date) -> Told:
    """Gather the facts of a UTC day, write its report, export the audit and send the summary."""
    settings = house.settings()
    with told_plainly(), closing(house.ledger()) as ledger:
        around = _surroundings(instance, house, ledger, settings, day)
        facts = daily_facts(ledger, day, settings, configured_studies(settings), around)
        report = daily_report(facts)
        paths = write_report(settings.reports_root, day, report)
        exported = _export(ledger, settings, facts.now)
        wiring.alerts(settings).send(_message(facts, report))
    shown = {**_metadata(facts, report, paths), "audit_lines_exported": exported}
    return Told(report.text, shown)


def _export(ledger: Ledger, settings: Settings, now: datetime) -> int:
    """Export the new lines of the audit; where that cannot be, people are told."""
    try:
        return export_new(ledger, audit_folder(settings))
    except (BadInput, StoreFailed) as error:
        told = Alert(
            now, "audit_export", Severity.WARNING, "The audit was not exported", str(error)
        )
        wiring.alerts(settings).send(told)
        return 0


def _surroundings(
    instance: dg.DagsterInstance, house: House, ledger: Ledger, settings: Settings, day: date
) -> Surroundings:
    now, quote_asset, prices = _exchange_says(house, settings)
    studies, until = configured_studies(settings), min(now, day_edges(day)[1])
    return Surroundings(
        now=now,
        quote_asset=quote_asset,
        prices=prices,
        evidence=_evidence(house),
        failures=_failed_ticks(instance, day),
        promises=promises(ledger, house.bars(), settings, studies, until),
    )


def _exchange_says(house: House, settings: Settings) -> tuple[datetime, str, dict[str, Decimal]]:
    """Return the exchange's clock, quote asset and prices; the machine's clock when it is dead."""
    try:
        market = house.market()
        now = market.server_time()
        listed = market.instruments(settings.symbols)
        prices = {symbol: market.price(symbol) for symbol in settings.symbols}
        return now, listed[settings.symbols[0]].quote_asset, prices
    except OutsideFailed as error:
        _log.warning("the report is written without the exchange: %s", error)
        return SystemClock().now(), "quote", {}


def _evidence(house: House) -> dict[str, dict[str, float]]:
    """Return the figures of each champion's evidence by study; empty when MLflow is down."""
    try:
        versions = house.registry().versions()
    except ThunesError as error:
        _log.warning("the report is written without evidence: %s", error)
        return {}
    return {
        study_key(v["strategy"], v["symbol"], v["interval"]): dict(v["evidence"])
        for v in versions
        if "champion" in v["aliases"]
    }


def _failed_ticks(instance: dg.DagsterInstance, day: date) -> int:
    """Count runs of the job `trade` that failed on that day of the machine's clock."""
    start, end = day_edges(day)
    failed = dg.RunsFilter(
        job_name="trade",
        statuses=[dg.DagsterRunStatus.FAILURE],
        created_after=start,
        created_before=end,
    )
    return instance.get_runs_count(failed)


def _message(facts: DailyFacts, report: DailyReport) -> Alert:
    """Return the summary that goes to people; a warning when somebody must look."""
    severity = Severity.WARNING if attention(facts) else Severity.INFO
    return Alert(facts.now, "daily_report", severity, headline(facts), report.text)


def _metadata(facts: DailyFacts, report: DailyReport, paths: ReportPaths) -> dict[str, Any]:
    picture = base64.b64encode(report.plot).decode()
    return {
        "headline": headline(facts),
        "plot": dg.MetadataValue.md(f"![equity and drawdown](data:image/png;base64,{picture})"),
        "report": dg.MetadataValue.md(report.markdown),
        "path": dg.MetadataValue.path(paths.html),
        "pnl": float(facts.pnl) if facts.pnl is not None else None,
        "equity": float(facts.equity_after) if facts.equity_after is not None else None,
        "closed_trades": len(facts.closed),
        "win_rate": facts.win_rate,
        "ticks": facts.health.ticks,
        "trading_state": str(facts.risk.state),
        "audit_head": facts.audit.head,
    }
