"""Who holds a lease, and whether that process still lives."""

from __future__ import annotations

import subprocess
import sys
from datetime import timedelta

import pytest

from tests.worlds import START
from thunes_core.adapters.ledger import holders, open_ledger
from thunes_core.adapters.ledger.holders import is_gone, this_process
from thunes_core.clock import FixedClock
from thunes_core.errors import LeaseHeld


def ended_process() -> str:
    """Return the name of a process of this machine that has ended."""
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    return f"{this_process().rpartition('-')[0]}-{ended.pid}"


def test_a_living_process_is_not_gone():
    """Neither this one nor the first of all."""
    assert not is_gone(this_process())
    assert not is_gone(f"{this_process().rpartition('-')[0]}-1")


def test_an_ended_process_of_this_machine_is_gone():
    """Its number is free again."""
    assert is_gone(ended_process())


@pytest.mark.parametrize("name", ["elsewhere-4026531836-99999999", "thunes", "a-b", ""])
def test_what_cannot_be_known_is_not_gone(name):
    """Another host's process keeps its lease until it runs out."""
    assert not is_gone(name)


def test_a_clone_of_this_host_is_another_host(monkeypatch, tmp_path):
    """Same name, same namespace number, another boot: its numbers say nothing of our processes."""
    (tmp_path / "boot_id").write_text("0c1e8a52-0000-4000-8000-000000000000\n")
    with monkeypatch.context() as clone:
        clone.setattr(holders, "_BOOT", tmp_path / "boot_id")
        theirs = ended_process()
    assert not is_gone(theirs)
    assert is_gone(ended_process())


def test_the_lease_of_an_ended_process_is_free_at_once(tmp_path):
    """After a kill the next tick need not wait; the token grows all the same."""
    ledger = open_ledger(f"sqlite:///{tmp_path / 'l.db'}", clock=FixedClock(START))
    dead = ledger.acquire_lease(ended_process(), timedelta(minutes=2))
    assert ledger.acquire_lease("b", timedelta(minutes=2)).token == dead.token + 1
    with pytest.raises(LeaseHeld):
        ledger.acquire_lease("c", timedelta(minutes=2))
    ledger.close()
