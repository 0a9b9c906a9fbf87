"""Settings: whose keys go to which host, and that no fault shows a secret."""

from __future__ import annotations

import pwd

import pytest

from thunes_core.errors import SettingsInvalid
from thunes_core.settings import load

REAL = "https://api.binance.com"
LOCAL = "http://127.0.0.1:8799"
OWN = {"binance_api_key": "own-key-0001", "binance_api_secret": "own-secret-0002"}
TRADING = {"broker": "exchange"}


@pytest.fixture(autouse=True)
def empty_surroundings(monkeypatch, tmp_path):
    """No file and no variable of the machine is read."""
    monkeypatch.chdir(tmp_path)
    for name in ("EXCHANGE", "BROKER", "BINANCE_REST_URL", "BINANCE_API_KEY", "CONFIG"):
        monkeypatch.delenv(f"THUNES_{name}", raising=False)


@pytest.mark.parametrize(
    "url",
    [REAL, "http://api.binance.com", "http://127.0.0.1@api.binance.com", "http://127.0.0.1.x.org"],
)
@pytest.mark.parametrize("broker", ["paper", "exchange"])
def test_the_local_exchange_is_on_this_machine(url, broker):
    """A real host under the name `local` would count as armed and be sent the local key."""
    with pytest.raises(SettingsInvalid, match="local") as told:
        load(exchange="local", binance_rest_url=url, broker=broker)
    assert "THUNES_EXCHANGE" in str(told.value)


@pytest.mark.parametrize("name", ["binance_stream_url", "binance_ws_api_url"])
def test_the_streams_of_the_local_exchange_are_on_this_machine(name):
    """A signed subscription carries the key just as a request does."""
    with pytest.raises(SettingsInvalid, match="local"):
        load(**{name: "wss://ws-api.binance.com/ws-api/v3"})


@pytest.mark.parametrize("url", [None, LOCAL, "http://localhost:1234", "http://[::1]:8799"])
def test_own_keys_are_never_given_to_the_local_exchange(url):
    """The local testnet has its own published key; whoever listens there gets no other."""
    settings = load(exchange="local", binance_rest_url=url, **TRADING, **OWN)
    assert settings.binance_api_key is None
    assert settings.binance_api_secret is None


@pytest.mark.parametrize("exchange", ["binance", "binance-testnet", "binance-demo"])
def test_own_keys_are_never_sent_to_this_machine_in_the_name_of_a_real_exchange(exchange):
    """A forgotten address of the local testnet beside a real exchange is a fault."""
    with pytest.raises(SettingsInvalid, match="this machine"):
        load(exchange=exchange, binance_rest_url=LOCAL, **TRADING, **OWN)


def test_own_keys_are_never_sent_in_the_clear():
    """Signed requests to a real exchange need https."""
    with pytest.raises(SettingsInvalid, match="https"):
        load(exchange="binance", binance_rest_url="http://api.binance.com", **TRADING, **OWN)


def test_a_key_without_its_secret_is_not_signed_by_the_local_one():
    """Half a pair is a fault, named before anything is sent."""
    with pytest.raises(SettingsInvalid, match="THUNES_BINANCE_API_SECRET"):
        load(exchange="binance", binance_api_key=OWN["binance_api_key"], **TRADING)


def test_an_exchange_without_an_order_path_takes_no_orders():
    """Orders for another exchange must not end at the local testnet, with its keys."""
    with pytest.raises(SettingsInvalid, match="paper"):
        load(exchange="ccxt:kraken", **TRADING, **OWN)


@pytest.mark.parametrize("exchange", ["binance", "binance-testnet"])
def test_own_keys_go_to_the_exchange_they_belong_to(exchange):
    """The ordinary case."""
    settings = load(exchange=exchange, **TRADING, **OWN)
    assert settings.binance_api_key.get_secret_value() == OWN["binance_api_key"]
    assert settings.rest_url.startswith("https://")


def test_no_fault_and_no_repr_shows_a_secret():
    """Neither the sentence nor the object tells what a key is."""
    with pytest.raises(SettingsInvalid) as told:
        load(exchange="binance", binance_rest_url=LOCAL, symbols="bad symbol", **TRADING, **OWN)
    shown = str(told.value) + repr(load(exchange="binance", **TRADING, **OWN))
    assert not any(secret in shown for secret in OWN.values())


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("cooldown_minutes", "99999999999999"),
        ("bar_grace_seconds", "99999999999999999999"),
        ("stop_out_hours", "9999999999999"),
        ("takeover_hours", "9999999999999"),
        ("entry_timeout_bars", "9999999999999"),
        ("take_profit", "inf"),
        ("trailing_activation", "inf"),
        ("symbols", "BTCUSDT,BTCUSDT"),
    ],
)
def test_what_no_clock_or_price_can_hold_is_a_fault_of_the_settings(name, value):
    """It is named at the start, instead of breaking a tick."""
    with pytest.raises(SettingsInvalid, match=f"THUNES_{name.upper()}: "):
        load(**{name: value})


@pytest.mark.parametrize("name", ["50%41", "what?", "#1"])
def test_a_home_that_addresses_would_read_otherwise_is_a_fault(tmp_path, name):
    """`sqlite:///…/what?/ledger.db` is a file named `what`; a socket ends at `#`."""
    with pytest.raises(SettingsInvalid, match=r"THUNES_HOME: .*expected a path without %"):
        load(home=tmp_path / name)
    assert load(home=tmp_path / "Hömé & 'co'").home.name == "Hömé & 'co'"


def test_a_user_without_a_home_is_asked_for_the_folder(monkeypatch, tmp_path):
    """In a container nobody may be at home: the state folder is then named, or asked for."""

    def unknown(uid: int) -> None:
        raise KeyError(f"getpwuid(): uid not found: {uid}")

    for name in ("HOME", "THUNES_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(pwd, "getpwuid", unknown)
    with pytest.raises(
        SettingsInvalid, match=r"THUNES_HOME: .*a home that this user does not have"
    ):
        load()
    monkeypatch.setenv("THUNES_HOME", str(tmp_path))
    assert load().home == tmp_path
