"""From searched values to something that runs: plain strategies as they are, learned ones fitted.

Choosing needs an honest exposure over the training window itself; testing and trading need the
parameter set, fitted on the whole window.

Add here: another kind of strategy that has to be fitted. Keep out: search, runs, models.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Protocol

import polars as pl

from thunes_core.backtest.kernel import Floats
from thunes_core.domain.parameters import ParameterSet, Value
from thunes_core.errors import BadInput, ParametersInvalid
from thunes_core.indicators.columns import Columns
from thunes_core.strategies.base import FromColumns, Strategy, build, strategy_class
from thunes_core.strategies.learned_direction import LearnedDirection


@dataclass(frozen=True, slots=True)
class Fitted:
    """A parameter set ready to run, and the files that document how it was fitted, by name."""

    parameters: ParameterSet
    files: Mapping[str, bytes] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, eq=False)
class Material:
    """Bars with their columns; rows before `first` are warm-up alone and not learned from."""

    bars: pl.DataFrame
    columns: Columns
    first: int


class Fitting(Protocol):
    """How a strategy's values become exposures and parameter sets."""

    def exposure(self, material: Material, values: Mapping[str, Value]) -> Floats | None:
        """Return an exposure per row that saw none of what it is judged on; None when refused."""
        ...

    def fit(self, material: Material, values: Mapping[str, Value]) -> Fitted:
        """Return the parameter set that the material gives."""
        ...


class AsItIs:
    """Strategies whose values are all there is to them."""

    def __init__(self, strategy: str) -> None:
        self._strategy = strategy

    def exposure(self, material: Material, values: Mapping[str, Value]) -> Floats | None:
        """Run the strategy."""
        made = try_build(self._strategy, values)
        return None if made is None else exposure_of(made, material)

    def fit(self, material: Material, values: Mapping[str, Value]) -> Fitted:  # noqa: ARG002 - others learn from it
        """Take the values as they are."""
        return Fitted(ParameterSet(self._strategy, dict(values)))


class Learning:
    """Classifiers: chosen by what models say that saw nothing near, handed out fitted on all."""

    def exposure(self, material: Material, values: Mapping[str, Value]) -> Floats | None:
        """Return the exposure of calibrated out-of-fold probabilities."""
        from thunes_core.research import models

        strategy = self._made(values)
        if strategy is None:
            return None
        found = models.examples(material.columns, strategy, material.first)
        chance = models.out_of_fold_probability(found, strategy)
        return None if chance is None else strategy.hold(chance)

    def fit(self, material: Material, values: Mapping[str, Value]) -> Fitted:
        """Fit on all rows that may be learned from."""
        from thunes_core.research import models

        strategy = self._made(values)
        made = None
        if strategy is not None:
            made = models.fitted(material.columns, material.first, strategy)
        if strategy is None or made is None:
            raise BadInput(
                "learned_direction: expected a longer history with rises and falls; there is too "
                "little to learn from; give a longer one"
            )
        chosen = replace(strategy, model=made.document)
        shown = {f.name: getattr(chosen, f.name) for f in fields(chosen)}
        return Fitted(ParameterSet(LearnedDirection.name, shown), {"model.skops": made.pipeline})

    def _made(self, values: Mapping[str, Value]) -> LearnedDirection | None:
        searched = {k: v for k, v in values.items() if k not in LearnedDirection.fitted}
        made = try_build(LearnedDirection.name, searched)
        return made if isinstance(made, LearnedDirection) else None


def fitting_of(strategy: str) -> Fitting:
    """Return how the strategy of that name is fitted."""
    return Learning() if strategy_class(strategy) is LearnedDirection else AsItIs(strategy)


def try_build(strategy: str, values: Mapping[str, Value]) -> Strategy | None:
    """Build a strategy; None for a combination that it refuses (fast above slow, say)."""
    try:
        return build(strategy, values)
    except ParametersInvalid:
        return None


def exposure_of(strategy: Strategy, material: Material) -> Floats:
    """Return the strategy's exposure per row of the material."""
    if isinstance(strategy, FromColumns):
        return strategy.exposure(material.columns)
    return strategy.target_exposure(material.bars).to_numpy()


def searched_values(parameters: ParameterSet) -> dict[str, Value]:
    """Return the values that a search varies, without what was fitted."""
    space = strategy_class(parameters.strategy).space
    return {name: parameters.values[name] for name in space.dimensions}
