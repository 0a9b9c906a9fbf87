"""Every code the testnet refuses with is published, with a text of that code."""

from __future__ import annotations

import ast
import json
import re
from pathlib import Path

from tests.shared_data import shared
from thunes_core import testnet

SOURCES = sorted(Path(testnet.__file__).parent.glob("*.py"))
UNLISTED = {-2021, -2022, -2038, -1145}
"""Published in the examples of an endpoint, not (or in other words) in the list of codes."""


def refusals() -> list[tuple[int, str]]:
    """Return code and text of every `Refused(...)` in the sources; X stands for what varies."""
    found = []
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text())):
            is_call = isinstance(node, ast.Call) and getattr(node.func, "id", "") == "Refused"
            if not is_call or len(node.args) < 2:
                continue
            code, text = node.args[0], node.args[1]
            if isinstance(code, ast.UnaryOp) and isinstance(code.operand, ast.Constant):
                found.append((-int(code.operand.value), _text(text)))
    return found


def _text(node: ast.expr) -> str:
    """Return a literal's text."""
    if isinstance(node, ast.JoinedStr):
        return "".join(_text(v) if isinstance(v, ast.Constant) else "X" for v in node.values)
    return str(node.value) if isinstance(node, ast.Constant) else "X"


def published() -> dict[int, list[str]]:
    """Return the published texts by code."""
    document = json.loads(shared("fixtures/errors/errors_spec.json").read_text())
    return {e["code"]: e["text"] for e in document["errors"]}


def test_every_refusal_has_a_published_code_and_text() -> None:
    """Rejections of orders have a table of their own and are left to their own tests."""
    known = published()
    seen = refusals()
    assert len(seen) > 30
    for code, text in seen:
        if code in UNLISTED:
            continue
        assert code in known, (code, text)
        if code in (-1013, -2010, -2011) or text == "X":
            continue
        assert any(_pattern(one).fullmatch(text) for one in known[code]), (code, text, known[code])


def _pattern(published_text: str) -> re.Pattern[str]:
    """Return a pattern of a published text, whatever stands in its places."""
    return re.compile(re.sub(r"%s|%d|\\\{param\\\}|1000ms", ".+", re.escape(published_text)))
