"""Services start in order, are restarted within bounds, and stop together."""

from __future__ import annotations

import sys
import time

import pytest

from thunes_core.clock import monotonic_seconds
from thunes_core.errors import OutsideFailed
from thunes_pipelines.services import supervisor as supervisors
from thunes_pipelines.services.supervisor import Service, State, Supervisor

RUN = "import time; time.sleep(60)"


def service(name, code=RUN, **rest):
    """Return a service that runs `code` and is ready at once."""
    return Service(name, (sys.executable, "-c", code), **{"is_ready": lambda: True, **rest})


@pytest.fixture
def supervise(tmp_path):
    """Make supervisors and stop them after the test."""
    made = []

    def make(*services):
        made.append(Supervisor(services, tmp_path))
        return made[-1]

    yield make
    for supervisor in made:
        supervisor.stop()


def step_until(supervisor, holds):
    """Step until something holds, at most twenty seconds."""
    deadline = monotonic_seconds() + 20
    while not holds():
        assert monotonic_seconds() < deadline
        supervisor.step()
        time.sleep(0.01)


def states(supervisor):
    """Return the state of each service."""
    return [life.state for life in supervisor.lives]


def test_a_service_waits_for_those_before_it(supervise):
    """The daemon starts when the webserver answers, not before."""
    answers = []
    supervisor = supervise(
        service("first", is_ready=lambda: bool(answers)), service("second", after=("first",))
    )
    supervisor.step()
    supervisor.step()
    assert states(supervisor) == [State.STARTING, State.WAITING]
    answers.append(True)
    step_until(supervisor, lambda: supervisor.is_ready)


def test_one_that_dies_is_started_again(supervise):
    """A crash of one service does not stop the house."""
    supervisor = supervise(service("frail"))
    step_until(supervisor, lambda: supervisor.is_ready)
    first = supervisor.lives[0].pid
    supervisor.lives[0].process.kill()
    step_until(supervisor, lambda: supervisor.lives[0].pid not in {None, first})
    step_until(supervisor, lambda: supervisor.is_ready)
    assert supervisor.lives[0].restarts == 1


def test_deaths_far_apart_end_nothing(supervise, monkeypatch):
    """Only those that follow each other are counted: a house runs for months."""
    monkeypatch.setattr(supervisors, "MENDED_SECONDS", 0.0)
    supervisor = supervise(service("frail", max_restarts=1))
    for _ in range(3):
        step_until(supervisor, lambda: supervisor.is_ready)
        process = supervisor.lives[0].process
        process.kill()
        step_until(supervisor, lambda old=process: supervisor.lives[0].process is not old)
    assert supervisor.lives[0].restarts == 1


def test_one_that_is_not_well_for_long_is_started_again(supervise, monkeypatch):
    """It lives, but has lost what it lives by; a moment's weakness is let pass."""
    monkeypatch.setattr(supervisors, "LOOK_SECONDS", 0.0)
    looks = iter([True, *[False] * 4, True, *[False] * 5])
    supervisor = supervise(service("hollow", is_well=lambda: next(looks, True)))
    step_until(supervisor, lambda: supervisor.is_ready)
    first = supervisor.lives[0].pid
    for _ in range(10):
        supervisor.step()
        assert supervisor.lives[0].pid == first
    step_until(supervisor, lambda: supervisor.lives[0].pid not in {None, first})
    step_until(supervisor, lambda: supervisor.is_ready)
    assert supervisor.lives[0].restarts == 1


def test_one_that_is_never_well_fails(supervise, monkeypatch):
    """The message says that it lived."""
    monkeypatch.setattr(supervisors, "LOOK_SECONDS", 0.0)
    supervisor = supervise(service("hollow", is_well=lambda: False, max_restarts=0))
    with pytest.raises(OutsideFailed, match="hollow lives but is not well and is not started"):
        step_until(supervisor, lambda: False)


def test_one_that_keeps_dying_fails_with_the_end_of_its_log(supervise):
    """The message names the service, its code, its log and what it said last."""
    supervisor = supervise(
        service("broken", "print('no disk'); raise SystemExit(7)", max_restarts=1)
    )
    with pytest.raises(OutsideFailed) as told:
        step_until(supervisor, lambda: False)
    assert "broken ended with code 7 and is not started again" in str(told.value)
    assert str(told.value).endswith("  | no disk\n  | no disk")
    assert states(supervisor) == [State.FAILED]


def test_one_whose_death_loses_facts_is_never_started_again(supervise):
    """The testnet's account would be gone: better to stop and say so."""
    supervisor = supervise(service("testnet", "pass", max_restarts=0))
    with pytest.raises(OutsideFailed, match="testnet ended with code 0"):
        step_until(supervisor, lambda: False)


def test_one_that_never_answers_fails(supervise, monkeypatch):
    """Waiting has a bound."""
    monkeypatch.setattr("thunes_pipelines.services.supervisor.READY_SECONDS", 0.05)
    supervisor = supervise(service("mute", is_ready=lambda: False))
    with pytest.raises(OutsideFailed, match="mute did not answer within"):
        step_until(supervisor, lambda: False)


def test_a_program_that_does_not_exist_fails_clearly(supervise):
    """The message says that it cannot be started."""
    with pytest.raises(OutsideFailed, match="ghost cannot be started"):
        supervise(Service("ghost", ("/no/such/program",), lambda: True)).step()


def test_stop_goes_backwards_and_leaves_nothing(supervise, monkeypatch):
    """What depends on another is stopped before it."""
    from thunes_pipelines.services import processes

    supervisor = supervise(service("first"), service("second", after=("first",)))
    step_until(supervisor, lambda: supervisor.is_ready)
    pids = [life.pid for life in supervisor.lives]
    stopped, stop = [], processes.stop
    monkeypatch.setattr(
        processes,
        "stop",
        lambda process, **rest: (stopped.append(process.pid), stop(process, **rest)),
    )
    supervisor.stop()
    assert stopped == pids[::-1]
    assert [life.pid for life in supervisor.lives] == [None, None]
    assert states(supervisor) == [State.STOPPED, State.STOPPED]
