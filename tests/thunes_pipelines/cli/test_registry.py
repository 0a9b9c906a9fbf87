"""The commands of research and registry: fixed shapes, clear errors."""

import json
import os
from contextlib import closing

import numpy as np
import polars as pl
import pytest
import typer
from typer.testing import CliRunner

from tests.planted import NOISE, Planted, market
from tests.registries import blank_registry
from thunes_core.domain.parameters import Champion, ParameterSet
from thunes_core.errors import BadInput, NoChampion, NoEvidence, UnknownName
from thunes_core.research.evidence import judge
from thunes_core.research.promotion import PromotionPolicy, rule
from thunes_core.research.walk_forward import WalkForwardOptions, walk_forward
from thunes_core.settings import load
from thunes_pipelines.cli import registry as commands
from thunes_pipelines.resources import wiring

STUDY = "sma_crossover.BTCUSDT.1h"
BARS = market(Planted(4.0), 2500, seed=1).with_columns(symbol=pl.lit("BTCUSDT"))


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    """A temporary home and no settings file."""
    monkeypatch.setenv("THUNES_HOME", str(tmp_path))
    monkeypatch.setenv("THUNES_CONFIG", os.devnull)
    return tmp_path


def call(*words):
    """Run a command; return its stdout, or raise what it raised."""
    app = typer.Typer()
    commands.add_to(app)
    result = CliRunner().invoke(app, list(words))
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.stdout


@pytest.fixture
def registered():
    """Register one candidate under the policy for first champions."""
    result = walk_forward(
        BARS,
        strategy="sma_crossover",
        symbol="BTCUSDT",
        interval="1h",
        options=WalkForwardOptions(folds=2, trials=5, purge_bars=0),
    )
    blank_registry(load().home)
    evidence = judge(result, BARS)
    ruling = rule(result.chosen, evidence, None, PromotionPolicy.BOOTSTRAP)
    wiring.registry(load()).log_candidate(result, evidence, context={}, ruling=ruling)
    return result


def test_registry_commands_list_promote_show_and_roll_back(registered):
    """One candidate: listed, promoted, shown; nothing to roll back to yet."""
    (version,) = json.loads(call("registry", "list", "--json"))
    assert {"strategy", "symbol", "interval", "version", "aliases", "fingerprint"} <= set(version)
    assert {"sharpe", "dsr", "pbo", "trials"} <= set(version["evidence"])
    promoted = json.loads(call("registry", "promote", STUDY, "--json"))
    assert promoted["parameters"] == dict(registered.chosen.values)
    shown = json.loads(call("registry", "show", "--json"))
    assert shown["aliases"] == ["candidate", "champion"]
    assert "first champion" in call("registry", "show").replace("\n", " ")
    assert "registered parameter sets" in call("registry", "list")
    with pytest.raises(NoChampion, match="previous"):
        call("registry", "rollback", STUDY)


def test_people_can_read_the_list_on_a_narrow_screen(registered):
    """On eighty columns a study's name stays whole, on one line with its figures."""
    (line,) = [line for line in call("registry", "list").splitlines() if STUDY in line]
    assert len(line) <= 80
    call("registry", "promote", STUDY)
    assert registered.chosen.fingerprint in call("registry", "show", STUDY)


def test_promoted_champion_is_left_in_the_ledger(registered):
    """A person's promotion reaches the tick even when MLflow is gone by then."""
    call("registry", "promote", STUDY)
    ledger = wiring.ledger(load())
    assert ledger.remembered_champion(STUDY).parameters == registered.chosen
    ledger.close()


def test_wrong_study_is_bad_input():
    """A study is strategy.SYMBOL.interval."""
    from thunes_core.errors import ParametersInvalid

    with pytest.raises(ParametersInvalid, match=r"strategy\.SYMBOL\.interval"):
        call("registry", "show", "nonsense")


def test_walk_forward_of_a_file_answers_in_json(tmp_path):
    """Folds, choice, evidence; the same again is one walk, another counts; people see it whole."""
    path = tmp_path / "bars.parquet"
    market(NOISE, 3000, seed=3).write_parquet(path)
    words = ["walk-forward", "--bars", str(path), "--folds", "2", "--trials", "6", "--json"]
    found = json.loads(call(*words))
    assert found["study"] == "sma_crossover.TESTUSDT.1h"
    assert [fold["number"] for fold in found["folds"]] == [1, 2]
    assert found["trials"] == 18
    assert found["passed"] is False
    assert json.loads(call(*words)) == found
    assert (found["evidence"]["walk_forwards"], found["evidence"]["trials"]) == (1, 18)
    other = json.loads(call(*words, "--seed", "8", "--rolling", "--sampler", "random"))
    assert (other["evidence"]["walk_forwards"], other["evidence"]["trials"]) == (2, 36)
    told = call(*words[:-1])
    assert "do nothing" in told
    assert "combinatorial" in told
    assert "2021-" in told
    assert "…" not in told


def test_walk_forward_holds_the_champion_against_the_candidate(tmp_path):
    """What is in force runs on the same bars, as in the asset: a finding more."""
    path = tmp_path / "bars.parquet"
    market(NOISE, 3000, seed=3).write_parquet(path)
    words = ["walk-forward", "--bars", str(path), "--folds", "2", "--trials", "6", "--json"]
    chosen = json.loads(call(*words))["chosen"]
    champion = Champion(
        "sma_crossover.TESTUSDT.1h", ParameterSet("sma_crossover", chosen), "1", "run"
    )
    with closing(wiring.ledger(load())) as ledger:
        ledger.remember_champion(champion)
    found = json.loads(call(*words))
    (against,) = [f for f in found["findings"] if f["name"] == "beats_champion"]
    assert against["threshold"] == found["evidence"]["champion_sharpe"]


def test_walk_forward_says_what_is_missing():
    """Unknown strategy and an empty store end with one message each."""
    with pytest.raises(UnknownName, match="sma_crossover"):
        call("walk-forward", "--strategy", "magic")
    with pytest.raises(NoEvidence, match="thunes ingest"):
        call("walk-forward")


def test_pbo_of_a_matrix(tmp_path):
    """The share for a matrix in a file; blocks must be even."""
    path = tmp_path / "matrix.parquet"
    matrix = np.random.default_rng(1).normal(0, 0.01, (120, 6))
    matrix[:, 2] += 0.05
    pl.DataFrame(matrix, schema=[f"trial_{i}" for i in range(6)]).write_parquet(path)
    found = json.loads(call("pbo", "--matrix", str(path), "--blocks", "8", "--json"))
    assert found == {"pbo": 0.0, "blocks": 8, "periods": 120, "trials": 6}
    with pytest.raises(BadInput, match="even number"):
        call("pbo", "--matrix", str(path), "--blocks", "7")
