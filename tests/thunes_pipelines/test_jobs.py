"""Jobs that people and the nightly round start: promote, rollback, tidy."""

from __future__ import annotations

from contextlib import closing
from datetime import timedelta

import dagster as dg
import pytest
from dagster._core.test_utils import create_run_for_test, freeze_time

from tests.thunes_pipelines.houses import house_at
from thunes_core.clock import SystemClock
from thunes_core.domain.parameters import Champion, ParameterSet
from thunes_core.errors import NoChampion
from thunes_core.research.promotion import Outcome, PromotionPolicy
from thunes_pipelines import jobs
from thunes_pipelines.resources import wiring
from thunes_pipelines.resources.registry import Candidate
from thunes_pipelines.services.session import failure_message

STUDY = "sma_crossover.BTCUSDT.1h"


class Aliases:
    """A registry that remembers what it was asked."""

    def __init__(self):
        self.asked = []

    def candidate(self, study, version=None):
        return Candidate(study, version or "9", Outcome.PROMOTE, PromotionPolicy.STRICT, "passed")

    def promote(self, study, version=None, *, although=None):
        self.asked.append(("promote", study, version))
        return Champion(study, ParameterSet("sma_crossover", {}), version or "9", "run")

    def rollback(self, study):
        self.asked.append(("rollback", study))
        raise NoChampion(f"{study}: expected an earlier champion; there is none; promote one")


@pytest.fixture
def house(tmp_path, monkeypatch):
    """A house on a temporary home with a registry that remembers what it was asked."""
    aliases = Aliases()
    monkeypatch.setattr(wiring, "registry", lambda _: aliases)
    return house_at(tmp_path), aliases


def test_promotion_is_one_action_of_one_study_and_version(house):
    """The version asked for becomes champion, and the ledger has its copy for the next tick."""
    given, aliases = house
    config = dg.RunConfig(ops={"promote_version": jobs.Promotion(study=STUDY, version="3")})
    done = jobs.promote.execute_in_process(config, resources={"house": given})
    assert done.success
    with closing(given.ledger()) as ledger:
        assert ledger.remembered_champion(STUDY).version == "3"
    assert aliases.asked == [("promote", STUDY, "3")]


def test_a_refused_rollback_fails_with_its_sentence(house):
    """Nothing to go back to is said in one message."""
    config = dg.RunConfig(ops={"roll_back_version": jobs.Study(study=STUDY)})
    done = jobs.rollback.execute_in_process(
        config, resources={"house": house[0]}, raise_on_error=False
    )
    assert not done.success
    assert "promote one" in failure_message(done)


def test_tidy_deletes_old_finished_ticks_and_nothing_else():
    """Young ticks, running ticks and runs of other jobs stay."""
    now = SystemClock().now()
    with dg.DagsterInstance.ephemeral() as instance:
        with freeze_time(now - timedelta(days=20)):
            old, running, other = (
                create_run_for_test(instance, job_name=name, status=status).run_id
                for name, status in (
                    ("trade", dg.DagsterRunStatus.SUCCESS),
                    ("trade", dg.DagsterRunStatus.STARTED),
                    ("report", dg.DagsterRunStatus.SUCCESS),
                )
            )
        young = create_run_for_test(
            instance, job_name="trade", status=dg.DagsterRunStatus.SUCCESS
        ).run_id
        assert jobs.tidy.execute_in_process(instance=instance).success
        left = {run.run_id for run in instance.get_runs()}
    assert old not in left
    assert {running, other, young} <= left
