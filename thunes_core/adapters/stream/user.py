"""Follow the account's own events, so that what happened to an order is looked at within seconds.

Events carry no sequence number: a hole cannot be seen from them, so they are never booked. Each one
only wakes whoever asks the exchange; so does every new connection, as something may have been
missed before it.

    open, subscribe → wake → listen ──event──→ wake …
                               └─cut, shutdown, subscription gone, age─→ open …

Add here: a reason to wake or to open a new connection. Keep out: signing (see `binance`), what is
done when woken.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import orjson

from thunes_core.adapters.stream.feed import Ended, LinkLost
from thunes_core.clock import monotonic_seconds
from thunes_core.errors import AnswerIsNo, OutsideFailed

_log = logging.getLogger(__name__)

CONNECTED = "connected"
ACCOUNT_EVENTS = frozenset(
    {"executionReport", "outboundAccountPosition", "balanceUpdate", "listStatus"}
)


class UserLink(Protocol):
    """One subscribed connection to the account's events."""

    async def receive(self) -> str | bytes:
        """Return the next message; raises `LinkLost`."""
        ...

    async def ask_alive(self) -> None:
        """Ask whether the subscription lives; the answer comes by `receive`."""
        ...

    def is_gone(self, document: dict[str, Any]) -> bool:
        """True when `document` answers that this connection has no subscription any more."""
        ...

    async def close(self) -> None:
        """End the connection; never raises."""
        ...


@dataclass(frozen=True, slots=True)
class UserOptions:
    """Bounds of patience, in real seconds.

    After `ask_seconds` of silence the subscription is asked for; with none or no answer within as
    much again the connection is left. `gather_seconds`: what happens within it wakes once.
    """

    ask_seconds: float = 30.0
    renew_seconds: float = 23 * 3600.0
    shortest_pause: float = 0.1
    longest_pause: float = 30.0
    gather_seconds: float = 0.2
    again_seconds: float = 2.0


@dataclass(slots=True)
class UserTally:
    """What happened so far, for people and gates."""

    connections: int = 0
    events: int = 0
    wakes: int = 0
    put_off: int = 0
    ended: dict[Ended, int] = field(default_factory=dict)


class UserStream:
    """Keeps one subscription alive and calls `wake` (in a thread) with the reasons there were.

    `wake` may raise `AnswerIsNo` (somebody else is at it) or `OutsideFailed`: it is called again.
    """

    def __init__(
        self,
        open_link: Callable[[], Awaitable[UserLink]],
        wake: Callable[[Sequence[str]], None],
        options: UserOptions | None = None,
    ) -> None:
        self._open_link = open_link
        self._wake = wake
        self._options = options or UserOptions()
        self._reasons: list[str] = []
        self._news = asyncio.Event()
        self.tally = UserTally()

    async def run(self) -> None:
        """Follow until cancelled."""
        await asyncio.gather(self._listen(), self._work())

    async def _listen(self) -> None:
        while True:
            link = await self._open()
            self._tell(CONNECTED)
            try:
                ended = await self._follow(link)
            finally:
                await link.close()
            self.tally.ended[ended] = self.tally.ended.get(ended, 0) + 1
            _log.info("left user stream %d: %s", self.tally.connections, ended)

    async def _open(self) -> UserLink:
        """Open a subscribed connection, with growing pauses while that fails."""
        pause = self._options.shortest_pause
        while True:
            try:
                link = await self._open_link()
            except LinkLost as error:
                _log.warning("no user stream (%s); again in %.1f s", error, pause)
                await asyncio.sleep(pause)
                pause = min(pause * 2, self._options.longest_pause)
            else:
                self.tally.connections += 1
                return link

    async def _follow(self, link: UserLink) -> Ended:
        leave_at = monotonic_seconds() + self._options.renew_seconds
        asked = False
        while monotonic_seconds() < leave_at:
            try:
                async with asyncio.timeout(self._options.ask_seconds):
                    text = await link.receive()
            except TimeoutError:
                if asked:
                    return Ended.SILENT
                await link.ask_alive()
                asked = True
                continue
            except LinkLost:
                return Ended.CUT
            asked = False
            ended = self._heard(link, text)
            if ended is not None:
                return ended
        return Ended.AGED

    def _heard(self, link: UserLink, text: str | bytes) -> Ended | None:
        """Take one message; return why the connection must be left, if it must."""
        document = _document(text)
        event = document.get("event")
        kind = event.get("e") if isinstance(event, dict) else None
        if kind in ACCOUNT_EVENTS:
            self.tally.events += 1
            self._tell(str(kind))
        if kind in {"serverShutdown", "eventStreamTerminated"}:
            return Ended.SHUTDOWN
        return Ended.SILENT if link.is_gone(document) else None

    def _tell(self, reason: str) -> None:
        if reason not in self._reasons:
            self._reasons.append(reason)
        self._news.set()

    async def _work(self) -> None:
        """Wake for what has gathered, one call at a time; again later where it could not be."""
        while True:
            await self._news.wait()
            await asyncio.sleep(self._options.gather_seconds)
            reasons, self._reasons = self._reasons, []
            self._news.clear()
            try:
                await asyncio.to_thread(self._wake, reasons)
            except (AnswerIsNo, OutsideFailed) as error:
                _log.info("woken, and put off: %s", error)
                self.tally.put_off += 1
                await asyncio.sleep(self._options.again_seconds)
                for reason in reasons:
                    self._tell(reason)
            else:
                self.tally.wakes += 1


def _document(text: str | bytes) -> dict[str, Any]:
    try:
        found = orjson.loads(text)
    except orjson.JSONDecodeError:
        return {}
    return found if isinstance(found, dict) else {}
