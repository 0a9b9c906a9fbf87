"""How alike two symbols move, on frames whose answer is known."""

from __future__ import annotations

import pytest

from tests.worlds import bars_of
from thunes_core.risk.correlation import FEWEST_BARS, correlation

ZIGZAG = [100.0 + (i % 3) for i in range(30)]
MIRROR = [10_000.0 / close for close in ZIGZAG]
FLAT = [100.0] * 30


@pytest.mark.parametrize(
    ("other", "found"),
    [(ZIGZAG, 1.0), ([2 * close for close in ZIGZAG], 1.0), (FLAT, 1.0), (ZIGZAG[:19], 1.0)],
    ids=["same", "scaled", "never moved", "too few"],
)
def test_what_moves_alike_or_cannot_be_known_is_alike(other, found):
    """Caution counts what is not known as falling together."""
    assert correlation(bars_of(ZIGZAG), bars_of(other)) == pytest.approx(found)
    assert len(ZIGZAG[:19]) < FEWEST_BARS


def test_what_moves_against_is_not_alike():
    """A mirror falls where the other rises."""
    assert correlation(bars_of(ZIGZAG), bars_of(MIRROR)) < -0.99


def test_without_bars_it_is_alike():
    """The exchange did not tell."""
    assert correlation(None, bars_of(ZIGZAG)) == 1.0
