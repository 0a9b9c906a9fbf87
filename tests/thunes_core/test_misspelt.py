"""Names that are no setting: a limit that was misspelt must not be the default in silence."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from thunes_core.errors import SettingsInvalid
from thunes_core.misspelt import faults
from thunes_core.settings import Settings, load

KNOWN = Settings.model_fields.keys()
PROJECT = Path(__file__).resolve().parents[2]


@pytest.fixture(autouse=True)
def empty_surroundings(monkeypatch, tmp_path):
    """No file and no variable of the machine is read."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("THUNES_CONFIG", raising=False)


def told(**overrides):
    """Return the message of settings that are refused."""
    with pytest.raises(SettingsInvalid) as error:
        load(**overrides)
    return str(error.value)


def test_a_misspelt_limit_in_the_environment_is_refused(monkeypatch):
    """Else the default loss limit would hold, and nobody would know."""
    monkeypatch.setenv("THUNES_DAILY_LOS_QUOTE", "5")
    assert (
        "THUNES_DAILY_LOS_QUOTE: no setting, in the environment; is THUNES_DAILY_LOSS_QUOTE meant?"
        in told()
    )


def test_a_misspelt_name_in_dotenv_is_refused(tmp_path):
    """Names of other programs beside it are theirs."""
    (tmp_path / ".env").write_text("INTERVALL=1h\nTHUNES_SYMBOL=ETHUSDT\nPATHS=x\n")
    assert told().splitlines()[1:] == [
        "  THUNES_SYMBOL: no setting, in .env; is THUNES_SYMBOLS meant?"
    ]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('intervall = "4h"', "intervall: no setting, in thunes.toml; is interval meant?"),
        ('INTERVAL = "4h"', "INTERVAL: no setting, in thunes.toml; is interval meant?"),
        ('THUNES_INTERVAL = "4h"', "is interval meant?"),
        ("xyzzy = 1", "xyzzy: no setting, in thunes.toml; take it out"),
        ("[risk]\ndaily_loss_quote = 5", "risk: no setting, in thunes.toml"),
    ],
)
def test_every_name_in_the_file_is_a_setting(tmp_path, line, said):
    """The file is ours alone."""
    (tmp_path / "thunes.toml").write_text(line)
    assert said in told()


def test_names_and_values_are_told_at_once_and_no_value_is_shown(tmp_path, monkeypatch):
    """Who corrects one fault need not find the next at another start."""
    (tmp_path / "thunes.toml").write_text('binance_api_secrets = "hidden-1"\nsymbols = "btc"')
    monkeypatch.setenv("THUNES_BINANCE_API_KEYS", "hidden-2")
    message = told(broker="wrong")
    for name in (
        "binance_api_secrets",
        "THUNES_BINANCE_API_KEYS",
        "THUNES_SYMBOLS",
        "THUNES_BROKER",
    ):
        assert name in message
    assert "hidden" not in message


def test_a_broken_file_is_named(tmp_path, monkeypatch):
    """By its own name, which need not be thunes.toml."""
    (tmp_path / "mine.toml").write_text("interval = ")
    monkeypatch.setenv("THUNES_CONFIG", str(tmp_path / "mine.toml"))
    assert "mine.toml cannot be read" in told()


@pytest.mark.parametrize("name", ["none.toml", "."])
def test_a_file_that_is_not_there_is_told(tmp_path, monkeypatch, name):
    """Its limits were left at their defaults in silence."""
    monkeypatch.setenv("THUNES_CONFIG", str(tmp_path / name))
    assert f"THUNES_CONFIG: expected a TOML file; {tmp_path / name} is none" in told()


@pytest.mark.parametrize("value", ["", os.devnull])
def test_no_file_may_be_meant(monkeypatch, value):
    """Kubernetes leaves a variable empty; /dev/null holds nothing."""
    monkeypatch.setenv("THUNES_CONFIG", value)
    assert load().interval == "1h"


def test_where_the_file_lies_is_not_read_in_the_dotenv(tmp_path):
    """It would be ignored in silence."""
    (tmp_path / ".env").write_text("THUNES_CONFIG=other.toml")
    assert "THUNES_CONFIG: not read in .env" in told()


@pytest.mark.parametrize(
    "name",
    ["WEBSERVER_SERVICE_HOST", "MLFLOW_PORT_5000_TCP_ADDR", "MLFLOW_PORT", "POSTGRES_SERVICE_PORT"],
)
def test_what_kubernetes_sets_beside_ours_is_no_fault(tmp_path, name):
    """It tells every pod of every service, by its name."""
    told_of = {f"THUNES_{name}": "tcp://10.0.0.1:3000", "thunes_interval": "1h"}
    assert faults(KNOWN, told_of, tmp_path / ".env", tmp_path / "thunes.toml") == []


def test_no_other_variable_of_this_project_is_taken_for_a_misspelt_setting(tmp_path):
    """Those of tests and of the file's place."""
    pages = [PROJECT / "Makefile", PROJECT / ".env.example", *(PROJECT / "tests").rglob("*.py")]
    used = {name for page in pages for name in re.findall(r"\bTHUNES_[A-Z_]+\b", page.read_text())}
    used -= set(re.findall(r"\bTHUNES_[A-Z_]+\b", Path(__file__).read_text())) | {"THUNES_CONFIG"}
    named = dict.fromkeys(used, "")
    assert faults(KNOWN, named, tmp_path / ".env", tmp_path / "thunes.toml") == []
