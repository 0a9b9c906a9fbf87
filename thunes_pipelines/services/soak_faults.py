"""The fault schedule that a soak's seed gives: every kind of failure, spread over its hours.

Add here: a failure that every soak should meet. Keep out: carrying faults out (testnet).
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from thunes_core.testnet.faults import Fault

STRUCK = ("POST /api/v3/order", "DELETE /api/v3/order")
STRUCK_REQUESTS = 200
EVERY = 5
"""One request that changes orders is struck in so many."""
SOCKETS_BROKEN = {"drop_streams": 2, "cut_stream": 1, "silent_streams": 1}
"""How many connections a fault ends."""


def scripted(seed: int, hours: float, symbol: str) -> list[Fault]:
    """Return the faults of a soak: requests struck, conditions for a time, sockets broken.

    `symbol` is halted once a day.
    """
    return [*_requests(seed), *_conditions(seed, hours, symbol), *_sockets(seed, hours, symbol)]


def _requests(seed: int) -> list[Fault]:
    from thunes_core.testnet.faults import Fault, FaultKind

    chance = random.Random(f"soak faults|{seed}")
    kinds = (
        FaultKind.ERROR,
        FaultKind.ERROR_AFTER,
        FaultKind.DROP,
        FaultKind.DROP_AFTER,
        FaultKind.LATE,
        FaultKind.GARBAGE,
        FaultKind.REFUSE,
    )
    return [
        Fault(
            chance.choice(kinds),
            on=on,
            skip=number * EVERY + chance.randint(0, EVERY - 1),
            status=chance.choice((500, 502, 503, 504)),
            seconds=round(chance.uniform(0.5, 4.0), 3),
        )
        for on in STRUCK
        for number in range(STRUCK_REQUESTS)
    ]


def _conditions(seed: int, hours: float, symbol: str) -> list[Fault]:
    from thunes_core.testnet.faults import Fault, FaultKind

    chance = random.Random(f"soak conditions|{seed}")
    hour = 3600.0
    drawn = []
    for _ in range(max(1, int(hours / 24))):
        begin = chance.uniform(0, hours) * hour
        drawn += [
            Fault(FaultKind.LAG, at_seconds=begin, seconds=3.0, for_seconds=hour),
            Fault(FaultKind.MAINTENANCE, at_seconds=begin + 2 * hour, for_seconds=900.0),
            Fault(FaultKind.BAN, at_seconds=begin + 3 * hour, seconds=120.0, for_seconds=120.0),
            Fault(FaultKind.SKEW, at_seconds=begin + 4 * hour, seconds=2.0, for_seconds=hour),
            Fault(
                FaultKind.STATUS,
                at_seconds=begin + 5 * hour,
                for_seconds=1800.0,
                symbol=symbol,
                symbol_status="HALT",
            ),
        ]
    return drawn


def _sockets(seed: int, hours: float, symbol: str) -> list[Fault]:
    """Return what breaks streams: as an exchange does every day, and what goes wrong besides.

    Every connection is ended once a day. Twice in three days one of them is cut without a word,
    turn about; once in three days the market's falls silent. Messages are held back and lost, which
    no reconnection mends.
    """
    from thunes_core.testnet.faults import Fault, FaultKind

    chance = random.Random(f"soak sockets|{seed}")
    day, account, market = 86_400.0, "userData", f"{symbol.lower()}@kline"
    days = max(1, round(hours / 24))
    length = min(day, hours * 3600)

    def some_time(number: int) -> float:
        return (number + chance.uniform(0.2, 0.8)) * length

    drawn = []
    for number in range(days):
        cut = market if number % 2 else account
        drawn.append(Fault(FaultKind.DROP_STREAMS, at_seconds=some_time(number)))
        drawn.append(
            Fault(FaultKind.STALL_STREAM, account, seconds=45, at_seconds=some_time(number))
        )
        drawn.append(Fault(FaultKind.LOSE_MESSAGE, account, times=3, at_seconds=some_time(number)))
        if number % 3 < 2:
            drawn.append(Fault(FaultKind.CUT_STREAM, cut, at_seconds=some_time(number)))
        if number % 3 == 0:
            silent = some_time(number)
            drawn.append(Fault(FaultKind.SILENT_STREAMS, at_seconds=silent, for_seconds=60.0))
    return drawn
