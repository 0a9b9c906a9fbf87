"""The page of refusals is what the checks say."""

from __future__ import annotations

import os
from pathlib import Path

from thunes_core.domain.orders import Refusal
from thunes_core.risk.reasons import page

PAGE = Path(__file__).resolve().parents[2] / "docs" / "refusals.md"


def test_the_page_of_refusals_is_up_to_date():
    """`make refusals` writes it anew."""
    if os.environ.get("THUNES_WRITE_SNAPSHOTS"):
        PAGE.write_text(page(), encoding="utf-8")
    assert PAGE.read_text(encoding="utf-8") == page()


def test_every_code_stands_on_the_page():
    """No reason without a check."""
    assert [code for code in Refusal if f"| `{code}` |" not in page()] == []
