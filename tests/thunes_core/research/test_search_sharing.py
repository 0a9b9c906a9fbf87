"""Workers that share a study divide its trials: none twice, none missing, none lost with one."""

import os
import signal
import subprocess
import sys
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context

import pytest

from tests.postgres import fresh_base
from thunes_core.domain.parameters import FloatRange, IntRange, ParameterSpace
from thunes_core.errors import BadInput, StoreFailed
from thunes_core.research.search import (
    Evaluate,
    JournalFolder,
    Outcome,
    Relational,
    SearchOptions,
    search,
)

SPACE = ParameterSpace({"fast": IntRange(2, 60), "share": FloatRange(0.1, 1.0)})
TRIALS = 40
DYING = """
import os, signal
from tests.thunes_core.research.test_search_sharing import SPACE, hill
from thunes_core.research.search import Evaluate, {place}, SearchOptions, search

def dying(values, seen=[]):
    seen.append(values)
    if len(seen) > 24:
        os.kill(os.getpid(), signal.SIGKILL)
    return hill(values)

search(SPACE, Evaluate(dying), SearchOptions({trials}, 3, studies={studies}))
"""


def hill(values):
    """Return a hill with its top at fast=20, share=0.5."""
    height = -abs(values["fast"] - 20) - abs(values["share"] - 0.5)
    return Outcome(height, figures={"sharpe": height})


def together(values):
    """Return the same hill of several proposals."""
    return [hill(v) for v in values]


def work(place, sampler="random"):
    """Search as one of several workers; return the trials and how many this worker ran."""
    paid = []

    def counted(values):
        paid.append(values)
        return hill(values)

    found = search(SPACE, Evaluate(counted), SearchOptions(TRIALS, 3, sampler, studies=place))
    return found, len(paid)


@pytest.fixture(scope="module")
def base():
    """An empty PostgreSQL base."""
    with fresh_base() as url:
        yield url


@pytest.fixture(params=["journal", pytest.param("postgres", marks=pytest.mark.slow)])
def place(request, tmp_path):
    """Each place where studies are kept, empty."""
    if request.param == "journal":
        yield JournalFolder(tmp_path)
    else:
        with fresh_base() as url:
            yield Relational(url)


def test_a_second_search_pays_nothing_and_finds_the_same(place):
    """A study that is complete is read, not run; it equals a search that was never kept."""
    first, paid = work(place, "tpe")
    again, paid_again = work(place, "tpe")
    assert (paid > 0, paid_again) == (True, 0)
    assert again == first == search(SPACE, Evaluate(hill), SearchOptions(TRIALS, 3))


def test_threads_divide_a_study_without_a_trial_twice(place):
    """Three workers: every place once, and with a sampler without memory the same trials."""
    with ThreadPoolExecutor(3) as pool:
        found = list(pool.map(lambda _: work(place), range(3)))
    alone = search(SPACE, Evaluate(hill), SearchOptions(TRIALS, 3, "random"))
    assert all(trials == alone for trials, _ in found)
    assert sum(paid for _, paid in found) <= TRIALS
    (counted,) = place.counted("study")
    assert (counted.trials, len(counted.sharpes)) == (TRIALS, TRIALS)


@pytest.mark.slow
def test_processes_fill_one_study(place):
    """Two processes with one study end with all its trials, each of them run by one process."""
    with ProcessPoolExecutor(2, get_context("spawn")) as pool:
        found = [future.result() for future in [pool.submit(work, place) for _ in range(2)]]
    alone = search(SPACE, Evaluate(hill), SearchOptions(TRIALS, 3, "random"))
    assert [trials for trials, _ in found] == [alone, alone]
    assert sum(paid for _, paid in found) <= TRIALS


@pytest.mark.slow
def test_killed_worker_leaves_its_blocks_to_the_next(place):
    """After SIGKILL amid the third block two blocks are kept, and the end is as if nothing was."""
    script = DYING.format(place=type(place).__name__, trials=TRIALS, studies=_written(place))
    dead = subprocess.run(
        [sys.executable, "-c", script], check=False, capture_output=True, text=True, env=os.environ
    )
    assert dead.returncode == -signal.SIGKILL, dead.stderr
    assert place.counted("study")[0].trials == 20
    found, paid = work(place, "tpe")
    assert found == search(SPACE, Evaluate(hill), SearchOptions(TRIALS, 3))
    assert paid <= 20


def _written(place):
    shown = place.url if isinstance(place, Relational) else place.path
    if isinstance(place, Relational):
        return f"Relational({shown!r})"
    return f"JournalFolder(__import__('pathlib').Path({str(shown)!r}))"


def test_half_a_block_is_filled_up(base):
    """Trials are inserted one by one: what a killed worker left of a block is kept as it is."""
    options = SearchOptions(20, 3, studies=Relational(base), name="half")
    whole = search(SPACE, Evaluate(hill), options)
    kept = Relational(base).open("study", "torn", 1)
    kept.persist(Relational(base).open("study", "half", 1).trials()[:13])
    resumed = search(
        SPACE, Evaluate(hill), SearchOptions(20, 3, studies=Relational(base), name="torn")
    )
    assert resumed == whole


def test_other_databases_and_dead_ones_are_told(base):
    """SQLite is refused, a server that is gone is a failed store, and no URL is shown."""
    with pytest.raises(BadInput, match=r"expected postgresql\+psycopg2://") as refused:
        Relational("sqlite:////home/secret/studies.db")
    with pytest.raises(StoreFailed, match="expected the PostgreSQL") as failed:
        Relational("postgresql+psycopg2://me:hush@127.0.0.1:9/none").open("study", "name", 1)
    assert "secret" not in str(refused.value)
    assert "hush" not in f"{failed.value}{Relational(base.replace('postgres:', 'postgres:hush'))!r}"
