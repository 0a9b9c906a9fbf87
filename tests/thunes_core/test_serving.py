"""What a running `thunes up` tells commands of the same state folder."""

from __future__ import annotations

import json

import pytest

from thunes_core.serving import served, serving
from thunes_core.settings import load

TOLD = {
    "exchange": "local",
    "broker": "exchange",
    "binance_rest_url": "http://127.0.0.1:18799",
    "mlflow_tracking_uri": "http://127.0.0.1:15000",
}


@pytest.fixture(autouse=True)
def empty_surroundings(monkeypatch, tmp_path):
    """No file and no variable of the machine is read."""
    monkeypatch.chdir(tmp_path)
    for name in ("EXCHANGE", "BROKER", "BINANCE_REST_URL", "MLFLOW_TRACKING_URI", "CONFIG", "HOME"):
        monkeypatch.delenv(f"THUNES_{name}", raising=False)


def test_settings_of_the_same_home_reach_what_is_served_there(tmp_path):
    """Another account's balance would halt the ledger; the link to a run would lead nowhere."""
    with serving(tmp_path, TOLD):
        settings = load(home=tmp_path)
    assert (settings.broker, settings.rest_url) == ("exchange", TOLD["binance_rest_url"])
    assert settings.tracking_uri == TOLD["mlflow_tracking_uri"]


def test_the_home_of_the_environment_counts(tmp_path, monkeypatch):
    """That is how a person names it."""
    monkeypatch.setenv("THUNES_HOME", str(tmp_path))
    with serving(tmp_path, TOLD):
        assert load().broker == "exchange"


def test_what_a_person_says_goes_before_it(tmp_path, monkeypatch):
    """Arguments, environment and thunes.toml are never overruled."""
    (tmp_path / "thunes.toml").write_text('mlflow_tracking_uri = "http://127.0.0.1:1"')
    monkeypatch.setenv("THUNES_BINANCE_REST_URL", "http://127.0.0.1:2")
    with serving(tmp_path, TOLD):
        settings = load(home=tmp_path, broker="paper")
    assert (settings.broker, settings.rest_url) == ("paper", "http://127.0.0.1:2")
    assert settings.tracking_uri == "http://127.0.0.1:1"


def test_another_exchange_takes_nothing_of_it(tmp_path):
    """The local testnet's address beside a real exchange's keys would be a fault."""
    with serving(tmp_path, TOLD):
        settings = load(home=tmp_path, exchange="binance")
    assert (settings.broker, settings.rest_url) == ("paper", "https://api.binance.com")


def test_another_home_is_another_house(tmp_path):
    """Nothing is told beyond the folder."""
    (tmp_path / "a").mkdir()
    with serving(tmp_path / "a", TOLD):
        assert load(home=tmp_path / "b").broker == "paper"


def test_nothing_is_left_when_it_ends(tmp_path):
    """The account is gone with the process, and so is what was told of it."""
    with serving(tmp_path, TOLD):
        pass
    assert not list(tmp_path.iterdir())
    assert load(home=tmp_path).broker == "paper"


@pytest.mark.parametrize("left", [json.dumps(TOLD), "", "{", "null"])
def test_a_file_left_by_a_crash_says_nothing(tmp_path, left):
    """The lock of the file ends with its writer, however that ends."""
    (tmp_path / "serving.json").write_text(left)
    assert served(tmp_path) == {}


def test_a_later_start_tells_its_own(tmp_path):
    """What an earlier one left behind is not mixed in."""
    (tmp_path / "serving.json").write_text(json.dumps({**TOLD, "promotion": "bootstrap"}))
    with serving(tmp_path, TOLD):
        assert served(tmp_path) == TOLD
