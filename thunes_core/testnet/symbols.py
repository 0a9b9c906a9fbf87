"""Which symbols a request asks for: one, a list, or all, perhaps of one status.

Add here: another way to choose symbols. Keep out: what is told of them.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import orjson

from thunes_core.testnet.parameters import Parameters
from thunes_core.testnet.refusals import Refused, bad_combination

if TYPE_CHECKING:
    from thunes_core.testnet.matching import Exchange

STATUSES = ("TRADING", "HALT", "BREAK")
_NAME = re.compile(r"[\w.-]{1,20}")


def asked_symbols(exchange: Exchange, parameters: Parameters) -> list[str]:
    """Return the symbols that `symbol` or `symbols` names, none when neither was sent."""
    single, many = parameters.text("symbol"), parameters.text("symbols")
    if single and many:
        raise bad_combination()
    names = _symbol_list(many) if many else [single] if single else []
    for name in names:
        exchange.market.find(name)
    return names


def with_status(exchange: Exchange, parameters: Parameters, asked: list[str]) -> list[str]:
    """Return the symbols asked for, else all; only those of `symbolStatus` when it was sent."""
    status = parameters.text("symbolStatus")
    wanted = asked or exchange.market.symbols
    if status is None:
        return wanted
    if status not in STATUSES:
        raise Refused(-1122, "Invalid symbolStatus.")
    found = [s for s in wanted if exchange.market.listing(s).status == status]
    if asked and len(found) < len(asked):
        raise Refused(-1220, "The symbol's status does not match the requested symbolStatus.")
    return found


def symbol_count(parameters: Parameters) -> int | None:
    """Return how many symbols are asked for; None for all. Refuses nothing."""
    if parameters.text("symbol"):
        return 1
    many = parameters.text("symbols")
    return many.count(",") + 1 if many else None


def _symbol_list(text: str) -> list[str]:
    try:
        names = orjson.loads(text)
    except orjson.JSONDecodeError:
        names = None
    if not isinstance(names, list) or not names or not all(map(_is_name, names)):
        raise Refused(
            -1100,
            "Illegal characters found in parameter 'symbols'; legal range is "
            '\'^\\["[A-Z0-9-_.]{1,20}"(,"[A-Z0-9-_.]{1,20}")*\\]$\'.',
        )
    if len(set(names)) < len(names):
        raise Refused(-1151, "Symbol is present multiple times in the list.")
    return names


def _is_name(value: object) -> bool:
    return isinstance(value, str) and _NAME.fullmatch(value) is not None
