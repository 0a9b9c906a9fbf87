"""From an order back to the bars its parameters stand on, and from bars forward to orders."""

import json
import os
from contextlib import closing
from datetime import timedelta
from decimal import Decimal
from functools import lru_cache
from types import SimpleNamespace

import dagster as dg
import polars as pl
import pytest
import typer
from typer.testing import CliRunner

from tests.planted import Planted, market
from tests.registries import blank_registry, drawn_once
from tests.thunes_pipelines.houses import house_at
from thunes_core.domain.bars import Interval
from thunes_core.domain.orders import Fill, Leg, OrderRequest, OrderStatus, OrderType, Side
from thunes_core.domain.portfolio import Position
from thunes_core.domain.records import DecisionContext, OrderRecord
from thunes_core.domain.signal import Decision
from thunes_core.errors import BadInput, UnknownName
from thunes_core.research.evidence import judge
from thunes_core.research.promotion import PromotionPolicy, rule
from thunes_core.research.walk_forward import WalkForwardOptions, walk_forward
from thunes_core.settings import load
from thunes_pipelines import research_plan
from thunes_pipelines.assets import lineage as asset
from thunes_pipelines.cli import why
from thunes_pipelines.resources import wiring

__all__ = ["drawn_once"]  # a fixture
STUDY = "sma_crossover.BTCUSDT.1h"
BARS = market(Planted(4.0), 2500, seed=1).with_columns(symbol=pl.lit("BTCUSDT"))
BAR = BARS["open_time"][-1]


@pytest.fixture(autouse=True)
def settings(tmp_path, monkeypatch):
    """A temporary home with stored bars, a champion, and one filled order under it."""
    monkeypatch.setenv("THUNES_HOME", str(tmp_path))
    monkeypatch.setenv("THUNES_CONFIG", os.devnull)
    settings = load()
    blank_registry(tmp_path)
    store(settings, BARS)
    champion = promoted(settings)
    with closing(wiring.ledger(settings)) as ledger:
        trade(ledger, champion)
    return settings


def store(settings, bars):
    """Store bars as if the exchange reported them now."""
    end = BAR + Interval.H1.duration
    wiring.bar_store(settings).replace_window(
        bars,
        symbol="BTCUSDT",
        interval=Interval.H1,
        start=bars["open_time"][0],
        end=end,
        observed_at=end,
    )


@lru_cache(maxsize=1)
def walked():
    """Walk the bars and judge the result: the same for every test."""
    result = walk_forward(
        BARS,
        strategy="sma_crossover",
        symbol="BTCUSDT",
        interval="1h",
        options=WalkForwardOptions(folds=2, trials=5, purge_bars=0),
    )
    return result, judge(result, BARS)


def promoted(settings):
    """Register and promote what was walked."""
    result, evidence = walked()
    registry = wiring.registry(settings)
    registry.log_candidate(
        result,
        evidence,
        context=research_plan.context("run-of-dagster", result, BARS),
        ruling=rule(result.chosen, evidence, None, PromotionPolicy.BOOTSTRAP),
    )
    return registry.promote(STUDY)


def trade(ledger, champion):
    """Record a decision of the last bar, its order and its fill."""
    request = OrderRequest(
        "BTCUSDT", Side.BUY, OrderType.MARKET, Decimal("0.10"), "th-1", Leg.ENTRY, level=1.0
    )
    book = Position("sma_crossover", "BTCUSDT", cash=Decimal("1000"))
    decision = Decision("sma_crossover", "BTCUSDT", BAR, 1.0, 0.0, (request,), book, "buy up to 1")
    context = DecisionContext(
        "1h", champion.parameters.fingerprint, champion.version, champion.run_id, "seen", BAR
    )
    record = OrderRecord(request, "sma_crossover", BAR, OrderStatus.INTENDED, BAR)
    ledger.record_decision(decision, context, [record])
    money = [Decimal(text) for text in ("100.5", "0.10", "0.0001")]
    fill = Fill("BTCUSDT", "7", "99", "th-1", Side.BUY, *money, "BTC", False, BAR)
    ledger.record_fill(
        fill, record=record, position=book, trade=None, fee_quote=Decimal("0.01"), moved={}
    )


def ask(*words):
    """Run the command; return its JSON, or its text without --json."""
    app = typer.Typer()
    why.add_to(app)
    result = CliRunner().invoke(app, list(words), catch_exceptions=False)
    return json.loads(result.stdout) if "--json" in words else result.stdout


@pytest.mark.parametrize("month", ["2025-13", "2025-3", "foo", "2025-03-01", ""])
def test_what_is_no_month_is_refused(month):
    """An empty answer would say that nothing stands on its bars."""
    with pytest.raises(BadInput, match="--month: expected a month such as 2025-03"):
        ask("--month", month)


def test_an_order_leads_back_to_bars_and_code():
    """Order, fill, decision, version, evidence run, trial, months of bars: nothing is missing."""
    found = ask("th-1", "--json")
    assert found["order"]["client_order_id"] == "th-1"
    assert [fill["trade_id"] for fill in found["fills"]] == ["7"]
    assert found["decision"]["why"] == "buy up to 1"
    assert found["parameters"]["version"] == "1"
    assert found["parameters"]["aliases"] == ["candidate", "champion"]
    assert found["evidence"]["dagster_run"] == "run-of-dagster"
    assert all(found["evidence"][name] for name in ("run_id", "url", "walk", "trial", "code"))
    assert [m["partition"] for m in found["bars"]] == [
        f"2021-{month:02}|BTCUSDT" for month in range(1, 5)
    ]
    assert {m["state"] for m in found["bars"]} == {"unchanged"}


def test_a_revised_month_shows_and_leads_forward_to_what_stands_on_it(settings):
    """After a revision the month is marked, and its version, decision and order are found."""
    changed = BARS.with_columns(
        volume=pl.when(pl.col("open_time").dt.month() == 3).then(2.0).otherwise(pl.col("volume"))
    )
    store(settings, changed)
    states = {m["partition"][:7]: m["state"] for m in ask("th-1", "--json")["bars"]}
    assert states["2021-03"] == "revised"
    assert states["2021-02"] == "unchanged"
    (version,) = ask("--month", "2021-03", "--json")["versions"]
    assert (version["study"], version["state"]) == (STUDY, "revised")
    assert version["orders"] == ["th-1"]
    on_it = ask("--month", f"{BAR:%Y-%m}", "--json")
    assert (on_it["decided_on_it"], on_it["ordered_on_it"]) == (1, ["th-1"])
    assert ask("--month", "2019-01", "--json")["versions"] == []


def test_a_fill_leads_to_its_order():
    """The exchange's number of a trade is enough to ask why."""
    assert ask("7", "--json")["order"]["client_order_id"] == "th-1"


def test_numbers_that_two_symbols_share_are_told_apart(settings):
    """The exchange counts each symbol's trades from one: a number may mean two fills."""
    other = Fill(
        "ETHUSDT", "7", "3", "th-2", Side.BUY, *[Decimal(1)] * 2, Decimal(0), "ETH", False, BAR
    )
    request = OrderRequest(
        "ETHUSDT", Side.BUY, OrderType.MARKET, Decimal(1), "th-2", Leg.ENTRY, level=1.0
    )
    record = OrderRecord(request, "sma_crossover", BAR, OrderStatus.INTENDED, BAR)
    book = Position("sma_crossover", "ETHUSDT", cash=Decimal(1000))
    with closing(wiring.ledger(settings)) as ledger:
        ledger.record_intents(book, [record])
        ledger.record_fill(
            other, record=record, position=book, trade=None, fee_quote=Decimal(0), moved={}
        )
    with pytest.raises(BadInput, match=r"th-1 \(BTCUSDT\), th-2 \(ETHUSDT\)"):
        ask("7")
    assert ask("7", "--symbol", "BTCUSDT", "--json")["order"]["client_order_id"] == "th-1"


def test_another_intervals_version_of_the_same_number_stands_on_other_bars(settings):
    """Versions are numbered per study: a decision on 4h bars is not one of version 1 on 1h."""
    book = Position("sma_crossover", "BTCUSDT", cash=Decimal(1000))
    later = BAR + timedelta(hours=4)
    decision = Decision("sma_crossover", "BTCUSDT", later, 0.0, 0.0, (), book, "hold nothing")
    with closing(wiring.ledger(settings)) as ledger:
        context = DecisionContext("4h", "other", "1", "run", "seen", later)
        ledger.record_decision(decision, context, [])
    (version,) = ask("--month", "2021-03", "--json")["versions"]
    assert version["decisions"] == 1


def test_the_asset_shows_the_chain_both_ways(settings):
    """Fills with version and evidence; after a revision what stands on it, and a warning."""
    quiet = shown(settings)
    assert "BUY 0.10 BTCUSDT at 100.5" in quiet.metadata["back"].value
    assert "`th-1`" in quiet.metadata["back"].value
    assert quiet.metadata["forward"].value == "none"
    assert quiet.check_results[0].passed
    changed = pl.when(pl.col("open_time") == BARS["open_time"][40]).then(2.0)
    store(settings, BARS.with_columns(volume=changed.otherwise(pl.col("volume"))))
    moved = shown(settings)
    (row,) = moved.metadata["forward"].value.splitlines()[2:]
    assert row.startswith("| 2021-01\\|BTCUSDT | revised | sma_crossover.BTCUSDT.1h | 1 |")
    assert not moved.check_results[0].passed
    assert moved.check_results[0].metadata["champions"].value == STUDY


def shown(settings):
    """Materialise the asset."""
    house = house_at(settings.home)
    made = dg.materialize([asset.lineage], resources={"house": house})
    (event,) = made.asset_materializations_for_node("lineage")
    (check,) = made.get_asset_check_evaluations()
    return SimpleNamespace(metadata=event.metadata, check_results=[check])


def test_the_chain_is_told_to_people(settings):
    """The tree names the sentence of the decision and the months."""
    text = ask("th-1")
    assert "buy up to 1" in text
    assert "2021-03|BTCUSDT" in text


def test_a_dead_registry_leaves_what_the_ledger_knows(settings, monkeypatch):
    """Order, fills and decision are shown; the parameters say why the rest is missing."""
    monkeypatch.setenv("THUNES_MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    found = ask("th-1", "--json")
    assert found["decision"]["target"] == 1.0
    assert "expected MLflow to answer" in found["parameters"]["missing"]
    assert found["bars"] == []


def test_unknown_orders_and_unclear_questions_are_told():
    """An id that nobody knows, and neither or both questions at once."""
    with pytest.raises(UnknownName, match="thunes status"):
        ask("th-9")
    with pytest.raises(BadInput, match="one of them"):
        ask()
