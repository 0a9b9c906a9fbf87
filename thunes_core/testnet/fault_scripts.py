"""Scripts of faults: from JSON to faults and draws, with one clear sentence for what is wrong.

Add here: a check of a script. Keep out: what a fault does (`faults`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any

from thunes_core.errors import BadInput
from thunes_core.testnet.faults import (
    DRAWN_KINDS,
    MESSAGE_KINDS,
    ORDER_REQUESTS,
    REQUEST_KINDS,
    Draw,
    Fault,
    FaultKind,
)


def read_fault(document: Any) -> Fault:
    """Return the fault that a JSON object describes; `BadInput` names what is wrong with it."""
    if not isinstance(document, Mapping):
        raise BadInput(f"fault: expected an object; it was {type(document).__name__}")
    known = {f.name: f for f in fields(Fault)}
    strange = sorted(document.keys() - known.keys())
    if strange:
        raise BadInput(f"fault: expected fields {', '.join(known)}; {strange} are not among them")
    given = dict(document)
    if given.get("kind") not in list(FaultKind):
        kinds = ", ".join(FaultKind)
        raise BadInput(f"fault: expected a kind of {kinds}; it was {given.get('kind')!r}")
    given["kind"] = FaultKind(given["kind"])
    wrong = [n for n, v in given.items() if not isinstance(v, _TYPES[n])]
    if wrong:
        raise BadInput(f"fault: expected numbers and texts in their places; wrong are {wrong}")
    _require_range(given)
    return Fault(**given)


MOST_SECONDS = 1e9


def _require_range(given: Mapping[str, Any]) -> None:
    """Refuse figures that nothing can be done with; only a skew may be below zero."""
    for name, low, high in (
        ("skip", 0, 10**9),
        ("times", 0, 10**9),
        ("status", 500, 599),
        ("seconds", -MOST_SECONDS, MOST_SECONDS),
        ("at_seconds", 0, MOST_SECONDS),
        ("for_seconds", 0, MOST_SECONDS),
    ):
        lowest = 0 if name == "seconds" and given["kind"] is not FaultKind.SKEW else low
        if not lowest <= given.get(name, lowest) <= high:
            raise BadInput(
                f"fault: expected {name} from {lowest:g} to {high:g}; it was {given[name]!r}"
            )


_NUMBER = (int, float)
_TYPES: Mapping[str, Any] = {
    "kind": str,
    "on": str,
    "skip": int,
    "times": int,
    "status": int,
    "seconds": _NUMBER,
    "at_seconds": _NUMBER,
    "for_seconds": _NUMBER,
    "symbol": str,
    "symbol_status": str,
    "code": int,
    "message": str,
}


def read_faults(document: Any) -> list[Fault]:
    """Return the faults of a script: a list, or an object with a list under `faults`."""
    listed = document
    if isinstance(document, Mapping):
        listed = document.get("faults", [] if "draws" in document else None)
    if not isinstance(listed, Sequence) or isinstance(listed, str):
        raise BadInput("faults: expected a list of faults; it was something else")
    return [read_fault(one) for one in listed]


def read_draws(document: Any) -> list[Draw]:
    """Return the draws of a script: what an object has under `draws`."""
    listed = document.get("draws", []) if isinstance(document, Mapping) else []
    if not isinstance(listed, list) or not all(isinstance(one, Mapping) for one in listed):
        raise BadInput("draws: expected a list of objects; it was something else")
    return [read_draw(one) for one in listed]


def read_draw(document: Mapping[str, Any]) -> Draw:
    """Return the draw that `{"seed": n, "rate": x, "kinds": [...], "on": "..."}` describes.

    The kinds are all of requests, or all of messages.
    """
    rate, kinds = document.get("rate", 0.05), document.get("kinds", DRAWN_KINDS)
    seed = document.get("seed", 1)
    fit = isinstance(rate, _NUMBER) and 0 <= rate <= 1 and isinstance(kinds, list | tuple)
    sorts = (REQUEST_KINDS, MESSAGE_KINDS)
    if not fit or not isinstance(seed, int) or not any(set(map(str, kinds)) <= s for s in sorts):
        raise BadInput(
            "draw: expected a rate in [0, 1], a whole seed and kinds of "
            f"{', '.join(sorted(REQUEST_KINDS))}, or of {', '.join(sorted(MESSAGE_KINDS))}; "
            f"it was {dict(document)!r}"
        )
    chosen = tuple(FaultKind(k) for k in kinds)
    about_messages = bool(chosen) and chosen[0] in MESSAGE_KINDS
    return Draw(
        seed,
        float(rate),
        chosen or DRAWN_KINDS,
        str(document.get("on", "" if about_messages else ORDER_REQUESTS)),
    )
