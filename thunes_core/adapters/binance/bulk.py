"""Many klines at once: all pages of all symbols, asynchronously, within the shared budget.

Add here: another public read that comes in many pages. Keep out: parsing, storage.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import aiohttp
import polars as pl
import stamina

from thunes_core.adapters.binance.apart import run_apart
from thunes_core.adapters.binance.failures import Failure, failure_of_answer, understood
from thunes_core.adapters.binance.klines import parse_pages
from thunes_core.adapters.binance.limited import KLINES_WEIGHT
from thunes_core.adapters.limiter import WeightLimiter
from thunes_core.clock import to_millis
from thunes_core.domain.window import Window

PAGE_ROWS = 1000
CONCURRENCY = 8
SHARE = 0.8
"""Of the budget; the rest is left to ticks."""
PATIENCE_SECONDS = 90.0
ATTEMPTS, ATTEMPT_SECONDS = 4, 60.0
TIMEOUT = aiohttp.ClientTimeout(total=None, sock_connect=3.05, sock_read=15.0)


def pages(window: Window) -> Iterator[tuple[int, int]]:
    """Return first and last millisecond of each page: a page never holds more than fits."""
    step, end = PAGE_ROWS * window.interval.minutes * 60_000, to_millis(window.end)
    for since in range(to_millis(window.start), end, step):
        yield since, min(since + step, end) - 1


def query(window: Window, since: int, last: int) -> dict[str, str]:
    """Return the request for the page from `since` to `last`, milliseconds."""
    return {
        "symbol": window.symbol,
        "interval": str(window.interval),
        "startTime": str(since),
        "endTime": str(last),
        "limit": str(PAGE_ROWS),
    }


def fetch_klines(
    rest_url: str, windows: Sequence[Window], limiter: WeightLimiter | None = None
) -> list[pl.DataFrame]:
    """Return the bars of each of `windows` (all closed by now), in the schema of bars, as sent.

    At most `CONCURRENCY` requests are under way. Errors as `read` in `client`; the first one ends
    the rest. May be called from any thread, inside a running event loop too.
    """
    return run_apart(lambda: _fetch_all(rest_url.rstrip("/"), windows, limiter))


async def _fetch_all(
    base: str, windows: Sequence[Window], limiter: WeightLimiter | None
) -> list[pl.DataFrame]:
    gate = asyncio.Semaphore(CONCURRENCY)
    async with aiohttp.ClientSession(timeout=TIMEOUT) as session:
        source = _Source(session, f"{base}/api/v3/klines", limiter, gate)
        try:
            async with asyncio.TaskGroup() as group:
                tasks = [
                    [group.create_task(source.page(one, *edges)) for edges in pages(one)]
                    for one in windows
                ]
        except ExceptionGroup as failed:  # `except*` wraps what it raises before Python 3.11.4
            raise _first(failed) from None
    return [
        parsed(one, [task.result() for task in asked])
        for one, asked in zip(windows, tasks, strict=True)
    ]


def what_is(window: Window) -> str:
    """Return the name of a read in errors."""
    return f"klines of {window}"


def parsed(window: Window, answers: Sequence[bytes]) -> pl.DataFrame:
    """Return the bars of the answers to `window`; `ExchangeUnavailable` when they are no klines."""
    return understood(
        lambda: parse_pages(answers, window.symbol, window.interval), what=what_is(window)
    )


class _Failed(Exception):
    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.said)
        self.failure = failure


@dataclass(frozen=True, slots=True)
class _Source:
    session: aiohttp.ClientSession
    url: str
    limiter: WeightLimiter | None
    gate: asyncio.Semaphore

    async def page(self, window: Window, since: int, last: int) -> bytes:
        """Return one page, read again a few times while the exchange is out of reach."""
        try:
            async for attempt in stamina.retry_context(
                on=_worth_repeating, attempts=ATTEMPTS, timeout=ATTEMPT_SECONDS
            ):
                with attempt:
                    return await self._get(query(window, since, last))
        except _Failed as error:
            raise error.failure.error(what_is(window)) from None
        raise AssertionError("stamina returns or raises")

    async def _get(self, asked: dict[str, str]) -> bytes:
        async with self.gate:
            await self._take_weight()
            try:
                async with self.session.get(
                    self.url, params=asked, allow_redirects=False
                ) as answer:
                    body = await answer.read()
            except (aiohttp.ClientError, TimeoutError) as error:
                said = f"{type(error).__name__} at {self.url}"
                raise _Failed(Failure(0, 0, said)) from error
        if self.limiter is not None:
            self.limiter.heard(answer.status, answer.headers)
        if answer.status != 200:
            wait = answer.headers.get("Retry-After", "?")
            raise _Failed(failure_of_answer(answer.status, body, wait))
        return body

    async def _take_weight(self) -> None:
        if self.limiter is None:
            return
        while delay := self.limiter.reserve(KLINES_WEIGHT, SHARE, PATIENCE_SECONDS):
            await asyncio.sleep(delay)


def _worth_repeating(error: Exception) -> bool:
    return isinstance(error, _Failed) and error.failure.is_transient


def _first(group: BaseExceptionGroup[BaseException]) -> BaseException:
    found = group.exceptions[0]
    return _first(found) if isinstance(found, BaseExceptionGroup) else found
