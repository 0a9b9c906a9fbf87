"""The daily report as an asset: written and shown, also while the outside is dead."""

from __future__ import annotations

import json
from contextlib import closing
from datetime import UTC, datetime
from decimal import Decimal
from types import SimpleNamespace

import dagster as dg
import pytest

from tests.thunes_pipelines.houses import DeadMarket
from tests.thunes_pipelines.instances import instance_at
from thunes_core.domain.records import EquityMark
from thunes_core.errors import RegistryUnavailable
from thunes_pipelines.assets.reporting import daily_report
from thunes_pipelines.resources.house import House

DAY = "2025-03-10"
NOON = datetime(2025, 3, 10, 12, tzinfo=UTC)


class Market:
    """An exchange at noon."""

    def server_time(self):
        return NOON

    def instruments(self, symbols):
        return {symbol: SimpleNamespace(quote_asset="USDT") for symbol in symbols}

    def price(self, symbol):
        return Decimal(100)


class Registry:
    """A registry with one champion and a candidate of the same study."""

    def versions(self):
        common = {"strategy": "sma_crossover", "symbol": "BTCUSDT", "interval": "1h"}
        return [
            {**common, "aliases": ["candidate"], "evidence": {"dsr": 0.1}},
            {**common, "aliases": ["champion"], "evidence": {"dsr": 0.9}},
        ]


class DeadRegistry:
    """A registry that cannot be reached."""

    def versions(self):
        raise RegistryUnavailable("registry: expected MLflow to answer; it did not; start it")


def house(home, market=None, registry=None):
    """Return a house on `home` whose outside is given."""

    class Given(House):
        def market(self):
            return market or Market()

        def registry(self):
            return registry or Registry()

    return Given(overrides={"home": str(home)})


def run(given, instance=None):
    """Materialise the day's report."""
    return dg.materialize(
        [daily_report],
        partition_key=DAY,
        resources={"house": given},
        instance=instance,
        raise_on_error=False,
    )


def metadata(result):
    """Return what the UI shows, by name."""
    (event,) = result.get_asset_materialization_events()
    return {name: value.value for name, value in event.materialization.metadata.items()}


def test_the_report_is_written_and_shown_with_its_plot(tmp_path):
    """A person finds it in the UI and as a file."""
    given = house(tmp_path)
    with closing(given.ledger()) as ledger:
        for hour, equity in ((1, "1000"), (11, "1012.5")):
            time = NOON.replace(hour=hour)
            ledger.record_tick(EquityMark(time, Decimal(equity), Decimal(1), Decimal(0)), {})
    shown = metadata(run(given))
    assert shown["headline"] == "Gained 12.50 USDT (+1.25 %) with no closed trades."
    assert shown["pnl"] == 12.5
    assert shown["ticks"] == 2
    assert "](data:image/png;base64," in shown["plot"]
    assert shown["path"] == str(tmp_path / "reports" / f"{DAY}.html")
    (told,) = (tmp_path / "alerts.jsonl").read_text(encoding="utf-8").splitlines()
    assert json.loads(told)["title"] == shown["headline"]
    assert "12.50 USDT" in (tmp_path / "reports" / f"{DAY}.html").read_text(encoding="utf-8")


def test_a_dead_exchange_and_registry_do_not_hold_the_report_back(tmp_path):
    """What is not known is left out, and the rest is told."""
    result = run(house(tmp_path, DeadMarket(), DeadRegistry()))
    assert result.success
    assert metadata(result)["pnl"] is None


def test_a_folder_that_cannot_be_written_fails_with_one_message(tmp_path):
    """The failed run says what to do."""
    given = house(tmp_path)
    (tmp_path / "reports").write_text("in the way")
    (failure,) = run(given).get_step_failure_events()
    assert "cannot be written" in failure.step_failure_data.user_failure_data.description


def test_files_of_another_trail_are_told_of_and_the_summary_is_sent_all_the_same(tmp_path):
    """A new ledger beside the files of an old one: nothing is lost in silence."""
    given = house(tmp_path)
    (tmp_path / "audit").mkdir()
    (tmp_path / "audit" / "audit-000000001.jsonl").write_text("{}\n")
    assert metadata(run(given))["audit_lines_exported"] == 0
    told = (tmp_path / "alerts.jsonl").read_text(encoding="utf-8").splitlines()
    assert [json.loads(one)["kind"] for one in told] == ["audit_export", "daily_report"]


@pytest.mark.parametrize(("job", "counted"), [("trade", 1), ("ingest", 0)])
def test_failed_ticks_of_the_machines_day_are_counted(tmp_path, monkeypatch, job, counted):
    """Runs of other jobs are no ticks."""
    from dagster._core.test_utils import create_run_for_test, freeze_time

    with instance_at(tmp_path / "dagster") as instance:
        with freeze_time(NOON):
            create_run_for_test(instance, job_name=job, status=dg.DagsterRunStatus.FAILURE)
        report = metadata(run(house(tmp_path), instance))["report"]
    assert ("1 failed tick" in report) is bool(counted)
