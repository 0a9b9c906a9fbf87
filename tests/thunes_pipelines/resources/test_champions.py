"""A champion is trusted only when everything about it can be proven."""

import json
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

import pytest

from thunes_core.domain.parameters import ParameterSet
from thunes_core.errors import NoChampion, ParametersInvalid, RegistryUnavailable
from thunes_pipelines.resources.champions import (
    Published,
    champion_source,
    cut_up,
    joined,
    promotion_facts,
    trusted,
)
from thunes_pipelines.resources.signing import signature

KEY = b"k" * 32
STUDY = "sma_crossover.BTCUSDT.1h"
GOOD = ParameterSet("sma_crossover", {"fast": 20, "slow": 100})


def published(parameters=GOOD, text=None, fingerprint=None):
    """Return a version as a registry would answer it."""
    body = parameters.canonical() if text is None else text
    return Published("3", "run", body, fingerprint or parameters.fingerprint)


def test_proven_set_is_trusted():
    """Canonical JSON of the study's strategy, inside its bounds, with its own fingerprint."""
    champion = trusted(STUDY, published())
    assert (champion.version, champion.parameters) == ("3", GOOD)


@pytest.mark.parametrize(
    "bad",
    [
        published(fingerprint="0" * 64),
        published(ParameterSet("rsi_reversion", {"period": 14, "entry": 30.0, "exit": 60.0})),
        published(ParameterSet("sma_crossover", {"fast": 20, "slow": 100_000})),
        published(ParameterSet("sma_crossover", {"fast": 20})),
        published(ParameterSet("sma_crossover", {"fast": 20, "slow": 100, "leverage": 5})),
        published(ParameterSet("sma_crossover", {"fast": 60, "slow": 30})),
        published(text="not json"),
        published(text=GOOD.canonical().replace("100", "NaN")),
        published(text=""),
    ],
    ids=[
        "fingerprint",
        "strategy",
        "bounds",
        "missing",
        "extra",
        "refused by the strategy",
        "not json",
        "not a number",
        "empty",
    ],
)
def test_anything_unproven_is_refused(bad):
    """One wrong detail is enough, and the error is the caller's to correct."""
    with pytest.raises(ParametersInvalid):
        trusted(STUDY, bad)


class Answers(BaseHTTPRequestHandler):
    """Answer as an MLflow server does, from `pages`: path to (status, body)."""

    pages: dict = {}  # noqa: RUF012 - replaced per server

    def do_GET(self):
        """Answer the page asked for."""
        url = urlsplit(self.path)
        status, body = self.pages.get(url.path, (404, {"error_code": "RESOURCE_DOES_NOT_EXIST"}))
        self.asked.append((url.path, parse_qs(url.query)))
        text = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *arguments):
        """Say nothing."""


@contextmanager
def serving(pages):
    """Run a server on a free loopback port; yield its address and what was asked."""
    handler = type("Pages", (Answers,), {"pages": pages, "asked": []})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", handler.asked
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


ALIAS = "/api/2.0/mlflow/registered-models/alias"
MODEL = "/api/2.0/mlflow/logged-models/m-1"


def pages(parameters=GOOD, key=KEY):
    """Return the two answers that make up a champion, its promotion signed with `key`."""
    sealed = signature(key, promotion_facts(STUDY, "3", parameters.fingerprint))
    version = {
        "version": "3",
        "run_id": "run",
        "source": "models:/m-1",
        "tags": [
            {"key": "thunes.fingerprint", "value": parameters.fingerprint},
            {"key": "thunes.promoted", "value": sealed},
        ],
    }
    params = [{"key": "parameters", "value": parameters.canonical()}]
    return {
        ALIAS: (200, {"model_version": version}),
        MODEL: (200, {"model": {"info": {}, "data": {"params": params}}}),
    }


def test_champion_comes_by_two_reads_of_a_server():
    """The alias, then the model: two plain GETs."""
    with serving(pages()) as (url, asked):
        champion = champion_source(url, "", KEY).champion(STUDY)
    assert champion.parameters == GOOD
    assert asked == [(ALIAS, {"name": [STUDY], "alias": ["champion"]}), (MODEL, {})]


def test_promotion_signed_by_another_is_not_traded():
    """Whoever can write to MLflow but has not the key promotes nothing."""
    with serving(pages(key=b"x" * 32)) as (url, _), pytest.raises(ParametersInvalid):
        champion_source(url, "", KEY).champion(STUDY)


def test_alias_that_nobody_has_is_no_champion():
    """An answer that the alias or model does not exist means nothing was promoted."""
    with serving({}) as (url, _), pytest.raises(NoChampion, match="thunes registry promote"):
        champion_source(url, "", KEY).champion(STUDY)


@pytest.mark.parametrize("answer", [(200, b"<html>"), (500, {"message": "boom"}), (502, b"")])
def test_server_that_cannot_answer_is_unavailable(answer):
    """Neither an error page nor a broken body is taken for a champion."""
    with serving({ALIAS: answer}) as (url, _), pytest.raises(RegistryUnavailable):
        champion_source(url, "", KEY).champion(STUDY)


def test_dead_server_is_unavailable_at_once():
    """Nobody listening: one clear error that says what to start."""
    with serving({}) as (url, _):
        pass
    with pytest.raises(RegistryUnavailable, match="thunes up"):
        champion_source(url, "", KEY).champion(STUDY)


def test_a_password_in_the_address_is_in_no_message():
    """Notes of a tick are kept in the ledger and shown to everyone."""
    with pytest.raises(RegistryUnavailable) as told:
        champion_source("http://bob:hunter2@127.0.0.1:9", "", KEY).champion(STUDY)
    assert "hunter2" not in str(told.value)
    assert "127.0.0.1:9" in str(told.value)


def test_a_long_parameter_set_is_cut_up_and_joined_whole():
    """MLflow would truncate a long text in silence: it travels in pieces."""
    text = "".join(str(n) for n in range(4_000))
    assert joined(cut_up(text)) == text
    assert all(len(piece) <= 5_000 for piece in cut_up(text).values())
    assert joined({}) == ""
