"""What carries CCXT's requests: bounded in time, inside the shared budget, and remembered.

CCXT's errors do not tell the HTTP status, and that is what proves an order refused or leaves its
outcome open; so the status of the last answer is kept here.

Add here: what every request through CCXT shares. Keep out: what is asked, what an answer means.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from requests import PreparedRequest, Response
from requests.adapters import HTTPAdapter

from thunes_core.adapters.binance.client import TIMEOUT_SECONDS
from thunes_core.adapters.binance.limited import require_in_time
from thunes_core.adapters.limiter import WAIT_HEADER, WeightLimiter

Weigh = Callable[[str, str], int]
"""Method and address of a request → its weight."""


def weightless(_method: str, _url: str) -> int:
    """Weigh nothing, where the exchange's weights are not known: only its bans are shared."""
    return 0


class Wire(HTTPAdapter):
    """Sends requests; `sent` counts them.

    `status` is the last answer's (0: none came), `retry_after` its header.

    With `limiter`, each request takes its weight first and each answer is heard: 429 makes all
    processes wait, 418 stops them. Raises `ExchangeUnavailable` before anything is sent while the
    budget is closed, and for an order request stamped later than `latest_ms`.
    """

    def __init__(self, limiter: WeightLimiter | None = None, weigh: Weigh = weightless) -> None:
        super().__init__()
        self.limiter = limiter
        self._weigh = weigh
        self.sent = 0
        self.latest_ms: int | None = None
        self.forget()

    def forget(self) -> None:
        """Remember no answer, before a request is made that may never be sent."""
        self.status = 0
        self.retry_after = "?"

    def send(self, request: PreparedRequest, *args: Any, **options: Any) -> Response:
        """Send within the budget and remember what came back."""
        self.forget()
        if self.limiter is not None:
            self.limiter.wait(self._weigh(str(request.method), str(request.url)))
        require_in_time(request, self.latest_ms)
        self.sent += 1
        response = super().send(request, *args, **{**options, "timeout": TIMEOUT_SECONDS})
        self.status = response.status_code
        self.retry_after = response.headers.get(WAIT_HEADER, "?")
        if self.limiter is not None:
            self.limiter.heard(response.status_code, response.headers)
        return response
