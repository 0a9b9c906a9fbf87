"""The warehouse as an asset: published through Dagster, shown with its tables."""

from __future__ import annotations

import dagster as dg
import duckdb

from tests.thunes_pipelines.houses import house_at
from thunes_pipelines import policies
from thunes_pipelines.assets import warehouse as module
from thunes_pipelines.build import build_definitions
from thunes_pipelines.resources.house import House


def published(given, **options):
    """Materialise the warehouse."""
    return dg.materialize([module.warehouse], resources={"house": given}, **options)


def tables(path):
    """Return the tables of a warehouse, as a reader sees them."""
    with duckdb.connect(str(path), read_only=True) as connection:
        return set(connection.sql("SHOW TABLES").pl()["name"])


def test_the_warehouse_is_published_and_shown(tmp_path):
    """The UI shows tables with rows, size and path; the file opens read-only."""
    (event,) = published(house_at(tmp_path)).get_asset_materialization_events()
    shown = {name: value.value for name, value in event.materialization.metadata.items()}
    table = event.materialization.metadata["tables"]
    path = tmp_path / "warehouse.duckdb"
    assert shown["path"] == str(path)
    assert shown["size_bytes"] == path.stat().st_size
    assert {record.data["table"] for record in table.records} == tables(path)
    assert {"bars", "trades", "equity", "orders", "fills", "decisions", "reports"} < tables(path)


def test_it_is_published_twice_in_one_process(tmp_path):
    """The resource's connection is closed: a second run finds no lock."""
    assert published(house_at(tmp_path)).success
    assert published(house_at(tmp_path)).success


def test_a_broken_lake_fails_with_its_sentence_and_keeps_the_old_file(tmp_path):
    """The run says what to do; people go on reading what was there."""
    published(house_at(tmp_path))
    before = (tmp_path / "warehouse.duckdb").read_bytes()
    broken = tmp_path / "lake" / "bars" / "symbol=BTCUSDT" / "interval=1h" / "month=2025-01"
    broken.mkdir(parents=True)
    (broken / "data.parquet").write_bytes(b"no parquet")
    (failure,) = published(house_at(tmp_path), raise_on_error=False).get_step_failure_events()
    assert "ingest its window again" in failure.step_failure_data.user_failure_data.description
    assert (tmp_path / "warehouse.duckdb").read_bytes() == before
    assert not list(tmp_path.glob(".warehouse.duckdb.tmp*"))


def test_publishers_take_turns_and_the_report_does_not_wait_for_them():
    """The pool `duckdb` holds one step at a time; the report's job has no part in it."""
    defs = build_definitions(house=House())
    (node,) = defs.resolve_job_def("publish_warehouse").nodes
    assert node.definition.pool == policies.DUCKDB_POOL
    assert [n.name for n in defs.resolve_job_def("daily_report").nodes] == ["write_daily_report"]
