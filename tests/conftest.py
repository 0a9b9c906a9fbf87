"""What every test run leaves behind: byte code, and nothing else.

Hundreds of tests start processes that import the project; compiled anew by each, it would cost a
third of a second every time.
"""

from __future__ import annotations

import os
import sys

from tests import postgres

os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False


def pytest_unconfigure() -> None:
    """End the PostgreSQL server that tests of this process may have started."""
    postgres.stop()
