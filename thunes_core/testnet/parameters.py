"""A request's parameters: read by name, checked as the exchange checks them, unread ones refused.

Add here: another form of value. Keep out: what the values mean.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from decimal import Decimal
from enum import StrEnum
from typing import TypeVar

from thunes_core.testnet.refusals import (
    Refused,
    empty,
    illegal,
    missing,
    overflowed,
    too_precise,
)

E = TypeVar("E", bound=StrEnum)
_NUMBER = r"^([0-9]{1,20})(\.[0-9]{1,20})?$"
_WHOLE = r"^[0-9]{1,20}$"
MOST_LONG = 2**63 - 1
_CLIENT_ID = r"^[a-zA-Z0-9-_]{1,36}$"


class Parameters:
    """Named texts of one request; remembers which were read."""

    def __init__(self, values: Mapping[str, str]) -> None:
        self._values = dict(values)
        self._read: set[str] = set()

    def text(self, name: str) -> str | None:
        """Return the text of `name`, None when it was not sent; refuse an empty one with -1105."""
        self._read.add(name)
        value = self._values.get(name)
        if value == "":
            raise empty(self.shown(name))
        return value

    def need(self, name: str) -> str:
        """Return the text of `name`, or refuse with -1102."""
        value = self.text(name)
        if value is None:
            raise missing(self.shown(name))
        return value

    def shown(self, name: str) -> str:
        """Return the name by which errors speak of a parameter."""
        return name

    def integer(self, name: str) -> int | None:
        """Return a whole number, or None; refuse other characters with -1100."""
        value = self.text(name)
        if value is None:
            return None
        if not re.fullmatch(_WHOLE, value):
            raise illegal(self.shown(name), _WHOLE)
        if int(value) > MOST_LONG:
            raise overflowed(self.shown(name))
        return int(value)

    def limit(self, default: int, most: int) -> int:
        """Return `limit`, cut to `most`."""
        value = self.integer("limit")
        if value == 0:
            raise illegal("limit", _WHOLE)
        return min(default if value is None else value, most)

    def number(self, name: str, decimals: int = 8) -> Decimal | None:
        """Return a decimal above zero, or None; -1100 for other texts, -1111 for more decimals."""
        value = self.text(name)
        if value is None:
            return None
        if not re.fullmatch(_NUMBER, value):
            raise illegal(self.shown(name), _NUMBER)
        if len(value.partition(".")[2].rstrip("0")) > decimals:
            raise too_precise(self.shown(name))
        return Decimal(value)

    def choice(self, name: str, kind: type[E], refusal: Refused | None = None) -> E | None:
        """Return a member of `kind`, or None; refuse an unknown one with `refusal`."""
        value = self.text(name)
        if value is None:
            return None
        try:
            return kind(value)
        except ValueError:
            raise refusal or missing(self.shown(name)) from None

    def client_id(self, name: str) -> str | None:
        """Return a client order id of at most 36 allowed characters, or None."""
        value = self.text(name)
        if value is not None and not re.fullmatch(_CLIENT_ID, value):
            raise illegal(self.shown(name), _CLIENT_ID)
        return value

    def ignore(self, names: Iterable[str]) -> None:
        """Accept parameters that change nothing here."""
        self._read.update(names)

    def require_all_read(self) -> None:
        """Refuse with -1104 when something was sent that nobody read."""
        unread = set(self._values) - self._read
        if unread:
            count = len(self._values)
            raise Refused(
                -1104,
                f"Not all sent parameters were read; read '{count - len(unread)}' parameter(s) "
                f"but was sent '{count}'.",
            )
