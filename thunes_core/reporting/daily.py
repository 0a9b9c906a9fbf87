"""The daily report: one day's facts as a page, as Markdown for the UI and as text for messages.

The three forms are templates over the same words, so that they cannot disagree.

Add here: a section of the report. Keep out: gathering of facts, sending, writing of files.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from thunes_core.domain.portfolio import TradingState
from thunes_core.reporting import words
from thunes_core.reporting.facts import ChampionFact, DailyFacts
from thunes_core.reporting.plots import equity_drawdown_png

if TYPE_CHECKING:
    from jinja2 import Environment

_PHONE_WIDTH = 4.4
_TELLING = (
    "sharpe",
    "dsr",
    "pbo",
    "efficiency",
    "total_return",
    "max_drawdown",
    "trades",
    "trials",
)
"""Figures of the evidence that a report shows, in this order; MLflow has them all."""


@dataclass(frozen=True, slots=True)
class DailyReport:
    """One report in its three forms, and the plot that the page and the Markdown show."""

    markdown: str
    html: str
    text: str
    plot: bytes


@dataclass(frozen=True, slots=True)
class Tile:
    """One headline figure; `tone` is good, bad or plain."""

    label: str
    value: str
    note: str = ""
    tone: str = "plain"


def daily_report(facts: DailyFacts) -> DailyReport:
    """Write the report of one day; equal facts give equal text."""
    title = f"Equity, {facts.quote_asset}"
    plot = equity_drawdown_png(facts.equity, title, band=facts.band)
    narrow = equity_drawdown_png(facts.equity, title, band=facts.band, width=_PHONE_WIDTH)
    view: dict[str, Any] = {
        "facts": facts,
        "headline": headline(facts),
        "attention": attention(facts),
        "tiles": tiles(facts),
        "health": health(facts),
        "champions": [(champion, telling(champion)) for champion in facts.champions],
        "picture": _as_url(plot),
        "narrow_picture": _as_url(narrow),
    }
    templates = _templates()
    markdown, html, text = (
        templates.get_template(f"daily.{form}.j2").render(view) for form in ("md", "html", "txt")
    )
    return DailyReport(markdown, html, text, plot)


def headline(facts: DailyFacts) -> str:
    """Say the day in one sentence."""
    if facts.pnl is None:
        return f"No tick marked the equity on {facts.day}."
    verb = "Gained" if facts.pnl > 0 else "Lost" if facts.pnl < 0 else "Unchanged:"
    closed = words.count(len(facts.closed), "closed trade")
    gain = words.money(abs(facts.pnl), facts.quote_asset)
    return f"{verb} {gain} ({words.percent(facts.day_return, signed=True)}) with {closed}."


def attention(facts: DailyFacts) -> list[str]:
    """List what a person should look at; empty on a quiet day."""
    risk, ran = facts.risk, facts.health
    findings = (
        (
            risk.state is not TradingState.ACTIVE,
            f"Trading is {risk.state}: {risk.reason} (by {risk.author})",
        ),
        (
            ran.unknown_orders > 0,
            f"Outcome unknown for {words.count(ran.unknown_orders, 'order')}; run thunes reconcile",
        ),
        (
            ran.failures > 0,
            f"{words.count(ran.failures, 'failed tick')}; see the runs of the job trade",
        ),
        (ran.ticks == 0, "No tick ran on this day; are the daemon and its schedules on?"),
        (
            facts.bar_age is not None and facts.bar_age > 2 * facts.bar_interval,
            f"The newest bar is {words.span(facts.bar_age)} old; is the exchange reachable?",
        ),
        (not facts.audit.intact, "The audit trail does not verify; see the runbook"),
        (not facts.champions, "No champion is in force; run the job reoptimise"),
        (bool(_outside(facts)), f"Equity is {_outside(facts)} the band that the evidence promised"),
    )
    return [sentence for holds, sentence in findings if holds]


def tiles(facts: DailyFacts) -> list[Tile]:
    """Return the headline figures."""
    gain, used = facts.pnl, facts.loss_used
    state = facts.risk.state
    return [
        Tile(
            "PnL of the day",
            words.money(gain, facts.quote_asset, signed=True),
            words.percent(facts.day_return, signed=True),
            words.tone(gain),
        ),
        Tile("Equity", words.money(facts.equity_after, facts.quote_asset)),
        Tile(
            "Closed trades",
            str(len(facts.closed)),
            f"realised {words.money(facts.realised, facts.quote_asset, signed=True)}",
        ),
        Tile("Win rate", words.percent(facts.win_rate), "of the day's closed trades"),
        Tile(
            "Open positions",
            f"{len(facts.positions)} of {facts.risk.max_positions}",
            words.unrealised(facts.positions, facts.quote_asset),
        ),
        Tile(
            "Risk",
            state,
            f"{words.percent(used)} of the loss limit used",
            "good" if state is TradingState.ACTIVE and used < 0.8 else "bad",
        ),
    ]


def health(facts: DailyFacts) -> list[tuple[str, str]]:
    """Return the figures of the system's health as (name, value)."""
    ran = facts.health
    return [
        ("ticks", str(ran.ticks)),
        ("failed ticks", str(ran.failures)),
        ("orders sent", str(ran.orders)),
        ("orders refused by the gate", str(ran.refused)),
        ("orders of unknown outcome", str(ran.unknown_orders)),
        ("last tick", words.moment(ran.last_tick)),
        ("newest bar closed", f"{words.span(facts.bar_age)} before this report"),
        ("audit entries", str(facts.audit.entries)),
        ("audit head", facts.audit.head or "none"),
        ("audit chain", "intact" if facts.audit.intact else "BROKEN"),
    ]


def telling(champion: ChampionFact) -> dict[str, float]:
    """Return the figures of a champion's evidence that decide, in their order."""
    known = champion.evidence
    return {name.replace("_", " "): known[name] for name in _TELLING if name in known}


def _outside(facts: DailyFacts) -> str:
    """Return "below" or "above" when the last mark left the band, else an empty string."""
    if facts.band is None or facts.band.is_empty() or facts.equity_after is None:
        return ""
    low, high = facts.band.select("low", "high").row(-1)
    value = float(facts.equity_after)
    return "below" if value < low else "above" if value > high else ""


def _as_url(png: bytes) -> str:
    return "data:image/png;base64," + base64.b64encode(png).decode()


def _templates() -> Environment:
    from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

    templates = Environment(
        loader=PackageLoader("thunes_core.reporting"),
        autoescape=select_autoescape(enabled_extensions=("html.j2",)),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    templates.filters.update(words.FILTERS)
    return templates
