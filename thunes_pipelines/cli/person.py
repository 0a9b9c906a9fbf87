"""Who types a command: the author of what it changes.

Add here: another sign of who somebody is. Keep out: what that person may do (`arm`).
"""

from __future__ import annotations

import getpass
import os


def author() -> str:
    """Return the name of who runs this; the number of a user that this machine has no name for.

    In a container that is usual, and a halt must not fail for it.
    """
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"uid {os.getuid()}"
