"""Trials belong to the code that made them."""

from pathlib import Path

import pytest

from tests.thunes_core.research.test_walk_forward import BARS, OPTIONS
from thunes_core import strategies
from thunes_core.research.sources import code_fingerprint, meaning_of
from thunes_core.research.walk_forward import walk_forward

PLAIN = '''
"""About."""
def f(x):
    """Double."""
    return x * 2
'''


def test_words_for_people_do_not_count():
    """Comments, docstrings and layout may change; a number may not."""
    told = PLAIN.replace("Double.", "Return twice x.").replace("x * 2", "(x  *  2)  # twice")
    assert meaning_of(told) == meaning_of(PLAIN)
    assert meaning_of(PLAIN.replace("* 2", "* 3")) != meaning_of(PLAIN)


@pytest.fixture
def edited(tmp_path, monkeypatch):
    """A copy of the strategies in which SMA crossover also holds when both averages are equal."""
    for path in Path(strategies.__path__[0]).glob("*.py"):
        text = path.read_text()
        if path.stem == "sma_crossover":
            assert " > " in text
            text = text.replace(" > ", " >= ")
        (tmp_path / path.name).write_text(text)
    monkeypatch.setattr(strategies, "__path__", [str(tmp_path)])
    code_fingerprint.cache_clear()
    yield
    code_fingerprint.cache_clear()


def searches(result):
    """Return the names under which the trials are kept."""
    return set(result.trial_table["search"])


def walk():
    """Walk a small market."""
    return walk_forward(
        BARS, strategy="sma_crossover", symbol="TESTUSDT", interval="1h", options=OPTIONS
    )


def test_an_edited_strategy_is_searched_anew(request):
    """Nothing kept from before the edit is taken for a trial of the new code."""
    before = searches(walk())
    assert searches(walk()) == before
    request.getfixturevalue("edited")
    assert not searches(walk()) & before
