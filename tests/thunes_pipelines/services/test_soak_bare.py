"""Whose doing it was that something stood without protection."""

from __future__ import annotations

from datetime import timedelta

import pytest

from thunes_core.testnet.bare import Bare
from thunes_core.testnet.faults import Fault, FaultKind
from thunes_pipelines.services.soak_bare import Silence, explained, silences

SECOND = 1_000
SETTLE = timedelta(seconds=20)
POST = "POST /api/v3/orderList/oco"


def bare(since: int, until: int, symbol: str = "BTCUSDT") -> Bare:
    """Return an interval between two seconds."""
    return Bare(symbol, since * SECOND, until * SECOND, "x-stop-0 canceled")


def struck(kind: str, at: int, request: str = POST, symbol: str = "BTCUSDT") -> dict[str, object]:
    """Return what the exchange remembers of a request it failed."""
    return {"kind": kind, "time_ms": at * SECOND, "request": request, "symbol": symbol}


@pytest.mark.parametrize(
    ("kind", "answered"),
    [("error", 9.0), ("drop_after", 9.0), ("late", 9.0), ("refuse", 30.0), ("throttle", 30.0)],
)
def test_a_request_without_an_answer_is_the_exchanges_until_its_fate_can_be_known(kind, answered):
    """Settle time and a moment of thirty seconds; a refusal is an answer."""
    happened = [struck(kind, 100)]
    found = explained(bare(100, 130), silences((), happened, 0, SETTLE), happened, ())
    assert (found.seconds, found.answered_seconds) == (30.0, answered)
    assert f"{kind} {POST}" in found.why


@pytest.mark.parametrize(
    "harmless",
    [struck("error", 100, "GET /api/v3/myTrades"), struck("error", 100, symbol="ETHUSDT")],
    ids=["a read", "another symbol"],
)
def test_reads_and_other_symbols_excuse_nothing(harmless):
    """All of it was ours."""
    quiet = silences((), [harmless], 0, SETTLE)
    assert explained(bare(100, 130), quiet, [harmless], ()).answered_seconds == 30.0


def test_nobody_can_place_anything_in_maintenance_under_a_ban_or_in_a_halt():
    """Each lies in the interval for ten seconds; the halt is another symbol's for ETHUSDT."""
    script = [
        Fault(FaultKind.MAINTENANCE, at_seconds=90, for_seconds=20),
        Fault(FaultKind.BAN, at_seconds=110, for_seconds=10, seconds=10),
        Fault(FaultKind.STATUS, at_seconds=120, for_seconds=100, symbol="BTCUSDT"),
        Fault(FaultKind.LAG, at_seconds=0, for_seconds=1000),
    ]
    quiet = silences(script, (), 0, SETTLE)
    assert explained(bare(100, 130), quiet, (), ()).answered_seconds == 0.0
    assert explained(bare(100, 130, "ETHUSDT"), quiet, (), ()).answered_seconds == 10.0


def test_what_overlaps_is_counted_once():
    """Two lost answers of the same ten seconds excuse ten."""
    quiet = [Silence("", 0, 10 * SECOND, "a"), Silence("BTCUSDT", 5 * SECOND, 10 * SECOND, "b")]
    assert explained(bare(0, 12), quiet, (), ()).answered_seconds == 2.0


def test_the_sentence_names_how_it_began_and_what_happened():
    """For people: order, fault, death; the moment in UTC."""
    happened = [struck("drop", 101), {"kind": "cut_stream", "time_ms": 101_000, "stream": "x"}]
    quiet = silences((), happened, 0, SETTLE)
    found = explained(bare(100, 110), quiet, happened, (105 * SECOND, 500 * SECOND))
    assert found.since == "1970-01-01T00:01:40+00:00"
    assert found.why == f"x-stop-0 canceled; drop {POST}; killed at 1970-01-01T00:01:45+00:00"
    assert found.as_dict()["answered_seconds"] == 1.0
