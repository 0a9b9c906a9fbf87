"""Wrong kernels of `tests/golden/mutants.toml`: the hand-made cases see every one of them."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from tests.golden.case import CASES as FOLDER
from tests.golden.case import differences, market_cases
from tests.thunes_core.backtest.uncompiled import KERNEL, RULES, build, simulation

CASES = market_cases()
MUTANTS = tomllib.loads(Path(FOLDER.parent / "mutants.toml").read_text())["mutant"]


def test_the_kernel_without_compiler_gives_the_same_answers():
    """What the mutants are made of is right before it is changed."""
    simulate = simulation(build())
    assert [d for case in CASES for d in differences(case, simulate)] == []


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant["name"])
def test_a_wrong_kernel_is_caught(mutant: dict[str, str]):
    """At least one hand-made case disagrees with the mutant."""
    source = {"rules": RULES, "kernel": KERNEL}[mutant["in"]]
    assert mutant["find"] in source, "the line it changes is gone; correct the mutant"
    changed = source.replace(mutant["find"], mutant["put"])
    if mutant["in"] == "rules":
        module = build(rules_source=changed)
    else:
        module = build(kernel_source=changed)
    assert any(differences(case, simulation(module)) for case in CASES)
