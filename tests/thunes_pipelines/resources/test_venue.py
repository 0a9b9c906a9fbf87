"""A ledger serves the account it was begun with, whatever the settings say later."""

from __future__ import annotations

import json
from contextlib import closing

import pytest
from typer.testing import CliRunner

from tests.databases import LEDGERS, fresh_url
from thunes_core.adapters.ledger import open_ledger
from thunes_core.errors import SettingsInvalid
from thunes_core.settings import load
from thunes_core.testnet.app import serve_in_thread
from thunes_core.testnet.market import generated_market
from thunes_pipelines.cli.main import load_commands
from thunes_pipelines.resources import wiring
from thunes_pipelines.resources.venue import require_own_venue, venue_of


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
