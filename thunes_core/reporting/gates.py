"""The go/no-go gates of paper and of micro-live trading (S11): computed, not judged by eye. Pure.

Add here: a gate. Keep out: collecting the facts.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

PAPER_HOURS = 168.0
PAPER_CHECKS = 1000
"""A week of ticks every ten minutes is 1,008; a handful may be skipped by rule."""
MOST_RECONNECTIONS = 35
LEAST_SHARPE = 0.5
DEEPEST_DRAWDOWN = 0.30
LEAST_WIN_RATE = 0.40


@dataclass(frozen=True, slots=True)
class Gate:
    """One figure, what it must reach, and whether it does. NaN never passes."""

    name: str
    value: float
    threshold: float
    passed: bool
    sentence: str


@dataclass(frozen=True, slots=True)
class Trial:
    """What a trial run showed. `sharpe` annual, `max_drawdown` negative, `pnl` in quote units."""

    hours: float
    checks: int
    reconnections: int
    unexplained_errors: int
    pnl: float = math.nan
    sharpe: float = math.nan
    max_drawdown: float = math.nan
    win_rate: float = math.nan


def paper_gates(trial: Trial) -> tuple[Gate, ...]:
    """Return the gates of paper trading: it runs for a week without unexplained error."""
    return (
        _at_least("hours", trial.hours, PAPER_HOURS, "ran {value:g} of {threshold:g} hours"),
        _at_least("checks", trial.checks, PAPER_CHECKS, "{value:g} of {threshold:g} checks"),
        _below(
            "reconnections",
            trial.reconnections,
            MOST_RECONNECTIONS,
            "{value:g} reconnections, fewer than {threshold:g} are allowed",
        ),
        _below("unexplained_errors", trial.unexplained_errors, 1, "{value:g} unexplained errors"),
    )


def live_gates(trial: Trial) -> tuple[Gate, ...]:
    """Return the gates of micro-live trading: it earns, at a bearable risk."""
    return (
        _above("pnl", trial.pnl, 0.0, "profit {value:g}"),
        _at_least("sharpe", trial.sharpe, LEAST_SHARPE, "Sharpe {value:.2f} of {threshold:g}"),
        _below(
            "drawdown",
            -trial.max_drawdown,
            DEEPEST_DRAWDOWN,
            "drawdown {value:.1%}, below {threshold:.0%} is allowed",
        ),
        _at_least(
            "win_rate", trial.win_rate, LEAST_WIN_RATE, "win rate {value:.0%} of {threshold:.0%}"
        ),
    )


def failed(gates: Sequence[Gate]) -> list[Gate]:
    """Return the gates that did not pass."""
    return [gate for gate in gates if not gate.passed]


def _at_least(name: str, value: float, threshold: float, text: str) -> Gate:
    return _gate(name, value, threshold, value >= threshold, text)


def _above(name: str, value: float, threshold: float, text: str) -> Gate:
    return _gate(name, value, threshold, value > threshold, text)


def _below(name: str, value: float, threshold: float, text: str) -> Gate:
    return _gate(name, value, threshold, value < threshold, text)


def _gate(name: str, value: float, threshold: float, passed: bool, text: str) -> Gate:
    sentence = text.format(value=value, threshold=threshold)
    return Gate(name, float(value), float(threshold), passed, sentence)
