"""A session that works out once what stays the same from one request to the next.

requests prepares each request from nothing: it searches the environment for proxies, splits and
checks the address, checks every header. Of a form that is sent to an address again only the body is
new, and between a decision and its order every tenth of a millisecond counts.

Add here: a part of a request that stays the same. Keep out: what is asked, signing, sending.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlencode

from requests import PreparedRequest, Request, Session

_IS_PLAIN = re.compile(r"[A-Za-z0-9_.~-]*").fullmatch


class SteadySession(Session):
    """A session for `base` and no other host, with `headers` that never change.

    Proxies and certificates are those that the environment names when it is made; password files
    are not read.
    """

    def __init__(self, base: str, headers: Mapping[str, str | bytes]) -> None:
        super().__init__()
        self.headers.update(headers)
        self._settled = super().merge_environment_settings(base, {}, None, None, None)
        self.proxies, self.verify = self._settled["proxies"], self._settled["verify"]
        self.trust_env = False
        self._known: dict[tuple[Any, ...], PreparedRequest] = {}

    def merge_environment_settings(
        self, url: Any, proxies: Any, stream: Any, verify: Any, cert: Any
    ) -> Any:
        """Return how to reach the host; a request that asks for something itself gets it."""
        if proxies or any(asked is not None for asked in (stream, verify, cert)):
            return super().merge_environment_settings(url, proxies, stream, verify, cert)
        return self._settled.copy()

    def prepare_request(self, request: Request) -> PreparedRequest:
        """Return `request` as it goes over the wire; the same bytes as those of any session."""
        if self.cookies or not _is_form(request):
            return super().prepare_request(request)
        key = (request.method, request.url, *request.headers.items())
        if key not in self._known:
            bare = Request(request.method, request.url, headers=request.headers)
            self._known[key] = super().prepare_request(bare)
        prepared = self._known[key].copy()
        form = request.data
        prepared.body = form if isinstance(form, str) else encoded(form)
        prepared.prepare_content_length(prepared.body)
        return prepared


def encoded(form: Sequence[tuple[str, Any]]) -> str:
    """Return a form as `urlencode` does, which leaves letters, digits and `_.-~` as they are."""
    if _IS_PLAIN("".join([f"{name}{value}" for name, value in form])):
        return "&".join([f"{name}={value}" for name, value in form])
    return urlencode(form)


def _is_form(request: Request) -> bool:
    """True when there is nothing but a form in the body: pairs of text, or text."""
    more = (request.params, request.files, request.json, request.auth, request.cookies)
    return bool(request.data) and isinstance(request.data, str | list) and not any(more)
