"""Parameter sets and the spaces they come from; canonical JSON and its fingerprint.

Add here: a kind of parameter. Keep out: search, strategies.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass

from thunes_core.errors import ParametersInvalid

Value = int | float | str | bool
LONGEST_SHOWN = 60


@dataclass(frozen=True, slots=True)
class IntRange:
    """Whole numbers from `low` to `high`, both included, in steps of `step`."""

    low: int
    high: int
    step: int = 1
    log: bool = False

    def holds(self, value: Value) -> bool:
        """True when `value` is a whole number inside the range."""
        return (
            isinstance(value, int)
            and not isinstance(value, bool)
            and self.low <= value <= self.high
        )


@dataclass(frozen=True, slots=True)
class FloatRange:
    """Real numbers from `low` to `high`, both included."""

    low: float
    high: float
    step: float | None = None
    log: bool = False

    def holds(self, value: Value) -> bool:
        """True when `value` is a finite number inside the range."""
        if isinstance(value, bool) or not isinstance(value, int | float):
            return False
        return math.isfinite(value) and self.low <= value <= self.high


@dataclass(frozen=True, slots=True)
class Choice:
    """One of `options`."""

    options: tuple[Value, ...]

    def holds(self, value: Value) -> bool:
        """True when `value` is one of the options."""
        return value in self.options


Dimension = IntRange | FloatRange | Choice


@dataclass(frozen=True, slots=True)
class ParameterSpace:
    """The dimensions that a search may vary, by parameter name."""

    dimensions: Mapping[str, Dimension]

    def require(self, values: Mapping[str, Value]) -> None:
        """Raise `ParametersInvalid` unless `values` name exactly the dimensions, inside bounds."""
        unknown = sorted(set(values) - set(self.dimensions))
        missing = sorted(set(self.dimensions) - set(values))
        outside = [
            f"{name}={values[name]!r} is not in {dimension}"
            for name, dimension in self.dimensions.items()
            if name in values and not dimension.holds(values[name])
        ]
        faults = [f"unknown {unknown}"] * bool(unknown) + [f"missing {missing}"] * bool(missing)
        if faults or outside:
            raise ParametersInvalid(
                f"parameters: expected exactly {sorted(self.dimensions)} inside their bounds; "
                f"it was: {'; '.join(faults + outside)}; correct the parameter set"
            )


@dataclass(frozen=True, slots=True)
class ParameterSet:
    """A strategy's name and its parameter values; equal sets have equal fingerprints."""

    strategy: str
    values: Mapping[str, Value]

    def canonical(self) -> str:
        """Return canonical JSON: sorted keys, no spaces, no NaN.

        >>> ParameterSet("s", {"b": 1, "a": 2.5}).canonical()
        '{"strategy":"s","values":{"a":2.5,"b":1}}'
        """
        return json.dumps(
            {"strategy": self.strategy, "values": dict(self.values)},
            sort_keys=True,
            separators=(",", ":"),
            allow_nan=False,
        )

    @property
    def shown(self) -> dict[str, Value]:
        """The values as people read them: a long text, such as a fitted model, by its hash."""
        return {name: _shortened(value) for name, value in self.values.items()}

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the canonical JSON."""
        return hashlib.sha256(self.canonical().encode()).hexdigest()


def _shortened(value: Value) -> Value:
    if not isinstance(value, str) or len(value) <= LONGEST_SHOWN:
        return value
    return f"sha256:{hashlib.sha256(value.encode()).hexdigest()[:12]}"


@dataclass(frozen=True, slots=True)
class Champion:
    """A promoted parameter set: its registry version and the MLflow run that holds its evidence."""

    study: str
    parameters: ParameterSet
    version: str
    run_id: str


def study_key(strategy: str, symbol: str, interval: str) -> str:
    """Name a study, as partition key and registered model alike.

    >>> study_key("sma_crossover", "BTCUSDT", "1h")
    'sma_crossover.BTCUSDT.1h'
    """
    return f"{strategy}.{symbol}.{interval}"


def split_study_key(study: str) -> tuple[str, str, str]:
    """Return (strategy, symbol, interval) of a study's name, or raise `ParametersInvalid`."""
    parts = study.split(".")
    if len(parts) != 3 or not all(parts):
        raise ParametersInvalid(
            f"study: expected strategy.SYMBOL.interval; it was {study!r}; correct the name"
        )
    return parts[0], parts[1], parts[2]


def parse_parameter_set(text: str) -> ParameterSet:
    """Read canonical JSON strictly: two keys, no NaN, scalar values; else `ParametersInvalid`."""
    try:
        raw = json.loads(text, parse_constant=_refuse_constant)
        if set(raw) != {"strategy", "values"} or not isinstance(raw["strategy"], str):
            raise ValueError("expected exactly the keys strategy and values")
        values = raw["values"]
        if not isinstance(values, dict) or any(
            not isinstance(v, int | float | str | bool) for v in values.values()
        ):
            raise ValueError("expected scalar values by name")
    except (ValueError, TypeError, AttributeError) as error:
        raise ParametersInvalid(
            f"parameter set: expected canonical JSON; {error}; publish the set again"
        ) from error
    return ParameterSet(raw["strategy"], values)


def _refuse_constant(name: str) -> float:
    raise ValueError(f"{name} is not a number")
