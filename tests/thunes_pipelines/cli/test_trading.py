"""The commands about the account, in a home of their own."""

from __future__ import annotations

import json
import os
import sqlite3
from contextlib import closing
from datetime import timedelta
from decimal import Decimal
from types import SimpleNamespace

import pytest
from typer.testing import CliRunner

from thunes_core.adapters.ledger import open_ledger
from thunes_core.clock import SystemClock
from thunes_core.domain.portfolio import Account, Position
from thunes_core.domain.records import Arming
from thunes_core.errors import (
    AnswerIsNo,
    BadInput,
    ExchangeUnavailable,
    SettingsInvalid,
    ThunesError,
)
from thunes_core.settings import load
from thunes_pipelines.cli import arm
from thunes_pipelines.cli.main import load_commands
from thunes_pipelines.resources import arming, wiring

REAL = {
    "THUNES_EXCHANGE": "binance",
    "THUNES_BROKER": "exchange",
    "THUNES_BINANCE_API_KEY": "k",
    "THUNES_BINANCE_API_SECRET": "s",
}
IN_AN_HOUR = SystemClock().now() + timedelta(hours=1)


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    """Let nothing of the user's settings through, and no exchange be reached."""
    for name in ("THUNES_EXCHANGE", "THUNES_BROKER", "THUNES_SYMBOLS", "THUNES_LEDGER_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("THUNES_HOME", str(tmp_path))
    monkeypatch.setenv("THUNES_CONFIG", os.devnull)
    monkeypatch.setenv("THUNES_BINANCE_REST_URL", "http://127.0.0.1:9")
    return tmp_path


@pytest.fixture()
def ledger(home):
    """Return the ledger that the commands use."""
    made = open_ledger(f"sqlite:///{home / 'ledger.db'}")
    yield made
    made.close()


def run(*words: str):
    """Run the command line and return how it ended."""
    return CliRunner().invoke(load_commands(), list(words))


def told(*words: str):
    """Run a command with --json and return its document."""
    result = run(*words, "--json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def test_status_answers_before_the_first_tick():
    """Nothing was done yet, and it says so."""
    shown = told("status")
    assert shown["state"] == "ACTIVE"
    assert shown["equity"] is None
    assert shown["positions"] == shown["open_orders"] == []
    assert shown["champions"] == {"sma_crossover.BTCUSDT.1h": None}
    said = run("status").output
    assert said.startswith("ACTIVE: never changed\n")
    assert "no tick yet" in said


@pytest.mark.parametrize(
    ("command", "state"), [("halt", "HALTED"), ("reduce", "REDUCING"), ("resume", "ACTIVE")]
)
def test_the_state_is_set_with_its_reason_and_author(command, state, ledger):
    """What was said is in the ledger and in the audit."""
    shown = told(command, "--reason", "because")
    record = ledger.trading_state()
    assert (record.state, record.reason) == (state, "because")
    assert record.author == shown["author"]
    assert ledger.audit()[-1]["event"] == "state"
    assert state in run("status").output


def test_a_state_needs_a_reason():
    """An empty one is bad input."""
    assert run("halt").exit_code == 2
    assert isinstance(run("halt", "--reason", " ").exception, BadInput)


@pytest.mark.parametrize("command", ["tick", "reconcile"])
def test_a_dead_exchange_is_one_clear_error(command):
    """Exit code 3: the outside failed."""
    result = run(command)
    assert isinstance(result.exception, ExchangeUnavailable)
    assert result.exception.exit_code == 3


def test_the_audit_is_exported_and_verified(ledger, home):
    """Both the ledger and the files prove themselves; damage ends with exit code 1."""
    told("halt", "--reason", "because")
    assert told("audit", "verify")["whole"]
    assert told("audit", "export")["written"] == 1
    assert told("audit", "verify", "--folder", str(home / "audit"))["rows"] == 1
    path = next((home / "audit").iterdir())
    path.write_text(path.read_text().replace("because", "despite"))
    damaged = run("audit", "verify", "--folder", str(home / "audit"), "--json")
    assert damaged.exit_code == 1
    assert json.loads(damaged.stdout)["broken_at"] == 1


def test_exported_files_are_verified_with_the_ledger(ledger, home):
    """Whoever changes a line of the trail is found without being looked for."""
    told("halt", "--reason", "because")
    assert told("audit", "verify")["rows_in_files"] is None
    told("audit", "export")
    assert told("audit", "verify")["rows_in_files"] == 1
    path = next((home / "audit").iterdir())
    path.write_text(path.read_text().replace("because", "despite"))
    assert run("audit", "verify").exit_code == 1
    assert "broken in the exported files at event 1" in run("audit", "verify").output
    path.write_bytes(b"\x00")
    assert (
        run("audit", "verify", "--folder", str(home / "audit"), "--head", "0" * 64).exit_code == 1
    )


@pytest.mark.parametrize("removed", [1, 2, 3])
def test_a_trail_whose_newest_events_were_removed_does_not_verify(ledger, home, removed):
    """What is left is whole in itself, but the ledger holds what no event tells of any more."""
    for command in ("halt", "reduce", "resume"):
        told(command, "--reason", f"{command}, a drill")
    assert told("audit", "verify")["rows"] == 3
    with closing(sqlite3.connect(home / "ledger.db")) as raw, raw:
        raw.execute("delete from audit where seq > ?", (3 - removed,))
    found = run("audit", "verify", "--json")
    assert found.exit_code == 1
    assert json.loads(found.stdout)["broken_at"] == 4 - removed


def real(monkeypatch, **permissions) -> None:
    """Pretend a real exchange with an account, its key, and a terminal."""
    for name, value in REAL.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("THUNES_BINANCE_REST_URL", "https://api.example.com")
    broker = SimpleNamespace(
        key_permissions=lambda: {"ipRestrict": True, **permissions},
        account=lambda: Account(identity="4711"),
        close=lambda: None,
    )
    monkeypatch.setattr(wiring, "account", lambda _settings: broker)


def at_terminal(monkeypatch) -> None:
    """Pretend that a person sits there."""
    monkeypatch.setattr(arm.sys, "stdin", SimpleNamespace(isatty=lambda: True), raising=False)


def type_in(monkeypatch, text: str) -> None:
    """Pretend that the person types `text`."""
    at_terminal(monkeypatch)
    monkeypatch.setattr(arm.typer, "prompt", lambda *_a, **_k: text)


def armed(*words: str) -> ThunesError | None:
    """Run `arm` without replacing stdin, and return its error."""
    app_words = ("--minutes", "30", "--max-notional", "500", *words)
    given = dict(zip(app_words[::2], app_words[1::2], strict=True))
    try:
        arm.arm_command(int(given["--minutes"]), float(given["--max-notional"]))
    except ThunesError as error:
        return error
    return None


def test_paper_needs_no_arming():
    """There is no money in it."""
    result = run("arm", "--minutes", "5", "--max-notional", "10")
    assert isinstance(result.exception, BadInput)


def test_status_tells_arming_and_the_breaker(monkeypatch, ledger):
    """Whoever is on call sees why nothing is entered."""
    assert told("status")["arming"] == {"needed": False, "armed": None}
    assert "armed" not in run("status").output
    real(monkeypatch)
    assert "not armed: positions can only be reduced" in run("status").output
    ledger.arm(Arming("4711", IN_AN_HOUR, Decimal(500), "me"))
    ledger.heard_exchange(answered=False, asked_to_wait=True)
    shown = run("status").output
    assert "up to 500 in all" in shown
    assert "breaker open" in shown
    assert told("status")["breaker_open"] is True


def test_status_shows_amounts_without_filled_up_zeros(ledger):
    """People read the amount, programs the exact text of the ledger."""
    book = Position(
        "sma_crossover", "BTCUSDT", cash=Decimal("1997.5"), quantity=Decimal("0.12000000")
    )
    ledger.save_position(book)
    shown = run("status").output
    assert "│ 0.12 " in shown
    assert "│ 1,997.5 " in shown
    assert "0000" not in shown
    assert Decimal(told("status")["positions"][0]["cash"]) == Decimal("1997.5")


def test_arming_needs_a_person_at_a_terminal(monkeypatch, ledger):
    """A job, a pipe or a message cannot arm."""
    real(monkeypatch)
    result = run("arm", "--minutes", "5", "--max-notional", "10")
    assert isinstance(result.exception, AnswerIsNo)
    assert "type the command yourself" in str(result.exception)
    assert ledger.arming() is None


@pytest.mark.parametrize("sum_of_money", ["nan", "inf", "0"])
def test_arming_needs_a_sum(monkeypatch, ledger, sum_of_money):
    """What is no number would cap nothing."""
    real(monkeypatch)
    type_in(monkeypatch, "4711")
    error = armed("--max-notional", sum_of_money)
    assert isinstance(error, BadInput)
    assert f"they were 30 and {sum_of_money}; give both" in str(error)
    assert ledger.arming() is None


def test_a_head_that_is_none_is_bad_input(ledger):
    """A slip of the hand is not taken for a trail that was rewritten."""
    for typed in ("abc", "", "z" * 64):
        result = run("audit", "verify", "--head", typed)
        assert isinstance(result.exception, BadInput)
        assert "64 hexadecimal digits" in str(result.exception)


def test_arming_takes_the_accounts_number_typed_out(monkeypatch, ledger):
    """The number of another account, or none, arms nothing."""
    real(monkeypatch)
    type_in(monkeypatch, "4712")
    assert "not the account's number" in str(armed())
    assert ledger.arming() is None
    type_in(monkeypatch, "4711")
    assert armed() is None
    given = ledger.arming()
    assert given is not None
    assert (given.identity, given.max_notional) == ("4711", Decimal(500))


@pytest.mark.parametrize("right", ["enableWithdrawals", "permitsUniversalTransfer"])
def test_a_key_that_could_take_money_away_is_refused(monkeypatch, ledger, right):
    """Trading needs no such right."""
    real(monkeypatch, **{right: True})
    type_in(monkeypatch, "4711")
    assert right in str(armed())
    assert ledger.arming() is None


def test_arming_ends_by_itself_and_can_be_ended(ledger, home):
    """It holds until its time, on the machine's clock."""
    ledger.arm(Arming("4711", IN_AN_HOUR, Decimal(500), "me"))
    assert ledger.arming() is not None
    assert told("arm", "--off") == {"armed": None}
    assert ledger.arming() is None
    ledger.arm(Arming("4711", SystemClock().now(), Decimal(500), "me"))
    assert ledger.arming() is None


def test_a_plan_for_a_real_exchange_is_unarmed_until_armed_and_then_capped(monkeypatch):
    """Entries are refused without arming; with it, exposure is capped and the account named."""
    real(monkeypatch)
    assert not wiring.plan(load()).armed
    plan = wiring.plan(load(), Arming("4711", IN_AN_HOUR, Decimal(500), "me"))
    assert (plan.armed, plan.identity) == (True, "4711")
    assert plan.limits.max_total_exposure == plan.limits.max_order_notional == Decimal(500)


def test_no_address_elsewhere_goes_without_arming(monkeypatch):
    """`local` with another host's address is no setting at all; any other needs arming."""
    monkeypatch.setenv("THUNES_BROKER", "exchange")
    assert not arming.is_needed(load())
    monkeypatch.setenv("THUNES_BINANCE_REST_URL", "https://api.binance.com")
    with pytest.raises(SettingsInvalid):
        load()
    for name, value in REAL.items():
        monkeypatch.setenv(name, value)
    assert arming.is_needed(load())


@pytest.mark.parametrize(
    ("url", "loopback"),
    [
        ("http://127.0.0.1:8799", True),
        ("http://localhost:1", True),
        ("http://[::1]:1", True),
        ("https://api.binance.com", False),
        ("http://127.0.0.1.example.com", False),
        ("http://10.0.0.1", False),
        ("nonsense", False),
    ],
)
def test_only_this_machine_is_loopback(url, loopback):
    """A name that looks like an address is not one."""
    assert arming.is_loopback(url) is loopback
