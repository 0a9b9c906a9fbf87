"""Walk-forwards are kept whole, read back equal, and counted once."""

import pytest

from tests.planted import Planted, market
from thunes_core.adapters.walks import WalkStore
from thunes_core.errors import NoEvidence, StoreFailed
from thunes_core.research.search import JournalFolder
from thunes_core.research.walk_forward import WalkForwardOptions, walk_forward

STUDY = "sma_crossover.TESTUSDT.1h"


def walk(seed, strategy="sma_crossover", trials=5, studies=None):
    """Walk a small market; each seed has bars of its own."""
    return walk_forward(
        market(Planted(3.0), 2500, seed=seed),
        strategy=strategy,
        symbol="TESTUSDT",
        interval="1h",
        options=WalkForwardOptions(folds=2, trials=trials, purge_bars=0, studies=studies),
    )


def test_walk_is_read_back_as_it_was(tmp_path):
    """Folds, curves, trials, metrics and spans survive the store."""
    store, result = WalkStore(tmp_path), walk(1)
    store.save(result)
    kept = store.newest(STUDY)
    assert kept.chosen == result.chosen
    assert kept.made_with == result.made_with
    assert (kept.made_with["seed"], kept.made_with["windows"]) == ("7", "anchored")
    assert kept.stitched.equals(result.stitched)
    assert kept.trial_table.equals(result.trial_table)
    assert kept.metrics == pytest.approx(dict(result.metrics), nan_ok=True)
    assert (kept.bars_from, kept.chosen_from, kept.chosen_until) == (
        result.bars_from,
        result.chosen_from,
        result.chosen_until,
    )
    for one, other in zip(kept.folds, result.folds, strict=True):
        assert one.parameters == other.parameters
        assert one.test_equity.equals(other.test_equity)
        assert (one.train_start, one.test_end) == (other.train_start, other.test_end)


def test_newest_is_the_last_one_saved_and_each_walk_counts_once(tmp_path):
    """The same walk saved twice counts once; trials count for their own study only."""
    store = WalkStore(tmp_path)
    first, second = walk(1), walk(2)
    for result in (first, second, first, walk(1, "rsi_reversion")):
        store.save(result)
    tries = store.tries(STUDY)
    assert store.newest(STUDY).data_fingerprint == first.data_fingerprint
    assert len(tries.walk_sharpes) == 3
    assert tries.trials == first.trials + second.trials
    assert store.tries("sma_crossover.OTHERUSDT.1h").trials == 0


def test_trials_that_walks_share_count_once_and_unfinished_ones_count_too(tmp_path):
    """A search in two walks is one search; kept trials of a walk that never ended are added."""
    studies, store = JournalFolder(tmp_path / "studies"), WalkStore(tmp_path)
    for trials in (5, 12):
        store.save(walk(1, studies=studies, trials=trials))
    longer = walk(2, studies=studies)
    tries = store.tries(STUDY, studies.counted(STUDY))
    assert tries.trials == 3 * 12 + longer.trials
    assert store.tries(STUDY).trials == 3 * 12
    assert len(tries.walk_sharpes) == 2


def test_walk_that_is_only_counted_is_not_the_newest(tmp_path):
    """What was made of somebody's file counts as a try and is not what the candidate is made of."""
    store, first = WalkStore(tmp_path), walk(1)
    store.save(first)
    store.save(walk(2), newest=False)
    assert store.newest(STUDY).data_fingerprint == first.data_fingerprint
    assert len(store.tries(STUDY).walk_sharpes) == 2


def test_no_walk_yet_says_what_to_run(tmp_path):
    """Asking for a walk that was never made names the command that makes one."""
    with pytest.raises(NoEvidence, match="thunes walk-forward"):
        WalkStore(tmp_path).newest(STUDY)


def test_folder_that_cannot_be_written_is_one_clear_error(tmp_path):
    """Where the lake is a file, saving fails with StoreFailed and leaves nothing."""
    (tmp_path / "research").write_text("in the way")
    with pytest.raises(StoreFailed, match="cannot be written"):
        WalkStore(tmp_path).save(walk(1))
