"""What a candidate stands on: figures that measure luck, and findings that judge them.

`judge` re-runs the tests of a walk-forward at twice the costs, the champion and buy-and-hold on the
same bars, and an even sample of the space for the probability of overfitting.

Add here: a finding. Keep out: figures (figures), what follows from the verdict (promotion).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import polars as pl

from thunes_core.backtest.simulate import CASH
from thunes_core.domain.limits import Costs, LotRules, Protection
from thunes_core.domain.parameters import ParameterSet
from thunes_core.domain.results import Evidence, Finding, WalkForwardResult
from thunes_core.research.figures import (
    Case,
    Luck,
    comparison_figures,
    luck_figures,
    plateau_figures,
    stitched_figures,
)
from thunes_core.research.windows import Terms

BEATS_CHAMPION = "beats_champion"


@dataclass(frozen=True, slots=True)
class Thresholds:
    """What each finding asks for. Sharpe ratios per year; shares and probabilities in [0, 1].

    `pbo` forgives a choice whose best loses out of sample no oftener than `pbo_loss`: among sets
    that are all good, which of them ranks first is chance, and harmless. Both figures stand beside
    each other in Bailey, Borwein, López de Prado, Zhu (2015).
    """

    sharpe: float = 0.5
    dsr: float = 0.95
    pbo: float = 0.5
    pbo_loss: float = 0.05
    bootstrap: float = 0.9
    efficiency: float = 0.25
    spread: float = 0.6
    plateau: float = 0.5
    trades: int = 10


def judge(
    result: WalkForwardResult,
    bars: pl.DataFrame,
    *,
    champion: ParameterSet | None = None,
    costs: Costs = Costs(),  # noqa: B008 - immutable
    protection: Protection = Protection(),  # noqa: B008 - immutable
    lots: LotRules = LotRules(),  # noqa: B008 - immutable
    cash: float = CASH,
    walk_forwards_judged: int = 1,
    luck: Luck | None = None,
    thresholds: Thresholds = Thresholds(),
) -> Evidence:
    """Judge a walk-forward on the `bars` it was run on; figures by name, and the findings.

    `champion` (None: there is none) is run on the same test bars and must be beaten.
    """
    asked = luck or Luck(walk_forwards=walk_forwards_judged)
    case = Case(result, bars, Terms(cash, costs, protection, lots))
    figures = {
        **stitched_figures(case),
        **luck_figures(case, asked),
        **plateau_figures(case),
        **comparison_figures(case, champion),
    }
    return Evidence(figures, tuple(_findings(figures, thresholds, champion)))


def _findings(
    figures: dict[str, float], asked: Thresholds, champion: ParameterSet | None
) -> Iterable[Finding]:
    f = figures
    yield _at_least("stitched_sharpe", f["sharpe"], asked.sharpe, "stitched out-of-sample Sharpe")
    yield _at_least("dsr", f["dsr"], asked.dsr, "probability that the Sharpe is not luck (DSR)")
    yield _overfitting(f["pbo"], f["pbo_loss"], asked)
    yield _at_least(
        "bootstrap", f["bootstrap"], asked.bootstrap, "share of redrawn curves that gain"
    )
    yield _at_least("efficiency", f["efficiency"], asked.efficiency, "walk-forward efficiency")
    yield _at_most("spread", f["spread"], asked.spread, "spread of the choices over folds")
    yield _at_least("plateau", f["plateau"], asked.plateau, "share that the neighbours keep")
    yield _at_least("double_costs", f["double_costs_return"], 0.0, "return at twice the costs")
    yield _at_least(
        "buy_and_hold", f["sharpe"], f["buy_and_hold_sharpe"], "Sharpe against buy and hold's"
    )
    yield _at_least("trades", f["trades"], asked.trades, "closed trades out of sample")
    yield _at_least("rules", f["rules_kept"], 1.0, "the choice keeps its search's rules (1: all)")
    if champion is not None:
        yield _above(
            BEATS_CHAMPION, f["sharpe"], f["champion_sharpe"], "Sharpe against the champion's"
        )


def _at_least(name: str, value: float, threshold: float, what: str) -> Finding:
    passed = value >= threshold
    return Finding(name, value, threshold, passed, _sentence(what, value, "at least", threshold))


def _overfitting(probability: float, loss: float, asked: Thresholds) -> Finding:
    passed = probability <= asked.pbo or loss <= asked.pbo_loss
    what = _sentence("probability of backtest overfitting", probability, "at most", asked.pbo)
    also = f"; or that the best in sample loses out of sample: {loss:.3g}, at most {asked.pbo_loss}"
    return Finding("pbo", probability, asked.pbo, passed, what + also)


def _above(name: str, value: float, threshold: float, what: str) -> Finding:
    passed = value > threshold
    return Finding(name, value, threshold, passed, _sentence(what, value, "above", threshold))


def _at_most(name: str, value: float, threshold: float, what: str) -> Finding:
    passed = value <= threshold
    return Finding(name, value, threshold, passed, _sentence(what, value, "at most", threshold))


def _sentence(what: str, value: float, rule: str, threshold: float) -> str:
    return f"{what}: {value:.3g}, {rule} {threshold:.3g} is asked for"
