"""A parameter set gives the same figures alone, in a sweep and in parts; rules judge them."""

from dataclasses import replace

import pytest

from tests.planted import Planted, market
from thunes_core.errors import BadInput
from thunes_core.research.fitting import AsItIs
from thunes_core.research.neighbours import even_sample
from thunes_core.research.objective import FIGURES, Objective, Rules
from thunes_core.research.splits import Span
from thunes_core.research.walk_forward import WalkForwardOptions, walk_forward
from thunes_core.research.windows import Window
from thunes_core.strategies.base import strategy_class

BARS = market(Planted(3.0), 3000, seed=1)
OPTIONS = WalkForwardOptions(folds=2, trials=20, seed=5)
NAME = "sma_crossover"


RULES, SPAN = Rules(), Span(500, 2900)


def objective(rules=RULES, span=SPAN):
    """Return the objective of a window in the middle of the bars."""
    return Objective(Window(BARS, span, 240), NAME, AsItIs(NAME), 240, rules)


def walk(**options):
    """Walk with the test's options."""
    return walk_forward(
        BARS,
        strategy=NAME,
        symbol="TESTUSDT",
        interval="1h",
        options=replace(OPTIONS, **options),
    )


def test_sweep_gives_what_single_runs_give():
    """Several proposals at once have the figures of each alone, refused ones too."""
    proposals = even_sample(strategy_class(NAME).space, 30, seed=2)
    made = objective()
    for values, together in zip(proposals, made.many(proposals), strict=True):
        alone = made.one(values)
        assert (alone is None) == (together is None) == (values["fast"] >= values["slow"])
        if alone is not None:
            for name in FIGURES:
                assert together.figures[name] == pytest.approx(alone.figures[name], abs=1e-9)


def test_parts_tile_the_window_and_come_in_an_order_of_their_own():
    """Four parts, each run once from flat, in an order that the same values always have."""
    made = objective()
    made.evaluate(parts=4)
    values = {"fast": 10, "slow": 60}
    order = [part for part, _ in made.in_parts(values)]
    assert sorted(order) == [0, 1, 2, 3]
    assert order == [part for part, _ in made.in_parts(values)]
    assert made.in_parts({"fast": 50, "slow": 40}) is None
    part = dict(made.in_parts(values))[1]
    assert part.figures == objective(span=Span(1100, 1700)).one(values).figures


def test_rules_measure_each_breach_as_a_share_of_its_limit():
    """Too few trades and too deep a fall add up; kept rules are no breach."""
    figures = {"sharpe": 1.0, "total_return": 0.5, "max_drawdown": -0.3, "trades": 4.0}
    rules = Rules(("total_return", "max_drawdown"), min_trades=8, max_drawdown=0.2)
    outcome = rules.outcome(figures)
    assert (outcome.objective, outcome.others) == (0.5, (-0.3,))
    assert outcome.violation == pytest.approx(0.5 + 0.1)
    assert not outcome.feasible
    assert rules.outcome(figures | {"max_drawdown": -0.1}, shares=2).feasible


@pytest.mark.parametrize("names", [(), ("luck",), ("sharpe", "sharpe")])
def test_unknown_objectives_are_refused(names):
    """The message lists those there are."""
    with pytest.raises(BadInput, match="sharpe, total_return, max_drawdown"):
        Rules(names)


def test_return_against_drawdown_is_searched_and_balanced():
    """With two objectives the choice is on the front: no other trial is better in both."""
    result = walk(objectives=("total_return", "max_drawdown"), sampler="nsgaii")
    tried = result.trial_table.filter(fold=0, feasible=True)
    chosen = tried.filter(**result.chosen.values).row(0, named=True)
    better = tried.filter(
        (tried["total_return"] > chosen["total_return"])
        & (tried["max_drawdown"] > chosen["max_drawdown"])
    )
    assert len(better) == 0


def test_pruned_walk_counts_every_trial_and_is_repeated_exactly():
    """Trials given up after some parts are in the table as not feasible; the walk repeats."""
    result = walk(parts=6, trials=30)
    assert result.trials == 90 == len(result.trial_table)
    assert result.trial_table.filter(~result.trial_table["feasible"])["sharpe"].count() > 0
    assert walk(parts=6, trials=30).trial_table.equals(result.trial_table)


def test_parts_need_one_objective_and_enough_bars():
    """Both are told before anything is run."""
    with pytest.raises(BadInput, match="expected one objective"):
        objective(Rules(("sharpe", "total_return"))).evaluate(parts=4)
    with pytest.raises(BadInput, match="fewer parts"):
        objective(span=Span(0, 60)).evaluate(parts=20)
