"""Evidence passes where an edge was planted, fails on noise, and shows every figure."""

from dataclasses import replace

import numpy as np
import pytest

from tests.planted import NOISE, Planted, market
from thunes_core.backtest import metrics
from thunes_core.backtest.simulate import backtest_strategy
from thunes_core.domain.limits import Costs
from thunes_core.domain.parameters import ParameterSet
from thunes_core.research.evidence import BEATS_CHAMPION, Thresholds, _overfitting, judge
from thunes_core.research.figures import Luck, efficiency
from thunes_core.research.splits import Span
from thunes_core.research.stitching import stitch
from thunes_core.research.walk_forward import WalkForwardOptions, walk_forward
from thunes_core.research.windows import Terms, Window
from thunes_core.strategies.base import build, build_from

OPTIONS = WalkForwardOptions(folds=4, trials=20, seed=5)
EDGE = market(Planted(5.0, 1000), 24 * 365 * 3, seed=2)


def walk(bars, strategy="sma_crossover", **changed):
    """Walk a strategy, by default the moving-average cross, over `bars`."""
    options = replace(OPTIONS, **changed)
    return walk_forward(bars, strategy=strategy, symbol="TESTUSDT", interval="1h", options=options)


@pytest.fixture(scope="module")
def edge():
    """A walk over a market with a strong edge."""
    return walk(EDGE)


def finding(evidence, name):
    """Return one finding by name."""
    return next(f for f in evidence.findings if f.name == name)


def test_planted_edge_passes_and_every_finding_says_why(edge):
    """A strong edge passes all findings; each sentence holds its number and its threshold."""
    evidence = judge(edge, EDGE)
    assert evidence.passed, [f.sentence for f in evidence.findings if not f.passed]
    assert all("is asked for" in f.sentence for f in evidence.findings)
    assert evidence.figures["sharpe"] == edge.metrics["sharpe"]
    assert evidence.figures["trials"] == 100


def test_noise_does_not_pass():
    """A market without edge ends in do nothing."""
    bars = market(NOISE, 6000, seed=4)
    assert not judge(walk(bars), bars).passed


def test_twice_the_costs_earn_less(edge):
    """The tests at doubled costs are the tests at costs doubled."""
    evidence = judge(edge, EDGE)
    free = judge(edge, EDGE, costs=Costs(0.0, 0.0, 0.0))
    assert evidence.figures["double_costs_return"] < evidence.figures["total_return"]
    assert free.figures["double_costs_sharpe"] == pytest.approx(
        metrics.sharpe(_daily(_retested(edge, Costs(0.0, 0.0, 0.0))))
    )


def _retested(result, costs):
    times = EDGE["open_time"]
    windows = [
        Window(EDGE, Span(times.search_sorted(f.test_start), times.search_sorted(f.test_end)), 240)
        for f in result.folds
    ]
    tests = [
        window.backtest(build_from(fold.parameters), Terms(costs=costs))
        for window, fold in zip(windows, result.folds, strict=True)
    ]
    return stitch(tests, 10_000.0)[0]


def _daily(equity):
    ends = metrics.day_ends(equity["open_time"].dt.epoch("us").to_numpy())
    return metrics.daily_returns(equity["equity"].to_numpy()[ends], 10_000.0)


def test_champion_is_run_on_the_same_test_bars_and_must_be_beaten(edge):
    """A champion that never trades is beaten; the best set on the tests themselves is not."""
    weak = judge(edge, EDGE, champion=ParameterSet("sma_crossover", {"fast": 5, "slow": 20}))
    assert finding(weak, BEATS_CHAMPION).passed
    inside = EDGE.filter(EDGE["open_time"] >= edge.folds[0].test_start)
    spans = [(fast, slow) for fast in range(10, 60, 10) for slow in range(60, 240, 20)]
    best = max(
        spans,
        key=lambda s: backtest_strategy(
            inside, build("sma_crossover", {"fast": s[0], "slow": s[1]})
        ).metrics["sharpe"],
    )
    strong = judge(
        edge, EDGE, champion=ParameterSet("sma_crossover", {"fast": best[0], "slow": best[1]})
    )
    assert not finding(strong, BEATS_CHAMPION).passed
    assert not strong.passed


def test_more_walk_forwards_judged_lower_the_deflated_sharpe(edge):
    """Luck that was tried more often explains more; with one try it is the plain probability."""
    once = judge(edge, EDGE, walk_forwards_judged=1).figures
    often = judge(edge, EDGE, walk_forwards_judged=50).figures
    assert once["dsr"] == once["psr"]
    assert often["dsr"] < once["dsr"]
    varied = judge(edge, EDGE, luck=Luck(50, walk_forward_variance=0.02)).figures
    assert varied["dsr"] < often["dsr"]


def test_more_trials_lower_the_in_sample_deflated_sharpe(edge):
    """The count of every trial ever run deflates the in-sample choice."""
    few = judge(edge, EDGE, luck=Luck(trials=10)).figures
    many = judge(edge, EDGE, luck=Luck(trials=10_000)).figures
    assert many["dsr_in_sample"] < few["dsr_in_sample"]


def test_a_choice_that_breaks_the_rules_of_its_search_does_not_pass(edge):
    """With a drawdown allowed that nothing keeps, the least bad is chosen, and not promoted."""
    strict = walk(EDGE, max_drawdown=0.001)
    kept, broken = (finding(judge(one, EDGE), "rules") for one in (edge, strict))
    assert (kept.passed, broken.passed) == (True, False)
    assert (broken.value, broken.threshold) == (0.0, 1.0)


def test_a_long_warm_up_leaves_the_second_view():
    """On a year of bars a strategy that warms up for 60 days is cross-validated all the same."""
    bars = market(NOISE, 24 * 365, seed=4)
    figures = judge(walk(bars, strategy="rsi_reversion"), bars).figures
    assert np.isfinite([figures["cpcv_sharpe"], figures["cpcv_positive"]]).all()


def test_thresholds_decide(edge):
    """The same figures fail under a threshold above them."""
    evidence = judge(edge, EDGE, thresholds=Thresholds(sharpe=50.0))
    assert [f.name for f in evidence.findings if not f.passed] == ["stitched_sharpe"]


def test_overfitting_is_forgiven_where_the_best_never_loses():
    """A high PBO fails a candidate unless the in-sample best still earns out of sample."""
    harmless = _overfitting(0.7, 0.01, Thresholds())
    assert harmless.passed
    assert not _overfitting(0.7, 0.2, Thresholds()).passed
    assert _overfitting(0.4, 0.2, Thresholds()).passed
    assert not _overfitting(np.nan, np.nan, Thresholds()).passed
    assert "0.7, at most 0.5 is asked for" in harmless.sentence


def test_efficiency_is_growth_out_of_sample_over_growth_in_sample(edge):
    """Folds whose tests earn per day what training earned have efficiency 1."""

    def grown(start, end):
        return np.exp((end - start).total_seconds() / 1e7) - 1

    def fold(f):
        return replace(
            f,
            train_metrics={"total_return": grown(f.train_start, f.train_end)},
            test_metrics={"total_return": grown(f.test_start, f.test_end)},
        )

    assert efficiency(replace(edge, folds=tuple(fold(f) for f in edge.folds))) == pytest.approx(1.0)
