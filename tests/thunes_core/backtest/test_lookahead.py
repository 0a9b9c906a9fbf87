"""Planted cheaters are caught, each by the check meant for it; honest strategies pass."""

from __future__ import annotations

import pytest

from tests.thunes_core.backtest.cheaters import CHEATERS, HONEST, source
from thunes_core.backtest.lookahead import CHECKS, check_strategy
from thunes_core.backtest.scenarios import FUTURES, markets, with_future
from thunes_core.backtest.strategy_file import load_strategies
from thunes_core.domain.bars import Interval, require_valid
from thunes_core.errors import ParametersInvalid, UnknownName
from thunes_core.strategies.base import registered

FRAMES = markets(Interval.H1, 600, seed=0)
NEVER = ["later bars changed"]


def judge(text: str, folder, seed: int = 0, only=()):
    """Return the checks of the strategy in `text` by name."""
    path = folder / "mine.py"
    path.write_text(text)
    (found,) = load_strategies(path)
    return {c.name: c for c in check_strategy(found.fresh, FRAMES, places=8, seed=seed, only=only)}


@pytest.mark.parametrize("name", HONEST)
def test_an_honest_strategy_passes_every_check(name, tmp_path):
    """No false alarm, whatever the strategy reads of the past."""
    checks = judge(HONEST[name], tmp_path)
    assert list(checks) == list(CHECKS)
    assert not [c for c in checks.values() if not c.passed]


@pytest.mark.parametrize("name", CHEATERS)
def test_a_cheater_is_caught_by_the_check_meant_for_it(name, tmp_path):
    """The check named beside the cheater fails and says where or what."""
    check, text = CHEATERS[name]
    found = judge(text, tmp_path, only=[check])[check]
    assert not found.passed
    assert "at bar" in found.sentence or "expected" in found.sentence or "raised" in found.sentence


@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.parametrize(
    "name", ["peeks, but never triggers", "peeks for a crash that never comes"]
)
def test_a_peek_that_never_triggers_is_found_with_any_seed(name, seed, tmp_path):
    """What freqtrade's analysis misses: no trade at all on the bars at hand, and still a peek."""
    assert not judge(CHEATERS[name][1], tmp_path, seed, NEVER)["later bars changed"].passed


def test_the_sentence_says_where_and_what_was_changed(tmp_path):
    """A person can go to the bar and look."""
    sentence = judge(CHEATERS["peeks one bar"][1], tmp_path, only=["later bars cut"])[
        "later bars cut"
    ].sentence
    assert "the value changes when the bars from 2024-" in sentence
    assert sentence.endswith("on are cut off")


def test_checking_is_deterministic(tmp_path):
    """The same seed gives the same findings."""
    text = CHEATERS["ranks over all bars"][1]
    assert judge(text, tmp_path, 5, NEVER) == judge(text, tmp_path, 5, NEVER)


def test_parameters_reach_the_strategy_and_wrong_ones_are_refused(tmp_path):
    """A dataclass field of the file's class is a parameter."""
    path = tmp_path / "mine.py"
    path.write_text(source("return flag(bars, CLOSE > CLOSE.shift(self.lag))").replace(
        "    name:", "    lag: int = 3\n    name:"))  # fmt: skip
    (found,) = load_strategies(path)
    assert found.fresh({"lag": 7}).lag == 7
    with pytest.raises(ParametersInvalid, match=r"lag of type int; it was 7\.5"):
        found.fresh({"lag": 7.5})


def test_a_file_with_registered_strategies_leaves_the_registry_alone(tmp_path):
    """Looking at a file that registers `sma_crossover` anew changes nothing for anybody else."""
    before = registered()
    path = tmp_path / "mine.py"
    path.write_text(
        "from thunes_core.strategies.base import register\n"
        + source("return flag(bars, CLOSE > 0)").replace("@dataclass", "@register\n@dataclass")
        .replace('"mine"', '"sma_crossover"')
    )  # fmt: skip
    assert [s.name for s in load_strategies(path)] == ["sma_crossover"]
    assert registered() == before


def test_only_the_most_derived_classes_of_the_file_count(tmp_path):
    """Imported classes and bases of others are no strategies of the file."""
    path = tmp_path / "mine.py"
    path.write_text(
        "from thunes_core.strategies.sma_crossover import SmaCrossover\n"
        "class Base:\n    warmup_bars = 0\n    def target_exposure(self, bars): ...\n"
        "class Derived(Base):\n    pass\n"
    )
    assert [s.class_name for s in load_strategies(path)] == ["Derived"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("def f(:", "expected a Python file"),
        ("1 / 0", "it raised ZeroDivisionError"),
        ("import nowhere_to_be_found", "it raised ModuleNotFoundError"),
        ("x = 1", "expected a class with target_exposure"),
        ("", "expected a class with target_exposure"),
    ],
)
def test_a_file_that_is_no_strategy_is_named(text, message, tmp_path):
    """Bad input, with the file, what was expected and what it was."""
    path = tmp_path / "mine.py"
    path.write_text(text)
    with pytest.raises(UnknownName, match=message):
        load_strategies(path)


def test_a_missing_file_is_named(tmp_path):
    """No file, no strategy."""
    with pytest.raises(UnknownName, match=r"none\.py: expected a Python file"):
        load_strategies(tmp_path / "none.py")


@pytest.mark.parametrize("kind", range(len(FRAMES)))
def test_invented_markets_are_valid_bars(kind):
    """A strategy may trust that what it sees are bars of semantics §1."""
    require_valid(FRAMES[kind], Interval.H1)


@pytest.mark.parametrize("name", FUTURES)
def test_a_future_changes_later_bars_alone(name):
    """The past stays to the bit, the future differs, and both are valid bars."""
    import numpy as np

    bars = FRAMES[1]
    changed = with_future(bars, 500, FUTURES[name], np.random.default_rng(0))
    assert changed[:500].equals(bars[:500]) and not changed.equals(bars)
    require_valid(changed, Interval.H1)
