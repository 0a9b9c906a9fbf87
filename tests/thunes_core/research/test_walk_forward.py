"""The walk-forward chooses on the past alone and judges on what follows."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from tests.planted import NOISE, Planted, market
from thunes_core.backtest.simulate import backtest
from thunes_core.domain.limits import Costs
from thunes_core.errors import BadInput, BarsInvalid
from thunes_core.research.search import JournalFolder
from thunes_core.research.walk_forward import WalkForwardOptions, walk_forward
from thunes_core.research.windows import Terms, longest_warmup
from thunes_core.strategies.base import build_from

OPTIONS = WalkForwardOptions(folds=3, trials=12, seed=5)
BARS = market(Planted(3.0), 4000, seed=1)


def walk(bars=BARS, options=OPTIONS, strategy="sma_crossover"):
    """Walk with the test's options."""
    return walk_forward(bars, strategy=strategy, symbol="TESTUSDT", interval="1h", options=options)


@pytest.fixture(scope="module")
def walked():
    """One walk that several tests look at."""
    return walk()


def choices(result):
    """Return what each fold chose."""
    return [fold.parameters.values for fold in result.folds]


def test_same_bars_and_seed_give_the_same_walk(walked):
    """Every fold, curve and choice is equal when it is run again."""
    again = walk()
    assert choices(again) == choices(walked)
    assert again.chosen == walked.chosen
    assert again.stitched.equals(walked.stitched)


def test_tests_tile_the_span_after_a_purge_of_the_longest_warmup(walked):
    """Training ends the longest warm-up before its test, and tests follow each other."""
    lead = longest_warmup("sma_crossover")
    assert lead == 240
    for fold in walked.folds:
        between = BARS.filter(
            (pl.col("open_time") >= fold.train_end) & (pl.col("open_time") < fold.test_start)
        )
        assert len(between) == lead
    assert [f.test_end for f in walked.folds[:-1]] == [f.test_start for f in walked.folds[1:]]
    assert len(walked.stitched) == sum(len(f.test_equity) for f in walked.folds)


def test_future_bars_change_no_choice_and_no_earlier_test(walked):
    """Bars after a fold's test may be anything: the folds up to it stay what they were."""
    second = walked.folds[1]
    factor = pl.when(pl.col("open_time") >= second.test_end).then(3.0).otherwise(1.0)
    prices = [pl.col(name) * factor for name in ("open", "high", "low", "close")]
    changed = walk(BARS.with_columns(*prices))
    assert choices(changed)[:2] == choices(walked)[:2]
    assert changed.folds[1].test_equity.equals(second.test_equity)
    assert not changed.folds[2].test_equity.equals(walked.folds[2].test_equity)


def test_each_test_is_a_backtest_from_flat_with_warm_up_from_before(walked):
    """A fold's test equals the plain backtest of the exposure computed over the whole history."""
    fold = walked.folds[2]
    inside = (BARS["open_time"] >= fold.test_start) & (BARS["open_time"] < fold.test_end)
    target = build_from(fold.parameters).target_exposure(BARS).filter(inside)
    plain = backtest(BARS.filter(inside), target)
    assert np.allclose(plain.equity["equity"], fold.test_equity["equity"], rtol=1e-9)


def test_stitched_curve_compounds_the_tests(walked):
    """The last equity is the starting cash times what every test made of its own."""
    growth = np.prod([f.test_equity["equity"][-1] / 10_000.0 for f in walked.folds])
    assert walked.stitched["equity"][-1] == pytest.approx(10_000.0 * growth)
    assert walked.metrics["total_return"] == pytest.approx(growth - 1.0)
    assert walked.metrics["trades"] == sum(f.test_metrics["trades"] for f in walked.folds)


def test_every_trial_is_counted_and_tabled(walked):
    """Trials of all folds and of the final fit are in the table; fold 0 is the final fit."""
    assert walked.trials == 12 * 4 == walked.trial_table.height
    assert walked.trial_table["fold"].unique().sort().to_list() == [0, 1, 2, 3]
    refused = walked.trial_table.filter(pl.col("fast") >= pl.col("slow"))
    assert refused["sharpe"].null_count() == refused.height


def test_choice_is_the_best_feasible_trial(walked):
    """The chosen set is the feasible trial of highest Sharpe in its own training window."""
    first = walked.trial_table.filter((pl.col("fold") == 1) & pl.col("feasible"))
    top = first.sort("sharpe", descending=True).row(0, named=True)
    assert choices(walked)[0] == {"fast": top["fast"], "slow": top["slow"]}
    assert walked.folds[0].train_metrics["sharpe"] == pytest.approx(top["sharpe"])


def test_resumed_walk_equals_and_only_revised_folds_are_searched_again(tmp_path):
    """A second walk searches nothing; a revised bar re-runs the folds whose training holds it."""
    options = replace(OPTIONS, studies=JournalFolder(tmp_path))
    first = walk(options=options)
    made = set(tmp_path.rglob("*.log"))
    assert len(made) == 4
    assert walk(options=options).stitched.equals(first.stitched)
    assert set(tmp_path.rglob("*.log")) == made
    last_training_bar = BARS["open_time"][-10]
    revised = BARS.with_columns(
        close=pl.when(pl.col("open_time") == last_training_bar)
        .then((pl.col("low") + pl.col("high")) / 2)
        .otherwise(pl.col("close"))
    )
    walk(revised, options)
    assert len(set(tmp_path.rglob("*.log")) - made) == 1


def test_costs_are_paid_in_training_and_in_test():
    """The same walk at ten times the costs chooses and earns differently."""
    dear = replace(OPTIONS, terms=Terms(costs=Costs(0.01, 0.01, 0.005)))
    assert walk(options=dear).metrics["total_return"] < walk().metrics["total_return"]


def test_rules_make_a_trial_infeasible():
    """With a limit on drawdown that nothing keeps, no trial is feasible; the walk still answers."""
    strict = replace(OPTIONS, max_drawdown=0.0001)
    assert not walk(options=strict).trial_table["feasible"].any()


def test_progress_counts_every_trial_once():
    """Progress ends at the total and never goes back."""
    seen = []
    walk_forward(
        BARS,
        strategy="sma_crossover",
        symbol="TESTUSDT",
        interval="1h",
        options=OPTIONS,
        progress=lambda done, total, name: seen.append((done, total)),
    )
    assert seen[-1] == (48, 48)
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)


def test_short_history_and_broken_bars_are_refused():
    """Too few bars, and bars that break semantics §1, end with a message that says what to do."""
    with pytest.raises(BadInput, match="longer history"):
        walk(BARS[:300])
    with pytest.raises(BarsInvalid, match="unsorted"):
        walk(BARS.reverse())


def test_noise_walks_too():
    """A market without edge gives a result like any other; nothing is invented or hidden."""
    result = walk(
        market(NOISE, 3000, seed=3),
        strategy="rsi_reversion",
        options=replace(OPTIONS, purge_bars=0),
    )
    assert len(result.folds) == 3
