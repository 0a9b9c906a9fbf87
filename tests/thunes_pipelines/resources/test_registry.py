"""The registry keeps parameter sets with their evidence and moves the aliases."""

import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from tests.planted import Planted, market
from tests.registries import KEY, blank_registry, drawn_once
from thunes_core.domain.results import Evidence, Finding
from thunes_core.errors import NoChampion, ParametersInvalid, PromotionRefused, RegistryUnavailable
from thunes_core.research.promotion import Outcome, PromotionPolicy, rule
from thunes_core.research.walk_forward import WalkForwardOptions, walk_forward
from thunes_pipelines.resources.champions import champion_source
from thunes_pipelines.resources.registry import Registry

__all__ = ["drawn_once"]  # a fixture
STUDY = "sma_crossover.TESTUSDT.1h"
FIGURES = {"sharpe": 1.5, "dsr": 0.97, "pbo": 0.2, "trials": 15.0, "efficiency": float("nan")}
GOOD = Evidence(FIGURES, (Finding("dsr", 0.97, 0.95, True, "not luck"),))
BAD = Evidence(FIGURES, (Finding("dsr", 0.2, 0.95, False, "it may be luck"),))


def walk(seed):
    """Walk a small market."""
    return walk_forward(
        market(Planted(4.0), 2500, seed=seed),
        strategy="sma_crossover",
        symbol="TESTUSDT",
        interval="1h",
        options=WalkForwardOptions(folds=2, trials=5, purge_bars=0, seed=seed),
    )


FIRST, SECOND = walk(1), walk(2)


@pytest.fixture
def address(tmp_path):
    """Tracking URI, artefact root and key of a registry of its own."""
    return f"sqlite:///{blank_registry(tmp_path)}", (tmp_path / "artifacts").as_uri(), KEY


@pytest.fixture
def registry(address):
    """An empty registry."""
    return Registry(*address)


def log(registry, result=FIRST, evidence=GOOD, **more):
    """Register a candidate."""
    return registry.log_candidate(result, evidence, context={"code": "0.1"}, **more)


def test_empty_registry_has_no_champion(registry):
    """Before anything was promoted the answer says how to promote."""
    with pytest.raises(NoChampion, match="thunes registry promote"):
        registry.champion(STUDY)
    assert registry.champion_or_none(STUDY) is None
    assert registry.versions() == []


def test_candidate_is_listed_with_its_evidence(registry):
    """A version shows strategy, symbol, interval, aliases, fingerprint and every finite figure."""
    logged = log(registry)
    (version,) = registry.versions()
    assert {k: version[k] for k in ("strategy", "symbol", "interval", "version", "aliases")} == {
        "strategy": "sma_crossover",
        "symbol": "TESTUSDT",
        "interval": "1h",
        "version": "1",
        "aliases": ["candidate"],
    }
    assert version["fingerprint"] == FIRST.chosen.fingerprint
    assert version["evidence"]["sharpe"] == 1.5
    assert version["evidence"]["efficiency"] is None
    assert logged.url.endswith(f"/runs/{logged.run_id}?workflowType=machine_learning")


def test_promotion_and_rollback_move_the_aliases(registry, address):
    """Promote one, then another, roll back: champion and previous change places."""
    log(registry)
    assert registry.promote(STUDY).version == "1"
    log(registry, SECOND)
    assert registry.champion(STUDY).version == "1"
    assert registry.promote(STUDY).version == "2"
    assert registry.champion(STUDY).parameters == SECOND.chosen
    assert registry.rollback(STUDY).version == "1"
    aliases = {v["version"]: v["aliases"] for v in registry.versions()}
    assert aliases == {"2": ["candidate", "previous"], "1": ["champion"]}
    assert champion_source(*address).champion(STUDY) == registry.champion(STUDY)


def test_rollback_without_a_previous_champion_is_told(registry):
    """There is nothing to return to after the first promotion."""
    log(registry)
    registry.promote(STUDY)
    with pytest.raises(NoChampion, match="previous"):
        registry.rollback(STUDY)


def test_evidence_that_fails_refuses_promotion_unless_a_person_gives_a_reason(registry):
    """The refusal names the finding; a given reason is kept on the version."""
    log(registry, evidence=BAD)
    with pytest.raises(PromotionRefused, match="it may be luck"):
        registry.promote(STUDY)
    registry.promote(STUDY, although="a test of the machinery")
    assert registry.version(STUDY, "champion")["tags"]["thunes.although"] == (
        "a test of the machinery"
    )


def test_first_champion_policy_is_marked_and_works_once(registry):
    """A bootstrap candidate becomes the first champion, but never replaces one."""
    bootstrap = rule(FIRST.chosen, BAD, None, PromotionPolicy.BOOTSTRAP)
    log(registry, evidence=BAD, ruling=bootstrap)
    assert registry.promote(STUDY).version == "1"
    assert registry.version(STUDY, "champion")["policy"] == "bootstrap"
    log(registry, SECOND, BAD, ruling=rule(SECOND.chosen, BAD, None, PromotionPolicy.BOOTSTRAP))
    with pytest.raises(PromotionRefused, match="may only be the first"):
        registry.promote(STUDY)


def test_a_candidate_is_read_as_it_was_ruled_on(registry):
    """The ruling on the newest version, or on another; a rewritten one counts as refused."""
    log(registry)
    champion = registry.promote(STUDY)
    log(registry, ruling=rule(FIRST.chosen, GOOD, champion))
    assert registry.candidate(STUDY).verdict is Outcome.KEEP
    assert registry.candidate(STUDY, "1").verdict is Outcome.PROMOTE
    registry._mlflow.client.set_model_version_tag(STUDY, "1", "thunes.why", "believe me")
    assert registry.candidate(STUDY, "1").verdict is Outcome.REFUSE
    with pytest.raises(PromotionRefused, match="as they were signed"):
        registry.trusted_version(STUDY, "1")


def test_version_that_is_not_there_is_told(registry):
    """A wrong number, and a study nobody knows, end with what to look at."""
    log(registry)
    for study, version in ((STUDY, "9"), ("sma_crossover.NONE.1h", None)):
        with pytest.raises(NoChampion, match="registry list"):
            registry.promote(study, version)


def test_tampered_parameters_are_not_traded(registry):
    """A version whose fingerprint tag does not fit its parameters is refused on reading."""
    log(registry)
    registry.promote(STUDY)
    client = registry._mlflow.client
    client.set_model_version_tag(STUDY, "1", "thunes.fingerprint", "0" * 64)
    with pytest.raises(ParametersInvalid, match="fingerprint"):
        registry.champion(STUDY)


def test_a_version_that_only_got_the_alias_is_not_traded(registry):
    """Moving the alias in MLflow itself promotes nothing: the promotion must be signed."""
    log(registry)
    registry._mlflow.client.set_registered_model_alias(STUDY, "champion", "1")
    with pytest.raises(ParametersInvalid, match="signed with this house's key"):
        registry.champion(STUDY)


def test_facts_changed_after_registration_refuse_promotion(registry):
    """A refused candidate whose verdict tag is rewritten stays refused."""
    log(registry, evidence=BAD)
    registry._mlflow.client.set_model_version_tag(STUDY, "1", "thunes.verdict", "promote")
    with pytest.raises(PromotionRefused, match="as they were signed"):
        registry.promote(STUDY)


def test_another_house_does_not_trust_this_ones_champion(registry, address):
    """The key decides: a registry read with another key has no champion to trade."""
    log(registry)
    registry.promote(STUDY)
    with pytest.raises(ParametersInvalid, match="signed"):
        champion_source(*address[:2], b"x" * 32).champion(STUDY)


def test_runs_hold_what_a_comparison_needs(registry):
    """A parent run with its files, and a child run per fold with figures and curves."""
    logged = log(registry)
    client = registry._mlflow.client
    parent = client.get_run(logged.run_id)
    params = parent.data.params
    assert {k: params[k] for k in FIRST.chosen.values} == {
        k: str(v) for k, v in FIRST.chosen.values.items()
    }
    assert params["walk_verdict"] == "promote"
    assert {
        f"walk_{name}": said for name, said in FIRST.made_with.items()
    }.items() <= params.items()
    assert {"walk_seed", "walk_sampler", "walk_windows", "walk_costs"} <= set(params)
    assert params["walk_fold_1"].startswith(f"{FIRST.folds[0].test_start:%Y-%m-%d} to ")
    where = {name: parent.data.metrics[name] for name in ("fold_1_sharpe", "fold_2_sharpe")}
    assert list(where.values()) == [f.test_metrics["sharpe"] for f in FIRST.folds]
    assert parent.data.metrics["passed_dsr"] == 1.0
    assert parent.data.tags["thunes.data"] == FIRST.data_fingerprint
    assert len(client.get_metric_history(logged.run_id, "equity_index")) > 10
    files = {f.path for f in client.list_artifacts(logged.run_id)}
    assert {"folds.csv", "trials.csv", "parameters.json", "plots", "evidence"} <= files
    plots = {f.path for f in client.list_artifacts(logged.run_id, "plots")}
    assert {"plots/final_fit_trials.png", "plots/final_fit_trials.html"} <= plots
    children = client.search_runs(
        [parent.info.experiment_id], f"tags.`mlflow.parentRunId` = '{logged.run_id}'"
    )
    assert {c.info.run_name for c in children} == {"fold 1", "fold 2"}
    assert all({"sharpe", "train_sharpe"} <= set(c.data.metrics) for c in children)
    assert all(c.info.status == "FINISHED" for c in [parent, *children])


def test_nothing_is_printed(tmp_path, capfd):
    """MLflow's own chatter does not reach the terminal, nor that of making its schema."""
    registry = Registry(f"sqlite:///{tmp_path}/new.db", tmp_path.as_uri(), KEY)
    log(registry)
    registry.promote(STUDY)
    assert capfd.readouterr() == ("", "")


def test_dead_server_fails_within_seconds():
    """Nobody listening: one clear error at once, not after MLflow's minutes of retries."""
    began = time.monotonic()
    with pytest.raises(RegistryUnavailable, match="thunes up") as told:
        Registry("http://bob:hunter2@127.0.0.1:9", "", KEY).versions()
    assert time.monotonic() - began < 10
    assert "hunter2" not in str(told.value)


NONSENSE = (b"<html>hello</html>", b"[]", b'"x"', b"{}", b'{"model_version": 3}', b"\xff")


@pytest.fixture
def nonsense():
    """A server that answers 200 and `body` to everything."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            healthy = self.path == "/health" and self.server.healthy
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"OK" if healthy else self.server.body)

        do_POST = do_GET  # noqa: N815 - the base class names it so

        def log_message(self, *_):
            """Stay quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize("body", NONSENSE)
def test_a_broken_server_is_one_clear_error(nonsense, body):
    """It is healthy by its own word, and answers what nobody can read."""
    nonsense.body, nonsense.healthy = body, True
    url = f"http://127.0.0.1:{nonsense.server_port}"
    for question in (Registry(url, "", KEY).candidate, champion_source(url, "", KEY).champion):
        with pytest.raises((RegistryUnavailable, NoChampion), match="expected"):
            question(STUDY)


@pytest.mark.parametrize("body", NONSENSE)
def test_a_server_that_answers_nonsense_is_one_clear_error(nonsense, body):
    """Another program on MLflow's port: every question ends with what to correct."""
    nonsense.body, nonsense.healthy = body, False
    url = f"http://127.0.0.1:{nonsense.server_port}"
    registry = Registry(url, "", KEY)
    ask = [
        registry.versions,
        lambda: registry.version(STUDY, "champion"),
        lambda: registry.candidate(STUDY),
        lambda: champion_source(url, "", KEY).champion(STUDY),
    ]
    for question in ask:
        with pytest.raises((RegistryUnavailable, NoChampion), match="expected"):
            question()
