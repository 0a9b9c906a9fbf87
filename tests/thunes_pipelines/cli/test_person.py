"""Who a command is written down for."""

from __future__ import annotations

import os
import pwd

import pytest
from typer.testing import CliRunner

from thunes_core.adapters.ledger import open_ledger
from thunes_pipelines.cli.main import load_commands
from thunes_pipelines.cli.person import author


@pytest.fixture()
def nameless(monkeypatch, tmp_path):
    """Be a user that this machine has no name and no home for, as in many containers."""

    def unknown(uid: int) -> None:
        raise KeyError(f"getpwuid(): uid not found: {uid}")

    for name in ("LOGNAME", "USER", "LNAME", "USERNAME", "HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(pwd, "getpwuid", unknown)
    monkeypatch.setenv("THUNES_CONFIG", os.devnull)
    monkeypatch.chdir(tmp_path)


def test_a_user_without_a_name_is_told_by_number(nameless):
    """The number is what the machine knows."""
    assert author() == f"uid {os.getuid()}"


@pytest.mark.parametrize("command", ["halt", "reduce", "resume"])
def test_a_user_without_a_name_can_stop_trading(nameless, monkeypatch, tmp_path, command):
    """The kill switch fails for nobody."""
    monkeypatch.setenv("THUNES_HOME", str(tmp_path))
    result = CliRunner().invoke(load_commands(), [command, "--reason", "a drill"])
    assert result.exit_code == 0, result.output
    ledger = open_ledger(f"sqlite:///{tmp_path / 'ledger.db'}")
    assert ledger.trading_state().author == f"uid {os.getuid()}"
    ledger.close()
