"""The collector of garbage waits while a tick runs, and is as it was afterwards."""

from __future__ import annotations

import gc

import pytest

from thunes_pipelines.resources import garbage


def test_nothing_is_collected_while_the_work_runs():
    """The collector is off inside, and on again when the work is done."""
    with garbage.between(gc.isenabled) as work:
        assert [work() for _ in range(3)] == [False, False, False]
        assert gc.isenabled()


def test_the_collector_is_on_again_after_work_that_failed():
    """An error of a tick changes nothing about it."""

    def fail() -> None:
        raise KeyError("a tick failed")

    with garbage.between(fail) as work, pytest.raises(KeyError):
        work()
    assert gc.isenabled()


def test_a_collector_that_was_off_stays_off():
    """Who switched it off before decides when it is on again."""
    with garbage.put_off():
        with garbage.put_off():
            assert not gc.isenabled()
        assert not gc.isenabled()
    assert gc.isenabled()


def test_what_is_alive_at_the_second_time_is_set_aside_until_the_end():
    """The first run pays for no collection; afterwards everything is looked at again."""
    before = gc.get_freeze_count()
    with garbage.between(gc.get_freeze_count) as work:
        assert work() == before
        assert work() > before + 1000
    assert gc.get_freeze_count() == 0


def test_what_was_loaded_is_not_looked_at_again():
    """Modules stay for the life of the process: nothing is collected while they are imported."""
    try:
        with garbage.loading():
            assert not gc.isenabled()
        assert gc.isenabled()
        assert gc.get_freeze_count() > 1000
    finally:
        gc.unfreeze()
