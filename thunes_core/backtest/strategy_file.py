"""Strategies of a person's own Python file, without making them known to anything else.

Add here: nothing but loading. Keep out: judging what was loaded.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import CodeType, ModuleType

from thunes_core.domain.parameters import Value
from thunes_core.errors import UnknownName
from thunes_core.strategies.base import Strategy, make, registry_kept

MODULE = "thunes_strategy_file"


@dataclass(frozen=True, slots=True)
class StrategySource:
    """One strategy class of a file; every call of `fresh` executes the file anew."""

    path: Path
    code: CodeType
    class_name: str
    name: str

    def fresh(self, parameters: Mapping[str, Value] | None = None) -> Strategy:
        """Return a new strategy from newly executed code; `ParametersInvalid` if it refuses."""
        cls: type[Strategy] = getattr(_execute(self.path, self.code), self.class_name)
        return make(cls, parameters or {})


def load_strategies(path: Path) -> list[StrategySource]:
    """Return every strategy class that the file at `path` defines, or raise `UnknownName`.

    A strategy class has `target_exposure` and `warmup_bars`, is defined in this very file, and no
    other class there derives from it. The file is executed: load only what you would run.
    """
    code = _compiled(path)
    classes = [c for c in vars(_execute(path, code)).values() if _is_strategy(c)]
    found = [
        StrategySource(path, code, cls.__name__, str(getattr(cls, "name", cls.__name__)))
        for cls in classes
        if not any(cls in other.__bases__ for other in classes)
    ]
    if not found:
        raise UnknownName(
            f"{path}: expected a class with target_exposure(bars) and warmup_bars; "
            "it has none; see thunes_core/strategies for examples"
        )
    return found


def _is_strategy(candidate: object) -> bool:
    return (
        isinstance(candidate, type)
        and candidate.__module__ == MODULE
        and not getattr(candidate, "_is_protocol", False)
        and callable(getattr(candidate, "target_exposure", None))
        and hasattr(candidate, "warmup_bars")
    )


def _compiled(path: Path) -> CodeType:
    try:
        return compile(path.read_text(encoding="utf-8"), str(path), "exec", dont_inherit=True)
    except (OSError, SyntaxError, ValueError) as error:
        raise UnknownName(
            f"{path}: expected a Python file with a strategy; {error}; correct the file"
        ) from error


def _execute(path: Path, code: CodeType) -> ModuleType:
    module = ModuleType(MODULE)
    module.__file__ = str(path)
    with registry_kept(), _importable(path.resolve().parent):
        sys.modules[MODULE] = module  # dataclasses look their module up while they are made
        try:
            exec(code, module.__dict__)
        except Exception as error:  # foreign code: whatever it raises makes the file unusable
            raise UnknownName(
                f"{path}: expected a file that can be imported; "
                f"it raised {type(error).__name__}: {error}; correct the file"
            ) from error
    return module


@contextmanager
def _importable(folder: Path) -> Iterator[None]:
    """Let the file import its neighbours, as `python FILE` would."""
    sys.path.insert(0, str(folder))
    try:
        yield
    finally:
        sys.path.remove(str(folder))
