"""The command `thunes testnet`."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import orjson
import pytest
import requests

from thunes_core.testnet.matching import Exchange
from thunes_pipelines.cli import testnet
from thunes_pipelines.cli.main import main

COMMAND = [sys.executable, "-m", "thunes_pipelines.cli.main", "testnet", "--port", "0", "--json"]


def announced(process: subprocess.Popen[bytes]) -> dict:
    """Read the JSON document that the command prints once it listens."""
    assert process.stdout is not None
    lines = b""
    while not lines.endswith(b"}\n"):
        line = process.stdout.readline()
        assert line, "the command ended without announcing itself"
        lines += line
    return dict(orjson.loads(lines))


@pytest.mark.slow
def test_serves_until_it_is_interrupted() -> None:
    """It announces its address, answers, and ends with 0 on SIGINT."""
    process = subprocess.Popen([*COMMAND, "--clock", "x60"], stdout=subprocess.PIPE)
    try:
        told = announced(process)
        assert told["symbols"] == ["BTCUSDT", "ETHUSDT"]
        assert requests.get(f"{told['url']}/api/v3/ping", timeout=5).json() == {}
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=10) == 0
    finally:
        process.kill()
        process.communicate()


ED25519_PEM = """-----BEGIN PUBLIC KEY-----
MCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=
-----END PUBLIC KEY-----
"""


def started(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> Exchange:
    """Run the command line up to where it would serve, and return the exchange."""
    made: list[Exchange] = []
    monkeypatch.setattr("thunes_core.testnet.app.serve", lambda exchange, *_: made.append(exchange))
    monkeypatch.setattr(sys, "argv", ["thunes", "testnet", *arguments])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code in (0, None), ended.value.code
    return made[0]


def test_options_reach_the_exchange(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Cash, costs, clock, faults and keys are what was asked for."""
    script = tmp_path / "faults.json"
    script.write_text('[{"kind": "error", "on": "GET /api/v3/ping"}]')
    key = tmp_path / "key.pem"
    key.write_text(ED25519_PEM)
    on = started(
        monkeypatch, "--symbols", "ETHUSDT", "--clock", "stepped", "--start", "2025-03-01T00:00:00",
        "--cash", "500", "--balance", "BNB=2.5", "--taker-fee", "0.002", "--fee-asset", "quote",
        "--faults", str(script), "--fault-rate", "0.1", "--public-key", str(key),
        "--history-days", "30", "--depth",
    )  # fmt: skip
    assert on.market.symbols == ["ETHUSDT"]
    assert on.clock.now_ms() == 1_740_787_200_000
    assert str(on.wallet.free("USDT")) == "500.0"
    assert str(on.settlement.terms.taker_fee) == "0.002"
    assert on.book.is_finite
    shown = on.faults.document()
    assert (len(shown["waiting"]), shown["draw"]["rate"]) == (1, 0.1)
    assert str(on.wallet.free("BNB")) == "2.5"
    assert set(on.keys) == {"thunes-local-key", testnet.ED25519_KEY}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--bars", "nowhere.parquet"], "nowhere.parquet is not there"),
        (["--clock", "fast"], "expected real, stepped or xN"),
        (["--start", "yesterday"], "expected a time such as"),
        (["--start", "0001-01-01"], "of the years 1990 to 2200; it was '0001-01-01'"),
        (["--start", "9999-12-31T23:59:59"], "of the years 1990 to 2200"),
        (["--fee-asset", "gold"], "expected base, quote, bnb"),
        (["--taker-fee", "5"], "expected a fraction"),
        (["--cash", "-1"], "expected 0 or more"),
        (["--interval", "7h"], "expected one of 1m"),
        (["--symbols", "NONSENSE"], "expected one ending in"),
        (["--path", "up"], "expected low_first, colour, seed"),
        (["--symbols", ","], "at least one symbol"),
        (["--history-days", "0"], "expected 1 to 3650"),
        (["--faults", "nowhere.json"], "expected a file"),
        (["--fault-rate", "3"], "expected a rate"),
        (["--port", "abc"], "'abc' is not a valid integer range; see thunes testnet --help"),
        (["--balance", "BNB"], "balance: expected ASSET=AMOUNT"),
        (["--balance", "BNB=x"], "it was 'BNB' and 'x'"),
        (["--balance", "BNB=-1"], "at most the 0 BNB that are free; it was 1; take less"),
        (["--bogus"], "No such option '--bogus'"),
        (["--public-key", os.__file__], "expected an Ed25519 or RSA public key"),
    ],
)
def test_wrong_options_are_one_sentence_and_code_two(
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    arguments: list[str],
    message: str,
) -> None:
    """Bad input ends with 2 before anything is served."""
    monkeypatch.setattr(sys, "argv", ["thunes", "testnet", *arguments])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
    told = capfd.readouterr().err
    assert message in told
    assert told.count("\n") == 1


def test_the_usual_keys_are_those_of_the_settings() -> None:
    """Settings and testnet state the same test key; neither may import the other."""
    from thunes_core import settings
    from thunes_core.testnet import security

    assert (security.LOCAL_KEY, security.LOCAL_SECRET) == (
        settings.LOCAL_KEY,
        settings.LOCAL_SECRET,
    )
