"""What counts as this machine: keys and orders of a real exchange never go there, nor ours away.

Add here: another name of this machine. Keep out: who asks (`settings`).
"""

from __future__ import annotations

from ipaddress import ip_address


def is_here(host: str | None) -> bool:
    """True when `host` is this machine, by name or loopback address.

    >>> is_here("127.0.0.1"), is_here("::1"), is_here("127.0.0.1.example.org")
    (True, True, False)
    """
    try:
        return host == "localhost" or ip_address(host or "").is_loopback
    except ValueError:
        return False
