"""A walk-forward that was killed goes on where it was and ends as if nothing had happened."""

import fcntl
import signal
import subprocess
import sys
from dataclasses import replace

import pytest

from tests.planted import Planted, market
from thunes_core.research.search import JournalFolder
from thunes_core.research.walk_forward import WalkForwardOptions, walk_forward

OPTIONS = WalkForwardOptions(folds=3, trials=30, seed=5)
STUDY = "sma_crossover.TESTUSDT.1h"
WALK = """
import sys
from pathlib import Path
from tests.thunes_core.research.test_walk_killed import JournalFolder, walk

walk(JournalFolder(Path(sys.argv[1])), lambda done, *_: print(done, flush=True))
"""


def walk(studies=None, progress=None):
    """Walk the test's market."""
    return walk_forward(
        market(Planted(3.0), 4000, seed=1),
        strategy="sma_crossover",
        symbol="TESTUSDT",
        interval="1h",
        options=replace(OPTIONS, studies=studies),
        progress=progress,
    )


@pytest.mark.slow
def test_killed_walk_continues_and_ends_the_same(tmp_path):
    """SIGKILL in the second fold: what was finished is kept, the rest is run, the result equal."""
    studies = JournalFolder(tmp_path)
    walker = subprocess.Popen(
        [sys.executable, "-c", WALK, str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    with walker:
        for line in walker.stdout:
            if int(line) >= 40:
                walker.kill()
                break
    assert walker.returncode == -signal.SIGKILL
    kept = {one.search: one.trials for one in studies.counted(STUDY)}
    assert 40 <= sum(kept.values()) < OPTIONS.trials * 4
    before = [path.read_bytes() for path in sorted(tmp_path.rglob("*.log"))]
    resumed, plain = walk(studies), walk()
    after = [path.read_bytes() for path in sorted(tmp_path.rglob("*.log"))]
    assert all(any(new.startswith(old) for new in after) for old in before)
    assert resumed.trial_table.equals(plain.trial_table)
    assert resumed.stitched.equals(plain.stitched)
    assert resumed.chosen == plain.chosen
    assert sum(one.trials for one in studies.counted(STUDY)) == OPTIONS.trials * 4
    for path in tmp_path.rglob("*.claim"):  # one may lie about if death came between two lines
        with path.open("ab") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
