"""What a search asks of a parameter set on a training window: objectives, rules, figures.

A proposal is run alone, with others in one sweep, or part after part of the window.

Add here: an objective, a rule. Keep out: proposing (search), testing what was chosen (folds).
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np

from thunes_core.backtest import metrics, sweep
from thunes_core.domain.limits import Conditions
from thunes_core.domain.parameters import Value
from thunes_core.errors import BadInput
from thunes_core.research.fitting import AsItIs, Fitting
from thunes_core.research.search import Evaluate, Outcome
from thunes_core.research.splits import SMALLEST_SPAN_BARS, Span
from thunes_core.research.windows import Terms, Window

OBJECTIVES = ("sharpe", "total_return", "max_drawdown")
FIGURES = ("sharpe", "total_return", "max_drawdown", "trades")
Values = Mapping[str, Value]


@dataclass(frozen=True, slots=True)
class Rules:
    """What is maximised, and what makes a trial acceptable.

    `objectives`: one or more of `OBJECTIVES`; the drawdown is negative, so that more is better.
    `min_trades` closed trades, and a drawdown no deeper than `max_drawdown` (a fraction, 1 = any).
    """

    objectives: tuple[str, ...] = ("sharpe",)
    min_trades: int = 5
    max_drawdown: float = 1.0
    terms: Terms = field(default_factory=Terms)

    def __post_init__(self) -> None:
        wrong = [name for name in self.objectives if name not in OBJECTIVES]
        if wrong or not self.objectives or len(set(self.objectives)) < len(self.objectives):
            raise BadInput(
                f"objectives: expected some of {', '.join(OBJECTIVES)}, each once; it was "
                f"{', '.join(self.objectives) or 'none'}; correct them"
            )

    def outcome(self, figures: Mapping[str, float], shares: int = 1) -> Outcome:
        """Judge a run's figures; `shares` is how many such runs make the whole window."""
        first, *others = (self._finite(figures[name]) for name in self.objectives)
        violation = self._violation(figures["trades"] * shares, figures["max_drawdown"])
        return Outcome(first, violation, dict(figures), tuple(others))

    def _finite(self, value: float) -> float:
        return value if math.isfinite(value) else 0.0

    def _violation(self, trades: float, drawdown: float) -> float:
        """Return by how much the rules are broken, as a share of each limit; 0 when kept."""
        too_few = max(self.min_trades - trades, 0.0) / max(self.min_trades, 1)
        too_deep = max(-drawdown - self.max_drawdown, 0.0)
        return too_few + too_deep


class Objective:
    """The parameter sets of one strategy on one training window."""

    def __init__(
        self, train: Window, strategy: str, fitting: Fitting, lead: int, rules: Rules
    ) -> None:
        self._train, self._strategy, self._fitting = train, strategy, fitting
        self._lead, self._rules = lead, rules
        self._ground: sweep.Ground | None = None
        self._cut: list[Window] = []

    def evaluate(self, parts: int = 0) -> Evaluate:
        """Return how a search evaluates proposals; part after part where `parts` is above 1."""
        if parts > 1:
            if len(self._rules.objectives) > 1:
                raise BadInput(
                    "search: expected one objective where trials are pruned over parts of the "
                    f"window; it was {', '.join(self._rules.objectives)}; name one, or no parts"
                )
            self._cut = list(self._windows(parts))
            return Evaluate(self.one, parts=self.in_parts)
        plain = isinstance(self._fitting, AsItIs)
        return Evaluate(self.one, self.many if plain else None)

    def one(self, values: Values) -> Outcome | None:
        """Run one parameter set over the window; None for one that the strategy refuses."""
        return self._run(self._train, values, 1)

    def many(self, proposals: Sequence[Values]) -> list[Outcome | None]:
        """Run several in one sweep, which shares their indicators and leaps over quiet bars."""
        if self._ground is None:
            self._ground = sweep.prepare(self._train.led, skip=self._train.skip)
        terms = self._rules.terms
        conditions = Conditions(terms.cash, terms.costs, terms.protection, terms.lots)
        found = sweep.evaluate(self._ground, self._strategy, proposals, conditions)
        return [
            None
            if found.refused[row]
            else self._rules.outcome({name: float(found.metrics[name][row]) for name in FIGURES})
            for row in range(len(proposals))
        ]

    def in_parts(self, values: Values) -> Iterator[tuple[int, Outcome]] | None:
        """Run part after part of the window, in an order that follows from the values."""
        order = np.random.default_rng(_seed_of(values)).permutation(len(self._cut)).tolist()
        first = self._run(self._cut[order[0]], values, len(self._cut))
        return None if first is None else self._rest(first, order, values)

    def _rest(
        self, first: Outcome, order: Sequence[int], values: Values
    ) -> Iterator[tuple[int, Outcome]]:
        yield order[0], first
        for part in order[1:]:
            outcome = self._run(self._cut[part], values, len(self._cut))
            yield part, outcome or Outcome(0.0, 1.0, dict.fromkeys(FIGURES, 0.0))

    def _run(self, window: Window, values: Values, shares: int) -> Outcome | None:
        run = window.honest_run(self._fitting, values, self._rules.terms)
        if run is None:
            return None
        equity, cash = run.equity, run.start_cash
        figures = {
            "sharpe": metrics.sharpe(window.daily_returns_of(equity, cash)),
            "total_return": float(equity[-1]) / cash - 1.0,
            "max_drawdown": metrics.max_drawdown(equity, cash),
            "trades": float(run.closed),
        }
        return self._rules.outcome(figures, shares)

    def _windows(self, parts: int) -> Iterator[Window]:
        bars, skip = len(self._train.bars), self._train.skip
        if bars // parts < SMALLEST_SPAN_BARS:
            raise BadInput(
                f"search: expected at least {SMALLEST_SPAN_BARS} bars in each of {parts} parts of "
                f"a training window; it has {bars}; give a longer history or fewer parts"
            )
        edges = [skip + bars * i // parts for i in range(parts + 1)]
        for start, stop in pairwise(edges):
            yield Window(self._train.led, Span(start, stop), self._lead)


def _seed_of(values: Values) -> int:
    return int.from_bytes(hashlib.sha256(repr(sorted(values.items())).encode()).digest()[:4])
