"""A balance that is not what our fills explain: what it means, and how it is told. Pure.

Add here: what a difference may mean. Keep out: finding it (`reconcile`).
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from thunes_core.domain.orders import ZERO


@dataclass(frozen=True, slots=True)
class Discrepancy:
    """An asset whose total is not what our fills explain; its own units.

    `foreign` is what trades that are not ours moved of it, `held` what the books hold. Of an asset
    in which only fees are paid, or that was traded once, nothing is missed: it is told.
    """

    asset: str
    expected: Decimal
    actual: Decimal
    foreign: Decimal = ZERO
    held: Decimal = ZERO
    is_traded: bool = True

    @property
    def is_explained(self) -> bool:
        """True when trades that are not ours explain it, and the books' coins are all there."""
        return self.actual == self.expected + self.foreign and not self._is_short

    @property
    def is_missing(self) -> bool:
        """True when less is there than is explained, or than the books hold after such trades."""
        return self._is_short or (self.is_traded and self.actual < self.expected + self.foreign)

    @property
    def _is_short(self) -> bool:
        return self.foreign < ZERO and self.actual < self.held

    def __str__(self) -> str:
        """Say it in one sentence, with what to do."""
        if self._is_short:
            return (
                f"{self.asset}: the books hold {self.held:f}, the account {self.actual:f} after "
                "trades that are not ours; `thunes reconcile --accept` takes what is gone out of "
                "the books, then `thunes resume`"
            )
        beside = " with trades that are not ours" if self.foreign else ""
        seen = (
            f"{self.asset}: expected {self.expected + self.foreign:f}{beside}, the account holds "
            f"{self.actual:f}"
        )
        if self.is_explained:
            return seen
        then = " and `thunes resume`" if self.is_missing else ""
        return f"{seen}; explain it, then `thunes reconcile --accept`{then}"
