"""`thunes up` on the command line: bad input, failure, signals; the services are stand-ins."""

from __future__ import annotations

import io
import json
import os
import signal
import socket
import subprocess
import sys
from contextlib import contextmanager

import pytest
import typer
from rich.console import Console
from typer.testing import CliRunner

from thunes_core.errors import OutsideFailed, SettingsInvalid
from thunes_core.settings import load
from thunes_pipelines.cli import up
from thunes_pipelines.services.state_folder import PROJECT, claim_ledger
from thunes_pipelines.services.supervisor import Service, Supervisor

SLEEP = "import time; time.sleep(60)"


def supervise(folder, code=SLEEP, **rest):
    """Return a supervisor of one service."""
    program = (sys.executable, "-c", code)
    return Supervisor([Service("one", program, lambda: True, "http://here", **rest)], folder)


@pytest.fixture
def settings(tmp_path):
    """Settings on a temporary home."""
    return load(home=tmp_path)


@contextmanager
def started_with(number, disposition):
    """Let a signal be as the parent of a command left it, and afterwards as it was."""
    before = signal.signal(number, disposition)
    try:
        yield
    finally:
        signal.signal(number, before)


@pytest.mark.parametrize(
    ("number", "disposition"),
    [
        (signal.SIGINT, signal.SIG_DFL),
        (signal.SIGINT, signal.SIG_IGN),
        (signal.SIGTERM, signal.SIG_DFL),
        (signal.SIGHUP, signal.SIG_DFL),
    ],
)
def test_a_signal_stops_everything(settings, tmp_path, monkeypatch, number, disposition):
    """Ctrl-C (ignored before or not), SIGTERM and a closed terminal; no service is left."""
    supervisor = supervise(tmp_path)
    monkeypatch.setattr(up, "_tell_ready", lambda *_, **__: os.kill(os.getpid(), number))
    with started_with(number, disposition), up.told_to_stop() as stop:
        up.run(supervisor, settings, stop, as_json=True)
        assert stop.is_set()
    assert supervisor.lives[0].pid is None


def test_what_nohup_started_outlives_the_terminal():
    """SIGHUP stays ignored; SIGTERM stops all as ever."""
    with started_with(signal.SIGHUP, signal.SIG_IGN), up.told_to_stop() as stop:
        os.kill(os.getpid(), signal.SIGHUP)
        assert not stop.is_set()
        os.kill(os.getpid(), signal.SIGTERM)
        assert stop.is_set()


def test_one_that_fails_stops_the_rest_and_is_told(settings, tmp_path):
    """The error names it; what ran beside it has ended."""
    services = [
        Service("steady", (sys.executable, "-c", SLEEP), lambda: True),
        Service(
            "frail", (sys.executable, "-c", "raise SystemExit(3)"), lambda: True, max_restarts=0
        ),
    ]
    supervisor = Supervisor(services, tmp_path)
    with up.told_to_stop() as stop, pytest.raises(OutsideFailed, match="frail ended with code 3"):
        up.run(supervisor, settings, stop, as_json=True)
    assert supervisor.lives[0].pid is None


def test_a_terminal_that_is_gone_does_not_keep_services_alive(settings, tmp_path, monkeypatch):
    """Nothing can be printed any more, everything is stopped all the same."""

    class Gone(io.StringIO):
        def write(self, text):
            raise OSError(5, "Input/output error")

    supervisor = supervise(tmp_path)
    with up.told_to_stop() as stop, pytest.raises(OSError, match="Input/output"):
        monkeypatch.setattr(up, "console", Console(file=Gone(), force_terminal=True))
        up.run(supervisor, settings, stop, as_json=False)
    assert supervisor.lives[0].pid is None


def test_ready_is_one_json_document(settings, tmp_path, monkeypatch, capfdbinary):
    """With what a script needs: addresses, process ids, logs."""
    emit = up.emit_json
    monkeypatch.setattr(
        up, "emit_json", lambda document: (emit(document), os.kill(os.getpid(), signal.SIGINT))
    )
    with up.told_to_stop() as stop:
        up.run(supervise(tmp_path), settings, stop, as_json=True)
    said = json.loads(capfdbinary.readouterr().out)
    assert said["ready"] is True
    (service,) = said["services"]
    assert service["url"] == "http://here"
    assert service["log"] == str(tmp_path / "one.log")


def test_a_port_in_use_ends_with_two_and_one_message(tmp_path):
    """The caller frees it, or chooses another."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        busy = str(listener.getsockname()[1])
        ended = subprocess.run(
            [sys.executable, "-m", "thunes_pipelines.cli.main", "up", "--port-dagster", busy],
            env={**os.environ, "THUNES_HOME": str(tmp_path / "home")},
            cwd=PROJECT,
            capture_output=True,
            text=True,
            check=False,
        )
    assert ended.returncode == 2
    assert f"expected port {busy} of 127.0.0.1 to be free" in ended.stderr
    assert ended.stderr.count("\n") == 1


def test_a_ledger_of_another_account_ends_with_two_before_anything_starts(tmp_path, monkeypatch):
    """Every tick of such a house would be refused; and a paper tick beside a new one is."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("THUNES_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("THUNES_LEDGER_URL", f"sqlite:///{tmp_path / 'kept.db'}")
    claim_ledger(load())
    app = typer.Typer()
    app.callback()(lambda: None)
    up.add_to(app)
    ports = ("--port-dagster", "0", "--port-mlflow", "0", "--port-testnet", "0")
    ended = CliRunner().invoke(app, ["up", *ports])
    assert isinstance(ended.exception, SettingsInvalid)
    assert "begun with (local paper); the settings name another (local exchange)" in str(
        ended.exception
    )
    assert not (tmp_path / "home" / "logs").exists()


@pytest.mark.parametrize("port", ["70000", "x", "-1"])
def test_what_is_no_port_ends_with_two(port):
    """Before anything is started."""
    app = typer.Typer()
    app.callback()(lambda: None)
    up.add_to(app)
    assert CliRunner().invoke(app, ["up", "--port-mlflow", port]).exit_code == 2
