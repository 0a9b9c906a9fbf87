"""Compare a document's keys and types with a published example."""

from __future__ import annotations

import json
from typing import Any

from tests.shared_data import shared


def example(heading: str, nth: int = 0, doc: str = "rest-api.md") -> Any:
    """Return the `nth` published example whose heading path ends with `heading`, or skip."""
    documents = json.loads(shared("fixtures/spec/examples.json").read_text())
    found = [d["json"] for d in documents if d["doc"] == doc and d["heading"].endswith(heading)]
    return found[nth]


def differences(
    ours: Any, theirs: Any, where: str = "", optional: frozenset[str] = frozenset()
) -> list[str]:
    """Return where `ours` has other keys or types than the example `theirs`."""
    if type(ours) is not type(theirs):
        return [f"{where}: {type(ours).__name__} instead of {type(theirs).__name__}"]
    if isinstance(theirs, dict):
        found = [f"{where}.{k}: lacks" for k in theirs.keys() - ours.keys() - optional]
        found += [f"{where}.{k}: too much" for k in ours.keys() - theirs.keys() - optional]
        for key in theirs.keys() & ours.keys():
            found += differences(ours[key], theirs[key], f"{where}.{key}", optional)
        return found
    if isinstance(theirs, list) and theirs and ours:
        if len(theirs) == len(ours):
            pairs = zip(ours, theirs, strict=True)
            return [d for a, b in pairs for d in differences(a, b, f"{where}[]", optional)]
        return [d for one in ours for d in _nearest(one, theirs, f"{where}[]", optional)]
    return []


def _nearest(ours: Any, theirs: list[Any], where: str, optional: frozenset[str]) -> list[str]:
    """Return the differences from the one of `theirs` that is most like `ours`."""
    return min((differences(ours, one, where, optional) for one in theirs), key=len)
