"""The daily report says what the facts say, in three forms, and what needs a person."""

from __future__ import annotations

import re
from dataclasses import replace
from decimal import Decimal
from html.parser import HTMLParser

import pytest

from tests.thunes_core.reporting.days import at, held, marks, quiet_day, trade
from thunes_core.domain.portfolio import TradingState
from thunes_core.reporting.daily import attention, daily_report, headline, tiles
from thunes_core.reporting.facts import AuditFact


def tile(facts, label):
    """Return the headline figure called `label`."""
    return next(t for t in tiles(facts) if t.label == label)


def test_headline_says_gain_share_and_trades():
    """One sentence holds the day."""
    assert headline(quiet_day()) == "Gained 10.00 USDT (+1.00 %) with 2 closed trades."


def test_headline_says_loss_without_a_sign():
    """A loss is named as one, not shown as a negative gain."""
    day = quiet_day(equity_after=Decimal("995.5"), trades=())
    assert headline(day) == "Lost 4.50 USDT (−0.45 %) with no closed trades."


def test_a_day_without_marks_says_so_instead_of_zero():
    """Unknown is never told as nothing."""
    day = quiet_day(equity_before=None, equity_after=None)
    assert headline(day) == "No tick marked the equity on 2025-01-07."
    assert tile(day, "PnL of the day").value == "–"


def test_win_rate_counts_closed_trades_only():
    """An open trade is neither won nor lost."""
    still_open = replace(trade("0"), exit_time=None, exit_price=None, pnl=None)
    assert tile(quiet_day(trades=(trade("1"), still_open)), "Win rate").value == "100.0 %"
    assert tile(quiet_day(trades=(still_open,)), "Win rate").value == "–"


def test_realised_is_the_sum_of_the_trades_to_the_last_digit():
    """Decimals are added, not floats."""
    day = quiet_day(trades=(trade("0.10000001"), trade("0.20000002")))
    assert day.realised == Decimal("0.30000003")


def test_unrealised_is_unknown_when_a_price_is_missing():
    """A sum over unknown prices would be a lie."""
    day = quiet_day(positions=(held(), replace(held(), price=None)))
    assert tile(day, "Open positions").note == "price unknown"
    assert tile(quiet_day(), "Open positions").note == "unrealised −10.00 USDT"


def test_a_quiet_day_needs_nobody():
    """No warning without a cause."""
    assert attention(quiet_day()) == []


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"audit": AuditFact(3, "x", intact=False)}, "audit trail does not verify"),
        ({"champions": ()}, "No champion is in force"),
        ({"health": replace(quiet_day().health, ticks=0)}, "No tick ran"),
        ({"health": replace(quiet_day().health, failures=2)}, "2 failed ticks"),
        ({"health": replace(quiet_day().health, unknown_orders=1)}, "Outcome unknown for 1 order"),
        ({"health": replace(quiet_day().health, last_bar=at(12))}, "newest bar is 10 h old"),
        (
            {"risk": replace(quiet_day().risk, state=TradingState.HALTED, reason="by hand")},
            "Trading is HALTED: by hand",
        ),
        (
            {"band": marks([0.0]).select("time", low=1020.0, high=1040.0)},
            "Equity is below the band",
        ),
    ],
)
def test_each_cause_is_told(changes, words):
    """What a person must look at stands at the top."""
    (sentence,) = attention(quiet_day(**changes))
    assert words in sentence


def test_all_forms_carry_the_same_figures():
    """Page, Markdown and text cannot disagree."""
    report = daily_report(quiet_day())
    for form in (report.markdown, report.html, report.text):
        for figure in ("+10.00 USDT", "1,010.00 USDT", "unrealised −10.00 USDT", "ACTIVE"):
            assert figure in form


def test_a_champion_is_shown_with_the_figures_that_decide():
    """In their order, whatever else the registry keeps."""
    figures = {"win_rate": 0.4, "dsr": 0.91, "sharpe": 1.5, "max_drawdown": -0.2}
    champion = replace(quiet_day().champions[0], evidence=figures)
    report = daily_report(quiet_day(champions=(champion,)))
    assert "sharpe 1.5, dsr 0.91, max drawdown −0.2" in report.html
    assert "sharpe 1.5, dsr 0.91, max drawdown −0.2" in report.markdown


def test_equal_facts_give_equal_reports():
    """Nothing of the machine, nor the time of writing, enters a report."""
    assert daily_report(quiet_day()) == daily_report(quiet_day())


def test_the_page_needs_no_network_and_runs_no_script():
    """The page is self-contained and forbids everything else."""
    page = daily_report(quiet_day()).html
    assert "default-src 'none'" in page
    assert "<script" not in page
    assert not re.search(r"""(src|href|srcset)=["'](?!data:image/png)""", page)


def test_foreign_text_is_shown_and_never_obeyed():
    """A reason typed by anybody cannot become markup, nor break a table."""
    evil = "<img src=x onerror=alert(1)> | [a](http://b)\n# c"
    risk = replace(quiet_day().risk, state=TradingState.HALTED, reason=evil)
    report = daily_report(quiet_day(risk=risk, trades=(trade("1", evil),)))
    assert "<img src=x" not in report.html + report.markdown
    assert "&lt;img src=x" in report.html
    row = next(line for line in report.markdown.splitlines() if "96,500" in line)
    assert len(re.findall(r"(?<!\\)\|", row)) == 10


def test_the_page_is_well_formed():
    """Every tag that is opened is closed."""
    open_tags = []

    class Walk(HTMLParser):
        def handle_starttag(self, tag, attrs):
            if tag not in {"meta", "img", "source"}:
                open_tags.append(tag)

        def handle_endtag(self, tag):
            assert open_tags.pop() == tag

    Walk().feed(daily_report(quiet_day(trades=(), positions=(), champions=())).html)
    assert open_tags == []
