"""Compiled code on disk: a second process starts warm, and changed sources are never served old."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from thunes_core.backtest import compiled

RUN = """
import numpy as np
from thunes_core.backtest import falls
falls.deepest_fall(np.ones(3), 1.0)
print(sum(falls.deepest_fall.stats.cache_hits.values()))
"""


def hits_of_a_fresh_process(folder) -> int:
    """Run a compiled function in a new process; return how often the cache served it."""
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(folder)}
    done = subprocess.run(
        [sys.executable, "-c", RUN], env=environment, check=True, capture_output=True, text=True
    )
    return int(done.stdout)


@pytest.mark.slow
def test_a_second_process_finds_what_the_first_compiled(tmp_path):
    """The first compiles into the given folder, the second only loads."""
    assert hits_of_a_fresh_process(tmp_path) == 0
    assert hits_of_a_fresh_process(tmp_path) == 1


def test_other_sources_live_in_another_folder(tmp_path, monkeypatch):
    """A change in a rule, though it stands in another file, is another folder."""
    find = compiled._cache_folder.__wrapped__
    before = find(str(tmp_path))
    changed = [*compiled._compiled_sources(), "# one more line"]
    monkeypatch.setattr(compiled, "_compiled_sources", lambda: changed)
    assert find(str(tmp_path)) != before
    assert before.parent == tmp_path


def test_rules_are_among_the_sources():
    """The rules that the kernel compiles from another package count."""
    assert any("def protective_exit" in text for text in compiled._compiled_sources())


def test_old_folders_are_forgotten(tmp_path):
    """Of many versions the newest are kept."""
    for number in range(7):
        folder = tmp_path / f"compiled-{number}"
        folder.mkdir()
        os.utime(folder, (number, number))
    compiled._forget_old(tmp_path)
    assert sorted(p.name for p in tmp_path.iterdir()) == [f"compiled-{n}" for n in (3, 4, 5, 6)]
