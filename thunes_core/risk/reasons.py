"""The page that explains why an order was refused, written from the checks themselves.

Add here: a column of the page. Keep out: the checks, writing files.
"""

from __future__ import annotations

from thunes_core.domain.orders import Refusal
from thunes_core.risk.checks import ALWAYS, ENTRIES, Check

HEAD = """# Why an order was refused

Written from the code by `make refusals`; a test fails when it is out of date. The gate asks the
questions in this order and gives the first that refuses, as `code` with a sentence, in the report
of the tick, in the ledger and in the audit.

An exit is asked only what makes it impossible. No limit, cool-down, breaker or freshness check
refuses it.

| code | asked of | what it says |
|---|---|---|
"""


def page() -> str:
    """Return the page as Markdown; a line for every question of the gate."""
    rows = [_row(code, check, "every order") for code, check in ALWAYS]
    rows += [_row(code, check, "entries") for code, check in ENTRIES]
    return HEAD + "".join(rows)


def _row(code: Refusal, check: Check, asked: str) -> str:
    said = (check.__doc__ or "").strip().splitlines()[0]
    return f"| `{code}` | {asked} | {said} |\n"
