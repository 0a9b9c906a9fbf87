"""The first start asks for bars, then for a search, once, and only for what has no champion."""

from __future__ import annotations

from datetime import UTC, datetime

import dagster as dg
import pytest
from dagster._core.test_utils import create_run_for_test

from tests.thunes_pipelines.houses import DeadMarket, StillMarket
from tests.thunes_pipelines.instances import instance_at
from thunes_core.domain.parameters import Champion, ParameterSet
from thunes_core.errors import NoChampion, RegistryUnavailable
from thunes_pipelines.first_start import Stage, first_start
from thunes_pipelines.resources.house import House

NOON = datetime(2025, 3, 10, 12, tzinfo=UTC)
STUDY = "sma_crossover.BTCUSDT.1h"


class Champions:
    """A registry that knows these studies, or cannot be reached."""

    def __init__(self, *known, reachable=True):
        self.known, self.reachable = known, reachable

    def champion(self, study):
        if not self.reachable:
            raise RegistryUnavailable("registry: expected MLflow to answer; it did not; start it")
        if study not in self.known:
            raise NoChampion(f"{study}: expected a champion; none was promoted")
        return Champion(study, ParameterSet("sma_crossover", {}), "1", "run")


def house(tmp_path, champions, market=None):
    """Return a house whose registry and market are given."""

    class Given(House):
        def market(self):
            return market or StillMarket(NOON)

        def parameters(self):
            return champions

    return Given(overrides={"home": str(tmp_path), "history_days": 40})


@pytest.fixture
def instance(tmp_path):
    """A Dagster instance of its own."""
    with instance_at(tmp_path / "dagster") as made:
        yield made


def look(instance, given, cursor=""):
    """Return what the sensor says at `cursor`."""
    with dg.build_sensor_context(instance=instance, cursor=cursor) as context:
        return first_start(context, given)


def test_a_fresh_house_asks_for_the_bars_of_its_history(instance, tmp_path):
    """Every month of the history is fetched, through the queue, before anything is searched."""
    said = look(instance, house(tmp_path, Champions()))
    assert [(r.job_name, str(r.partition_key)) for r in said.run_requests] == [
        ("ingest", "2025-03|BTCUSDT"),
        ("ingest", "2025-02|BTCUSDT"),
        ("ingest", "2025-01|BTCUSDT"),
    ]
    assert said.cursor == Stage.BARS_ASKED


def test_the_cursor_is_plain_text(instance, tmp_path):
    """Dagster stores a cursor only if it is exactly a string."""
    assert type(look(instance, house(tmp_path, Champions())).cursor) is str


def test_it_waits_while_bars_are_fetched(instance, tmp_path):
    """A search on half of the history would choose from half of it."""
    create_run_for_test(
        instance,
        job_name="ingest",
        status=dg.DagsterRunStatus.STARTED,
        tags={"dagster/partition": "2025-03|BTCUSDT"},
    )
    said = look(instance, house(tmp_path, Champions()), Stage.BARS_ASKED.value)
    assert said.skip_message == "bars are being fetched"


def test_then_it_asks_for_one_search(instance, tmp_path):
    """The study becomes a partition and is searched."""
    said = look(instance, house(tmp_path, Champions()), Stage.BARS_ASKED.value)
    (request,) = said.run_requests
    assert (request.job_name, request.partition_key) == ("reoptimise", STUDY)
    assert said.cursor == Stage.SEARCH_ASKED


def test_it_asks_once(instance, tmp_path):
    """A search that gave no champion is for people, not for asking again every ten seconds."""
    said = look(instance, house(tmp_path, Champions()), Stage.SEARCH_ASKED.value)
    assert said.skip_message == f"no champion yet of {STUDY}; see the runs of the job reoptimise"


def test_a_house_with_champions_is_left_alone(instance, tmp_path):
    """A second start asks for nothing."""
    said = look(instance, house(tmp_path, Champions(STUDY)))
    assert said.skip_message == "every configured study has a champion"


@pytest.mark.parametrize(
    ("champions", "market", "words"),
    [
        (Champions(reachable=False), None, "expected MLflow to answer"),
        (Champions(), DeadMarket(), "exchange: expected an answer"),
    ],
)
def test_what_is_not_up_yet_is_waited_for(instance, tmp_path, champions, market, words):
    """The sensor may run before MLflow and the exchange answer."""
    assert words in look(instance, house(tmp_path, champions, market)).skip_message
