"""The database of a test's ledger."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.databases import fresh_url


@pytest.fixture()
def database(request, tmp_path) -> Iterator[str]:
    """Return the URL of an empty one: SQLite's, or of the kind that the test asks for."""
    with fresh_url(getattr(request, "param", "sqlite"), tmp_path) as url:
        yield url
