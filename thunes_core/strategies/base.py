"""What a strategy is, and the registry that knows them all by name.

A strategy is a frozen dataclass whose fields are its parameters. It maps closed bars to a target
exposure in [0, 1] per bar (semantics §2), for backtest, search and live alike.

Add here: what every strategy shares. Keep out: a strategy (each has a file of its own).
"""

from __future__ import annotations

import dataclasses
import importlib
import pkgutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import lru_cache
from typing import Any, ClassVar, Protocol, TypeVar, get_type_hints, runtime_checkable

import numpy as np
import polars as pl

from thunes_core.domain.parameters import ParameterSet, ParameterSpace, Value
from thunes_core.errors import ParametersInvalid, UnknownName
from thunes_core.indicators.averages import Line
from thunes_core.indicators.columns import Columns, columns_of


@runtime_checkable
class Strategy(Protocol):
    """Closed bars in, target exposure out."""

    name: ClassVar[str]
    space: ClassVar[ParameterSpace]

    @property
    def warmup_bars(self) -> int:
        """Earlier bars needed for a value to equal the full-history value within 1e-6."""
        ...

    def target_exposure(self, bars: pl.DataFrame) -> pl.Series:
        """Return one Float64 in [0, 1] per bar, from that and earlier bars only; warm-up is 0."""
        ...


class FromColumns:
    """Base of a strategy that computes on arrays: it writes `exposure`, the frame is read here.

    A sweep calls `exposure` with one `Columns` for all combinations, which then share indicators.
    """

    __slots__ = ()

    @property
    def warmup_bars(self) -> int:
        """Earlier bars needed for a value to equal the full-history value within 1e-6."""
        raise NotImplementedError

    def exposure(self, columns: Columns) -> Line:
        """Return one float64 in [0, 1] per bar, from that and earlier bars only; warm-up is 0."""
        raise NotImplementedError

    def target_exposure(self, bars: pl.DataFrame) -> pl.Series:
        """Return `exposure` of a frame of bars as a series."""
        return pl.Series("target", self.numbers(bars), pl.Float64)

    def numbers(self, bars: pl.DataFrame) -> Line:
        """Return `exposure` of a frame of bars as it is computed."""
        return np.empty(0) if bars.is_empty() else self.exposure(columns_of(bars))


def targets_of(strategy: Strategy, bars: pl.DataFrame, columns: Columns) -> list[float]:
    """Return the target exposure of every one of `bars`, which `columns` hold too.

    A tick waits for it, so no series is made for it where the strategy needs none.
    """
    found: list[float] = (
        strategy.exposure(columns).tolist()
        if isinstance(strategy, FromColumns)
        else strategy.target_exposure(bars).to_list()
    )
    return found


def require(holds: bool, expected: str, strategy: object) -> None:
    """Raise `ValueError` with what was `expected` of the strategy's fields, unless it holds."""
    if not holds:
        raise ValueError(f"expected {expected}; it was {strategy}")


LARGEST = 10**9
"""No parameter is larger: longer windows hold no history, wider bands no price."""

_REGISTRY: dict[str, type[Strategy]] = {}
S = TypeVar("S", bound=type)


def register(cls: S) -> S:
    """Make a strategy class known by its `name`; a class decorator."""
    _REGISTRY[cls.name] = cls  # type: ignore[attr-defined]
    return cls


@contextmanager
def registry_kept() -> Iterator[None]:
    """Undo on leaving what was registered inside: for looking at foreign files."""
    before = dict(_REGISTRY)
    try:
        yield
    finally:
        _REGISTRY.clear()
        _REGISTRY.update(before)


def registered() -> Mapping[str, type[Strategy]]:
    """Return every strategy class of this package by name, sorted."""
    package = importlib.import_module("thunes_core.strategies")
    for module in pkgutil.iter_modules(package.__path__):
        importlib.import_module(f"{package.__name__}.{module.name}")
    return dict(sorted(_REGISTRY.items()))


def strategy_class(name: str) -> type[Strategy]:
    """Return the strategy class called `name`, or raise `UnknownName` with those there are."""
    if name in _REGISTRY:
        return _REGISTRY[name]
    known = registered()
    if name not in known:
        raise UnknownName(
            f"strategy: expected one of {', '.join(known)}; it was {name!r}; give one of these"
        )
    return known[name]


def build(name: str, values: Mapping[str, Value]) -> Strategy:
    """Make the strategy `name` with `values`; parameters not given keep their defaults.

    Raises `UnknownName`, or `ParametersInvalid` for an unknown key, a wrong type or a value that
    the strategy itself refuses. Values outside the search space are allowed: a space bounds
    searches, not people; `space.require` checks it where that matters (registry, live path).
    """
    return make(strategy_class(name), values)


def make(cls: type[Strategy], values: Mapping[str, Value]) -> Strategy:
    """Make a strategy of class `cls` with `values`, as `build` does by name."""
    name, kinds = getattr(cls, "name", cls.__name__), parameter_types(cls)
    unknown = sorted(set(values) - set(kinds))
    if unknown:
        raise ParametersInvalid(
            f"{name}: expected parameters among {sorted(kinds)}; "
            f"it was {unknown}; correct the names"
        )
    try:
        return cls(**{key: _typed(key, kinds[key], value) for key, value in values.items()})
    except (TypeError, ValueError) as error:
        raise ParametersInvalid(f"{name}: {error}; correct the parameters") from error


@lru_cache(maxsize=64)
def parameter_types(cls: type) -> Mapping[str, type]:
    """Return the type of each field of a strategy's dataclass; empty for any other class."""
    if not dataclasses.is_dataclass(cls):
        return {}
    hints = get_type_hints(cls)
    return {field.name: hints[field.name] for field in dataclasses.fields(cls)}


def _typed(key: str, kind: type, value: Any) -> Any:
    """Return `value` as a parameter of `kind`; a whole number is also a float, nothing else."""
    if isinstance(value, int | float) and not abs(value) <= LARGEST:
        raise ValueError(f"expected {key} of at most {LARGEST:,} in size; it was {value!r}")
    if kind is float and type(value) is int:
        return float(value)
    if type(value) is not kind:
        raise ValueError(f"expected {key} of type {kind.__name__}; it was {value!r}")
    return value


def require_in_space(parameters: ParameterSet) -> None:
    """Raise `ParametersInvalid` unless the set names exactly what is searched, inside its bounds.

    What a strategy class lists as `fitted` is no dimension of the search: the strategy itself
    checks it when it is built.
    """
    cls = strategy_class(parameters.strategy)
    fitted = getattr(cls, "fitted", ())
    cls.space.require({k: v for k, v in parameters.values.items() if k not in fitted})


def build_from(parameters: ParameterSet) -> Strategy:
    """Make the strategy that a parameter set names."""
    return build(parameters.strategy, parameters.values)
