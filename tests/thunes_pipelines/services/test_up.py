"""What `thunes up` starts, with which settings, and that it lives and dies as one."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.thunes_pipelines.services.test_processes import is_alive
from thunes_core.errors import BadInput, SettingsInvalid
from thunes_core.settings import load
from thunes_pipelines.resources.places import audit_folder
from thunes_pipelines.services import state_folder
from thunes_pipelines.services.probes import answers
from thunes_pipelines.services.up import (
    HOST,
    Ports,
    environment_of,
    free_port,
    services,
    told_to_commands,
)

NOW = datetime(2026, 11, 21, 5, tzinfo=UTC)


@pytest.fixture
def settings(tmp_path):
    """The default settings on a temporary home."""
    (tmp_path / "home").mkdir()
    return load(home=tmp_path / "home")


@pytest.fixture
def busy_port():
    """A port on which somebody listens."""
    with socket.socket() as listener:
        listener.bind((HOST, 0))
        listener.listen()
        yield listener.getsockname()[1]


def names(parts):
    """Return the names of services."""
    return [part.name for part in parts]


def test_everything_runs_by_default(settings):
    """In the order of starting; the daemon waits for all others."""
    parts = services(settings, Ports(), NOW)
    shared, daemons = ["dagster-code", "dagster-runs"], ["dagster-webserver", "dagster-daemon"]
    assert names(parts) == ["testnet", "mlflow", "stream", *shared, *daemons]
    assert parts[-1].after == ("testnet", "mlflow", *shared, "dagster-webserver")


def test_code_is_loaded_once_for_all(settings):
    """Webserver and daemon ask one code server, which listens where only this user comes in."""
    state_folder.prepare(settings)
    socket_path = str(state_folder.socket_in(settings.home / "dagster", "code"))
    parts = {part.name: part for part in services(settings, Ports(), NOW)}
    assert socket_path in parts["dagster-code"].command
    assert (settings.home / "dagster").stat().st_mode & 0o077 == 0
    for name in ("dagster-webserver", "dagster-daemon"):
        (path,) = [part for part in parts[name].command if part.endswith("workspace.yaml")]
        assert socket_path in Path(path).read_text()


def test_a_password_is_not_among_arguments(tmp_path):
    """Everybody on the machine can list those; a database's address may hold one."""
    urls = {"mlflow_tracking_uri": "mysql://me:hidden@db/m", "ledger_url": "sqlite:///hidden.db"}
    parts = services(load(home=tmp_path, **urls), Ports(), NOW)
    (mlflow,) = [part for part in parts if part.name == "mlflow"]
    assert mlflow.environment["MLFLOW_BACKEND_STORE_URI"] == urls["mlflow_tracking_uri"]
    assert not [one for part in parts for one in part.command if "hidden" in one]


def test_a_home_whose_path_is_too_long_for_sockets_loads_code_for_each(tmp_path):
    """As Dagster does by itself; runs are then started as by default."""
    deep = load(home=tmp_path / ("x" * 120))
    state_folder.prepare(deep)
    parts = services(deep, Ports(), NOW)
    assert not {"dagster-code", "dagster-runs"} & set(names(parts))
    assert str(state_folder.PROJECT / "workspace.yaml") in parts[-1].command


def test_nothing_listens_beyond_loopback(settings):
    """No service asks who is calling, so none may be reached from outside."""
    listening = [part for part in services(settings, Ports(), NOW) if part.address]
    assert names(listening) == ["testnet", "mlflow", "dagster-webserver"]
    for part in listening:
        assert part.address.startswith(f"http://{HOST}:")
        assert "0.0.0.0" not in part.command


def test_a_real_exchange_needs_no_testnet_and_switches_nothing_on(tmp_path):
    """Schedules, account and promotion stay what the settings say."""
    real = load(home=tmp_path, exchange="binance", mlflow_tracking_uri="http://127.0.0.1:1")
    daemons = ["dagster-code", "dagster-runs", "dagster-webserver", "dagster-daemon"]
    assert names(services(real, Ports(), NOW)) == ["stream", *daemons]
    other = load(home=tmp_path, exchange="ccxt:kraken", mlflow_tracking_uri="http://127.0.0.1:1")
    assert names(services(other, Ports(), NOW)) == daemons  # no stream is read there
    known = environment_of(real, Ports())
    assert not {
        "THUNES_SCHEDULES_RUNNING",
        "THUNES_BROKER",
        "THUNES_PROMOTION",
        "THUNES_BINANCE_REST_URL",
        "THUNES_MLFLOW_TRACKING_URI",
    } & set(known)


def test_the_local_testnet_is_traded_by_itself(settings):
    """Its own account, its address, schedules on, a first champion without full evidence."""
    known = environment_of(settings, Ports(testnet=1234))
    assert known["THUNES_BINANCE_REST_URL"] == "http://127.0.0.1:1234"
    assert known["THUNES_BROKER"] == "exchange"
    assert known["THUNES_SCHEDULES_RUNNING"] == "true"
    assert known["THUNES_PROMOTION"] == "bootstrap"


def test_the_stream_is_ready_once_it_shows_its_board_anew(settings):
    """A board of an earlier run is none; an exchange out of reach keeps nobody waiting."""
    (stream,) = [part for part in services(settings, Ports(), NOW) if part.name == "stream"]
    assert "--patient" in stream.command
    assert not stream.is_ready()
    settings.board_path.touch()
    os.utime(settings.board_path, (NOW.timestamp() - 1, NOW.timestamp() - 1))
    assert not stream.is_ready()
    os.utime(settings.board_path, (NOW.timestamp() + 1, NOW.timestamp() + 1))
    assert stream.is_ready()


def test_the_invented_market_begins_on_the_same_day_at_every_start(settings):
    """A later start goes on where the market was, so that stored bars stay true."""
    first = state_folder.market_origin(settings, NOW)
    assert (NOW.date() - first).days == settings.history_days + 30
    assert state_folder.market_origin(settings, NOW + timedelta(days=9)) == first
    later = services(settings, Ports(), NOW + timedelta(days=9))[0].command
    assert later[later.index("--history-days") + 1] == str(settings.history_days + 39)


def test_the_ledger_of_an_earlier_testnet_is_put_aside_whole(settings):
    """With its write-ahead log; nothing is lost, and the new one begins empty."""
    for part in ("ledger.db", "ledger.db-wal"):
        (settings.home / part).write_text(part)
    kept = state_folder.put_ledger_aside(settings, NOW)
    assert kept == settings.home / "ledger-until-20261121T050000.db"
    assert kept.read_text() == "ledger.db"
    assert kept.with_name(kept.name + "-wal").read_text() == "ledger.db-wal"
    assert state_folder.put_ledger_aside(settings, NOW) is None


def test_the_exported_audit_of_an_earlier_testnet_is_put_aside_with_its_ledger(settings):
    """Else the trail of the new ledger would not be exported: the files there are another's."""
    exported = audit_folder(settings)
    exported.mkdir()
    (exported / "audit-000000001.jsonl").write_text("{}\n")
    (settings.home / "ledger.db").write_text("old")
    kept = state_folder.put_ledger_aside(settings, NOW)
    assert not exported.exists()
    (aside,) = settings.home.glob("audit-until-*/audit-000000001.jsonl")
    assert aside.parent.name.removeprefix("audit") == kept.stem.removeprefix("ledger")


def test_a_ledger_elsewhere_is_left_alone(tmp_path):
    """A server's ledger may serve others."""
    (tmp_path / "ledger.db").touch()
    elsewhere = load(home=tmp_path, ledger_url="sqlite:////nowhere.db")
    assert state_folder.put_ledger_aside(elsewhere, NOW) is None


def test_a_port_in_use_is_bad_input(busy_port):
    """The message names the port and the option."""
    with pytest.raises(BadInput, match=rf"expected port {busy_port} .* another --port-mlflow"):
        free_port(busy_port, "--port-mlflow")


def test_a_free_port_is_none_that_a_connection_may_be_given():
    """Until its server listens, nothing holds it: the kernel must not hand it out."""
    found = {free_port(0, "") for _ in range(20)}
    assert len(found) > 10
    assert max(found) < 32_768


def test_a_port_that_is_not_needed_may_be_in_use(tmp_path, busy_port):
    """A server of one's own listens there."""
    real = load(home=tmp_path, exchange="binance", mlflow_tracking_uri="http://127.0.0.1:1")
    taken = Ports(dagster=0, mlflow=busy_port, testnet=busy_port).taken(real)
    assert taken.mlflow == busy_port
    assert taken.dagster > 0


def test_a_second_one_in_the_same_home_is_bad_input(settings):
    """Two daemons on one instance would trade twice as often."""
    with (
        state_folder.only_one(settings),
        pytest.raises(BadInput, match="another `thunes up` does"),
        state_folder.only_one(settings),
    ):
        raise AssertionError("both hold the folder")


def test_a_home_that_cannot_be_made_is_told(tmp_path):
    """A file in the way is one clear message."""
    (tmp_path / "file").touch()
    with pytest.raises(SettingsInvalid, match="correct THUNES_HOME"):
        state_folder.only_one(load(home=tmp_path / "file" / "home")).__enter__()


def test_dagsters_instance_is_the_shipped_one(settings):
    """A newer dagster.yaml comes with a newer THUNES."""
    state_folder.prepare(settings)
    shipped = state_folder.PROJECT / "dagster_home" / "dagster.yaml"
    assert (settings.home / "dagster" / "dagster.yaml").read_text() == shipped.read_text()


def test_a_dead_address_does_not_answer(busy_port):
    """Neither silence nor a closed port is an answer, and none is an error."""
    assert not answers(f"http://{HOST}:{free_port(0, '')}/")


@pytest.mark.slow
def test_up_becomes_ready_and_leaves_nothing_behind(tmp_path):
    """Started with ignored signals, as a script does, it still stops at SIGINT, all of it."""
    ports = ("--port-dagster", "0", "--port-mlflow", "0", "--port-testnet", "0")
    command = (sys.executable, "-m", "thunes_pipelines.cli.main", "up", "--json", *ports)
    up = subprocess.Popen(
        ["bash", "-c", 'trap "" INT; exec "$@"', "-", *command],
        env={**os.environ, "THUNES_HOME": str(tmp_path), "THUNES_HISTORY_DAYS": "1"},
        stdout=subprocess.PIPE,
        cwd=state_folder.PROJECT,
        start_new_session=True,
    )
    assert up.stdout is not None
    lines = []
    while not lines or lines[-1] != b"}\n":
        lines.append(up.stdout.readline())
        assert lines[-1], f"up ended with {up.wait()} before it was ready"
    said = json.loads(b"".join(lines))
    pids = [service["pid"] for service in said["services"]]
    assert said["ready"]
    assert all(is_alive(pid) for pid in pids)
    assert all(answers(s["url"]) for s in said["services"] if s["name"].startswith("dagster-w"))
    up.send_signal(signal.SIGINT)
    assert up.wait(120) == 0
    up.stdout.close()
    for pid in pids:
        with pytest.raises(ProcessLookupError):
            os.killpg(pid, 0)


def test_commands_in_the_same_home_are_told_the_account_and_the_registry(tmp_path):
    """What the services trade and where they look, no more: neither schedules nor the folder."""
    told = told_to_commands(load(home=tmp_path), Ports(1, 2, 3))
    assert told == {
        "exchange": "local",
        "broker": "exchange",
        "binance_rest_url": "http://127.0.0.1:3",
        "mlflow_tracking_uri": "http://127.0.0.1:2",
        "promotion": "bootstrap",
    }


def test_of_a_real_exchange_commands_are_told_the_registry_alone(tmp_path):
    """There the settings of a person say what is traded."""
    told = told_to_commands(load(home=tmp_path, exchange="binance-testnet"), Ports(1, 2, 3))
    assert told == {"exchange": "binance-testnet", "mlflow_tracking_uri": "http://127.0.0.1:2"}
