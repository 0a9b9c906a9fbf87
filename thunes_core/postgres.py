"""How a connection to PostgreSQL learns that its other end is gone, by the server's own settings.

A host that loses its network says no farewell. Left to themselves the server keeps its connection,
and every lock it holds, for two hours, and the host waits a quarter of an hour for an answer. Both
ends ask every few seconds instead. What the URL says itself wins.

Add here: a rule of every connection. Keep out: engines and queries.
"""

from __future__ import annotations

from urllib.parse import parse_qs, urlsplit

CONNECT_SECONDS = 10
ASK_SECONDS, ASK_TIMES = 5, 3
SILENT_SECONDS = ASK_SECONDS * (1 + ASK_TIMES)
"""After so long without an answer a connection is dropped, and its locks are free."""

_CLIENT = {
    "connect_timeout": CONNECT_SECONDS,
    "keepalives_idle": ASK_SECONDS,
    "keepalives_interval": ASK_SECONDS,
    "keepalives_count": ASK_TIMES,
    "tcp_user_timeout": SILENT_SECONDS * 1000,
}
_SERVER = {
    "tcp_keepalives_idle": ASK_SECONDS,
    "tcp_keepalives_interval": ASK_SECONDS,
    "tcp_keepalives_count": ASK_TIMES,
    "tcp_user_timeout": SILENT_SECONDS * 1000,
}


def line_args(url: str) -> dict[str, str | int]:
    """Return libpq's arguments for both ends of a connection to `url`.

    >>> line_args("postgresql+psycopg2://db/base?keepalives_idle=1")["keepalives_count"]
    3
    >>> "keepalives_idle" in line_args("postgresql+psycopg2://db/base?keepalives_idle=1")
    False
    >>> line_args("postgresql+psycopg2://h/b?options=-csearch_path=own")["options"].split()[-1]
    '-csearch_path=own'
    """
    said = parse_qs(urlsplit(url).query)
    ours = " ".join(f"-c {name}={value}" for name, value in _SERVER.items())
    client = {name: value for name, value in _CLIENT.items() if name not in said}
    return {**client, "options": " ".join([ours, *said.get("options", [])])}
