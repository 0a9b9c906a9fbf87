"""Every hand-made case, in the compiled kernel and in the same code uncompiled."""

from __future__ import annotations

import pytest

from tests.golden.case import Case, all_cases, differences
from thunes_core.backtest.simulate import run_arrays

CASES = all_cases()


def test_there_are_more_than_sixty_cases_with_names_of_their_own():
    """The table is large, and no case hides another."""
    assert len(CASES) > 60
    assert len({case.name for case in CASES}) == len(CASES)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_the_kernel_gives_the_answer_worked_out_by_hand(case: Case):
    """The simulation agrees with the sentence of the case."""
    assert differences(case, run_arrays) == []
