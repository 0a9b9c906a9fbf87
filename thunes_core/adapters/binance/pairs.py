"""Between the cancel of what rests and the pair that takes its place: when the pair is not sent.

Add here: another reason not to send it. Keep out: the two requests (`broker`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from decimal import Decimal

from thunes_core.errors import ExchangeRejected, ExchangeUnavailable, OutcomeUnknown


@contextmanager
def pair_only_after(list_id: str) -> Iterator[None]:
    """Turn whatever fails in a cancel into the proof that the pair after it never left."""
    try:
        yield
    except (ExchangeRejected, OutcomeUnknown) as error:
        raise ExchangeUnavailable(f"pair {list_id}: not sent; {error}") from error


def require_executed(told: Sequence[Decimal], expected: Decimal) -> None:
    """Raise `ExchangeUnavailable` when the orders that a cancel ended executed more meanwhile."""
    if sum(told) != expected:
        raise ExchangeUnavailable(
            f"expected {expected} to be executed of what was cancelled; it was {sum(told)}; "
            "the pair was not sent, its size is decided anew"
        )
