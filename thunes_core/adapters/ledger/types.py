"""Column types that read the same on SQLite (STRICT) and PostgreSQL.

Money is decimal text, moments are whole milliseconds since 1970 UTC, documents are JSON text.

Add here: a column type. Keep out: tables.
"""

from __future__ import annotations

import json
from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import BigInteger, Double, Integer, Text
from sqlalchemy.dialects.sqlite import REAL
from sqlalchemy.engine import Dialect
from sqlalchemy.types import TypeDecorator, TypeEngine

from thunes_core.clock import from_millis, to_millis

Whole: TypeEngine[int] = BigInteger().with_variant(Integer(), "sqlite")
Real: TypeEngine[float] = Double().with_variant(REAL(), "sqlite")


class Money(TypeDecorator[Decimal]):
    """An exact decimal, stored as plain text without exponent."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: Decimal | None, dialect: Dialect) -> str | None:  # noqa: ARG002 - the signature is given
        """Write without exponent."""
        return None if value is None else format(value, "f")

    def process_result_value(self, value: str | None, dialect: Dialect) -> Decimal | None:  # noqa: ARG002 - the signature is given
        """Read exactly."""
        return None if value is None else Decimal(value)


class Moment(TypeDecorator[datetime]):
    """An aware UTC datetime, stored as milliseconds."""

    impl = Whole
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> int | None:  # noqa: ARG002 - the signature is given
        """Write whole milliseconds, rounding down."""
        return None if value is None else to_millis(value)

    def process_result_value(self, value: int | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002 - the signature is given
        """Read as aware UTC."""
        return None if value is None else from_millis(value)


class Document(TypeDecorator[Any]):
    """A JSON document, canonical: sorted keys, no spaces, no NaN."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: Dialect) -> str:  # noqa: ARG002 - the signature is given
        """Write canonically."""
        return canonical_json(value)

    def process_result_value(self, value: str | None, dialect: Dialect) -> Any:  # noqa: ARG002 - the signature is given
        """Read back."""
        return None if value is None else json.loads(value)


class Flag(TypeDecorator[bool]):
    """A truth value, stored as 0 or 1."""

    impl = Integer
    cache_ok = True

    def process_bind_param(self, value: bool | None, dialect: Dialect) -> int | None:  # noqa: ARG002 - the signature is given
        """Write 0 or 1."""
        return None if value is None else int(value)

    def process_result_value(self, value: int | None, dialect: Dialect) -> bool | None:  # noqa: ARG002 - the signature is given
        """Read as bool."""
        return None if value is None else bool(value)


def canonical_json(document: Any) -> str:
    """Write `document` in one way only; decimals, moments and enums become their text.

    >>> canonical_json({"b": Decimal("1.50"), "a": 1})
    '{"a":1,"b":"1.50"}'
    """
    return json.dumps(document, sort_keys=True, separators=(",", ":"), default=_text)


def _text(value: Any) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)
