"""What a running `thunes up` serves in its state folder: the exchange, account and registry of it.

Commands in the same folder reach the same account by that, without a word of their own: a ledger
belongs to one account, and another one's balance would halt trading. The file is held by a lock
while its writer lives, so that one left behind by a crash says nothing.

Add here: how that is told and read. Keep out: what it means (`settings`, `services.up`).
"""

from __future__ import annotations

import fcntl
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pydantic.fields import FieldInfo
from pydantic_settings import PydanticBaseSettingsSource

_NAME = "serving.json"


@contextmanager
def serving(home: Path, values: Mapping[str, str]) -> Iterator[None]:
    """Tell `values`, settings by their field names, to whoever reads settings of `home` meanwhile.

    One writer a folder at a time. No secret belongs among them.
    """
    told = home / _NAME
    with told.open("a+") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        file.truncate(0)
        file.write(json.dumps(dict(values)))
        file.flush()
        try:
            yield
        finally:
            told.unlink(missing_ok=True)


def served(home: Path) -> dict[str, str]:
    """Return what is told in `home` by a process that lives; empty where none does."""
    try:
        with (home / _NAME).open() as file:
            return json.loads(file.read() or "{}") if _is_held(file.fileno()) else {}
    except (OSError, ValueError):
        return {}


def _is_held(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    return False


def at_home(folder: Path) -> Path:
    """Return `folder` with a leading ~ replaced by the user's home; `ValueError` without one."""
    try:
        return folder.expanduser()
    except RuntimeError as error:
        raise ValueError(
            f"expected a folder; {folder} begins in a home that this user does not have; "
            "set THUNES_HOME to one it may write to"
        ) from error


class Served(PydanticBaseSettingsSource):
    """Settings that hold in the state folder while somebody serves the exchange that is asked for.

    What other sources say goes before it; where they name another exchange, nothing of it counts.
    """

    def get_field_value(
        self,
        field: FieldInfo,  # noqa: ARG002 - the signature is given
        field_name: str,
    ) -> tuple[Any, str, bool]:
        """Return the value of one field (all are read at once, so this is not asked)."""
        return self().get(field_name), field_name, False

    def __call__(self) -> dict[str, Any]:
        """Return the values by their fields' names."""
        try:
            told = served(at_home(Path(self._so_far("home"))))
        except ValueError:  # the field itself says so
            return {}
        return told if told.get("exchange") == self._so_far("exchange") else {}

    def _so_far(self, name: str) -> Any:
        default = self.settings_cls.model_fields[name].default
        return self.current_state.get(name, default)
