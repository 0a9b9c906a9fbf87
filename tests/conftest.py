"""What every test run leaves behind: nothing."""

from __future__ import annotations

from tests import postgres


def pytest_unconfigure() -> None:
    """End the PostgreSQL server that tests of this process may have started."""
    postgres.stop()
