"""The account's balances: what is free and what open orders hold, in exact decimals.

Add here: another way an amount moves. Keep out: why it moves.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

ZERO = Decimal(0)


class Wallet:
    """Balances by asset. Free amounts never go below zero."""

    def __init__(self, start: Mapping[str, Decimal]) -> None:
        self._free = dict(start)
        self._held: dict[str, Decimal] = {}

    def copy(self) -> Wallet:
        """Return the balances as they are now."""
        twin = Wallet(self._free)
        twin._held = dict(self._held)
        return twin

    @property
    def assets(self) -> list[str]:
        """Every asset that was ever held, in alphabetical order."""
        return sorted(self._free.keys() | self._held.keys())

    def free(self, asset: str) -> Decimal:
        """Return what can be spent."""
        return self._free.get(asset, ZERO)

    def held(self, asset: str) -> Decimal:
        """Return what open orders hold."""
        return self._held.get(asset, ZERO)

    def total(self, asset: str) -> Decimal:
        """Return free and held together."""
        return self.free(asset) + self.held(asset)

    def add(self, asset: str, amount: Decimal) -> None:
        """Add `amount` (below zero: take) to what is free."""
        after = self.free(asset) + amount
        if after < 0:
            raise ValueError(f"wallet: {asset} would fall to {after}")
        self._free[asset] = after

    def hold(self, asset: str, amount: Decimal) -> None:
        """Move `amount` from free to held."""
        self.add(asset, -amount)
        self._held[asset] = self.held(asset) + amount

    def release(self, asset: str, amount: Decimal) -> None:
        """Move `amount` from held to free."""
        self._held[asset] = self.held(asset) - amount
        self.add(asset, amount)


class PastWallets:
    """The balances after each change, for readers that lag behind; the newest thousand at most."""

    def __init__(self, start: Wallet) -> None:
        self._kept: list[tuple[int, Wallet]] = [(0, start.copy())]

    def keep(self, wallet: Wallet, time_ms: int) -> None:
        """Keep the balances as they are after a change at `time_ms`."""
        self._kept.append((time_ms, wallet.copy()))
        if len(self._kept) > 1000:
            del self._kept[:500]

    def as_of(self, time_ms: int) -> Wallet:
        """Return the balances after the last change up to `time_ms`."""
        seen = [wallet for at, wallet in self._kept if at <= time_ms]
        return seen[-1] if seen else self._kept[0][1]
