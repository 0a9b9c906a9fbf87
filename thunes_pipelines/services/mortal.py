"""Ports that end the process at a drawn moment, as a power cut would, for soak runs.

Everything the ledger and the exchange were told before stays told; nothing after it happens.

Add here: another way to die. Keep out: who runs the ticks.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


class Killed(BaseException):
    """Stands for SIGKILL: nothing that handles errors may hold it up."""


@dataclass(slots=True)
class Fate:
    """When to die: before or after the `left`-th call from now; None lives on.

    With `only`, calls of that name alone are counted.
    """

    left: int | None = None
    after: bool = False
    only: str = ""

    def strikes(self, name: str) -> bool:
        """Count one call; True when it is the one."""
        if self.left is None or (self.only and name != self.only):
            return False
        self.left -= 1
        if self.left > 0:
            return False
        self.left = None
        return True


class Mortal:
    """A port whose calls share one fate. What has a lease is wrapped again."""

    def __init__(self, inner: Any, fate: Fate) -> None:
        self._inner = inner
        self._fate = fate

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._inner, name)
        return self._counted(name, found) if callable(found) else found

    def _counted(self, name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*given: Any, **named: Any) -> Any:
            if name == "release_lease":
                return real(*given, **named)
            strikes = self._fate.strikes(name)
            if strikes and not self._fate.after:
                raise Killed
            answer = real(*given, **named)
            if strikes:
                raise Killed
            return Mortal(answer, self._fate) if name == "under" else answer

        return call
