"""A ledger serves the account it was begun with, whatever the settings say later."""

from __future__ import annotations

import json
from contextlib import closing

import pytest
from typer.testing import CliRunner

from tests.databases import LEDGERS, fresh_url
from thunes_core.adapters.ledger import open_ledger
from thunes_core.domain.portfolio import TradingState
from thunes_core.errors import SettingsInvalid
from thunes_core.serving import serving
from thunes_core.settings import load
from thunes_core.testnet.app import serve_in_thread
from thunes_core.testnet.market import generated_market
from thunes_pipelines.cli.main import load_commands
from thunes_pipelines.resources import wiring
from thunes_pipelines.resources.venue import require_own_venue, venue_of
from thunes_pipelines.services.state_folder import claim_ledger


@pytest.mark.parametrize("kind", LEDGERS)
def test_the_first_venue_is_the_ledgers(kind, tmp_path):
    """It is kept, and told to the audit once."""
    with fresh_url(kind, tmp_path) as url, closing(open_ledger(url)) as ledger:
        assert ledger.venue("binance paper") == "binance paper"
        assert ledger.venue("binance exchange") == "binance paper"
        assert [one["event"] for one in ledger.audit()] == ["venue"]


def test_ccxt_is_another_road_to_the_same_account(tmp_path):
    """A ledger may be gone on with through it."""
    names = {venue_of(load(home=tmp_path, exchange=one)) for one in ("binance", "ccxt:binance")}
    assert names == {"binance paper"}


def test_another_account_behind_the_same_ledger_is_refused_before_anything_is_asked(tmp_path):
    """From paper to the exchange in the same home: books of the one say nothing there."""
    with closing(open_ledger(f"sqlite:///{tmp_path / 'ledger.db'}")) as ledger:
        require_own_venue(load(home=tmp_path), ledger)
        with pytest.raises(
            SettingsInvalid, match=r"begun with \(local paper\); .* \(local exchange\)"
        ):
            require_own_venue(load(home=tmp_path, broker="exchange"), ledger)


def test_ticks_and_reconciliations_ask_and_status_answers_all_the_same(tmp_path, monkeypatch):
    """One clear error with the way out."""
    with serve_in_thread(generated_market(["BTCUSDT"])) as net:
        wiring.reconcile(load(home=tmp_path, binance_rest_url=net.url))
        changed = load(home=tmp_path, binance_rest_url=net.url, broker="exchange")
        for call in (wiring.reconcile, wiring.tend, wiring.tick):
            with pytest.raises(SettingsInvalid, match="THUNES_LEDGER_URL"):
                call(changed)
    monkeypatch.setenv("THUNES_HOME", str(tmp_path))
    monkeypatch.setenv("THUNES_BROKER", "exchange")
    shown = CliRunner().invoke(load_commands(), ["status", "--json"])
    assert json.loads(shown.stdout)["state"] == "ACTIVE"


@pytest.fixture
def taken(tmp_path, monkeypatch):
    """Name paper in the surroundings, in a home whose ledger `thunes up` began with its testnet."""
    claim_ledger(load(home=tmp_path, broker="exchange"))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("THUNES_HOME", str(tmp_path))
    (tmp_path / ".env").write_text("THUNES_BROKER=paper\n")
    with serving(tmp_path, {"exchange": "local", "broker": "exchange"}):
        yield f"sqlite:///{tmp_path / 'ledger.db'}"


@pytest.mark.parametrize(
    "words",
    [
        ["tick"],
        ["reconcile"],
        ["reconcile", "--accept"],
        ["resume", "--reason", "back"],
        ["arm", "--minutes", "5", "--max-notional", "9"],
    ],
    ids=" ".join,
)
def test_paper_beside_a_running_house_is_refused_and_nothing_is_written(taken, words):
    """Even before the house's first tick: one message names the account and the ways out."""
    ended = CliRunner().invoke(load_commands(), words)
    assert isinstance(ended.exception, SettingsInvalid)
    assert ended.exception.exit_code == 2
    assert "(local exchange)" in str(ended.exception)
    assert "another THUNES_HOME" in str(ended.exception)
    with closing(open_ledger(taken)) as ledger:
        assert ledger.trading_state().state is TradingState.ACTIVE
        assert [one["event"] for one in ledger.audit()] == ["venue"]


@pytest.mark.parametrize("words", ["halt --reason now", "reduce --reason now", "arm --off"])
def test_what_slows_trading_is_never_refused(taken, words):
    """A person in a hurry stops the account of the home, whatever else the settings name."""
    assert CliRunner().invoke(load_commands(), words.split()).exit_code == 0


def test_another_testnet_than_the_served_one_is_refused(tmp_path):
    """Its account too is another, though it is called the same."""
    told = {"exchange": "local", "broker": "exchange", "binance_rest_url": "http://127.0.0.1:18799"}
    other = load(home=tmp_path, broker="exchange", binance_rest_url="http://127.0.0.1:9")
    with (
        serving(tmp_path, told),
        closing(wiring.ledger(other)) as ledger,
    ):
        with pytest.raises(SettingsInvalid, match=r"thunes up.*127\.0\.0\.1:18799"):
            require_own_venue(other, ledger)
        assert ledger.known_venue() is None
        require_own_venue(load(home=tmp_path), ledger)


def test_a_house_whose_ledger_is_another_accounts_does_not_start(tmp_path):
    """It is told at once, not by each tick."""
    claim_ledger(load(home=tmp_path))
    with pytest.raises(SettingsInvalid, match="local paper"):
        claim_ledger(load(home=tmp_path, broker="exchange"))
