"""How an expected error looks in the UI: one failed step with one clear message.

Add here: another way an error of the core is shown. Keep out: deciding what is an error.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import dagster as dg

from thunes_core.errors import ExchangeUnavailable, ThunesError


@contextmanager
def told_plainly(
    *, retry_reads: bool = False, but: tuple[type[ThunesError], ...] = ()
) -> Iterator[None]:
    """Turn a `ThunesError` of the block into a `dg.Failure` with its message and nothing else.

    The failure is final unless `retry_reads` is set and the exchange was merely out of reach: then
    the step's retry policy applies. Errors of a class in `but`, which the caller knows how to take,
    and everything else pass through, interrupts above all.
    """
    try:
        yield
    except but:
        raise
    except ThunesError as error:
        raise dg.Failure(
            description=str(error),
            metadata={"error": type(error).__name__, "exit_code": error.exit_code},
            allow_retries=retry_reads and isinstance(error, ExchangeUnavailable),
        ) from None
