"""From bars to a champion: walk forward, judge and register the candidate, promote or keep.

Each is partitioned by study (`sma_crossover.BTCUSDT.1h`). The candidate is registered whatever the
verdict; the check `candidate_beats_champion` then stands between it and `champion`, and each
finding of the evidence is a check of its own with its number and threshold. "Keep what there is" is
an outcome: the run ends green and says why.

Add here: an asset of research. Keep out: formulas (core), MLflow (resources), what is shown
(research_metadata).
"""

import math
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

import dagster as dg
import polars as pl

from thunes_core.domain.parameters import split_study_key
from thunes_core.domain.results import Evidence, Finding
from thunes_core.research.due import Cause
from thunes_core.research.promotion import Outcome, Ruling
from thunes_pipelines import policies, research_plan
from thunes_pipelines.assets.market import bars_dep, revisions_dep
from thunes_pipelines.failures import told_plainly
from thunes_pipelines.partitions import STUDY_PARTITIONS
from thunes_pipelines.resources.house import House

WALK_FORWARD, PARAMETER_SET = dg.AssetKey("walk_forward"), dg.AssetKey("parameter_set")
BEATS_CHAMPION = "candidate_beats_champion"
FINDINGS = {
    "stitched_sharpe": "The stitched out-of-sample Sharpe ratio is high enough.",
    "dsr": "The Sharpe ratio is not luck, all walk-forwards ever judged counted (deflated Sharpe).",
    "pbo": "The best set of one half of the days is also good in the other (overfitting).",
    "bootstrap": "The curve still gains when its days are drawn anew in runs.",
    "efficiency": "Out of sample keeps enough of what was earned in training.",
    "spread": "The folds choose similar parameters.",
    "plateau": "Neighbouring parameters do nearly as well: a plateau, not a needle.",
    "double_costs": "Something is left at twice the costs.",
    "buy_and_hold": "The Sharpe ratio is at least that of holding.",
    "trades": "Enough closed trades to speak of.",
    "rules": "The choice keeps the rules of its search: fewest trades, deepest drawdown.",
}
_REPORTS_A_WALK = 20


@dg.asset(
    key=WALK_FORWARD,
    deps=[bars_dep(), revisions_dep()],
    partitions_def=STUDY_PARTITIONS,
    group_name=policies.RESEARCH,
    owners=policies.OWNERS,
    kinds={"python", "optuna"},
    pool=policies.RESEARCH_POOL,
    description=(
        "One strategy, symbol and interval walked forward: parameters chosen on each training "
        "window, tested from flat on what follows, stitched; and the final fit, the candidate."
    ),
)
def walk_forward(context: dg.AssetExecutionContext, house: House) -> dg.MaterializeResult[Any]:
    """Walk one study forward over its newest history and keep the result in the lake.

    After a revision: over the span that the champion's evidence stands on, of which only the folds
    that the revision touched are searched again.
    """
    from thunes_core.research.walk_forward import walk_forward as walk
    from thunes_pipelines.assets import research_metadata

    settings = house.settings()
    strategy, symbol, interval = split_study_key(context.partition_key)
    with told_plainly():
        result = walk(
            _bars_to_search(house, context.partition_key, context.run.tags.get(policies.CAUSE)),
            strategy=strategy,
            symbol=symbol,
            interval=interval,
            options=research_plan.options(settings),
            progress=_log_progress(context),
            compute=research_plan.compute(settings),
        )
        folder = research_plan.walk_store(settings).save(result)
    return dg.MaterializeResult(
        metadata=research_metadata.of_walk(result, str(folder)),
        data_version=dg.DataVersion(folder.name),
    )


@dg.asset(
    key=PARAMETER_SET,
    deps=[WALK_FORWARD, revisions_dep()],
    partitions_def=STUDY_PARTITIONS,
    group_name=policies.RESEARCH,
    owners=policies.OWNERS,
    kinds={"mlflow"},
    check_specs=[
        *(
            dg.AssetCheckSpec(name, asset=PARAMETER_SET, description=text)
            for name, text in FINDINGS.items()
        ),
        dg.AssetCheckSpec(
            BEATS_CHAMPION,
            asset=PARAMETER_SET,
            blocking=True,
            description=(
                "The candidate may become champion. Not passed: it is not promoted, and what was "
                "in force stays so; the run goes on to say that. An error blocks what follows."
            ),
        ),
    ],
    description=(
        "The candidate parameter set, judged and registered in MLflow with its evidence: deflated "
        "Sharpe, overfitting, stability, twice the costs, holding, and the champion on the same "
        "bars."
    ),
)
def parameter_set(context: dg.AssetExecutionContext, house: House) -> dg.MaterializeResult:  # type: ignore[type-arg] # Dagster knows it bare only
    """Judge the newest walk-forward and register its choice as candidate."""
    from thunes_core.research.contest import contested
    from thunes_core.research.evidence import judge
    from thunes_core.research.promotion import rule
    from thunes_pipelines.assets import research_metadata

    study, settings = context.partition_key, house.settings()
    walks, terms = research_plan.walk_store(settings), research_plan.terms(settings)
    with told_plainly():
        result, registry = walks.newest(study), house.registry()
        bars = research_plan.bars_of(house.bars(), result)
        champion = registry.champion_or_none(study)
        evidence = judge(
            result,
            bars,
            champion=champion.parameters if champion else None,
            costs=terms.costs,
            protection=terms.protection,
            cash=terms.cash,
            luck=research_plan.luck(study, settings),
        )
        ruling = rule(result.chosen, evidence, champion, research_plan.policy(settings))
        tags = research_plan.context(context.run.run_id, result, bars)
        contest = contested(result, bars, champion, terms)
        files = research_metadata.files_of(contest)
        registered = registry.log_candidate(
            result, evidence, context=tags, ruling=ruling, files=files
        )
        intact = registry.candidate(study, registered.version).verdict is ruling.outcome
    context.log.info(f"{study} version {registered.version}: {ruling.outcome}: {ruling.why}")
    metadata = research_metadata.of_candidate(evidence, registered, contest)
    return dg.MaterializeResult(
        metadata=metadata,
        check_results=[
            *_finding_checks(evidence),
            _verdict(ruling, evidence, registered.version, intact=intact),
        ],
    )


@dg.asset(
    key=policies.CHAMPION,
    deps=[PARAMETER_SET, revisions_dep()],
    partitions_def=STUDY_PARTITIONS,
    group_name=policies.RESEARCH,
    owners=policies.OWNERS,
    kinds={"mlflow"},
    output_required=False,
    description=(
        "The parameter set in force. Materialised when the candidate takes over; where the outcome "
        "is to keep, an observation says why. A copy goes to the ledger, so that a tick never "
        "needs MLflow."
    ),
)
def champion(
    context: dg.AssetExecutionContext, house: House
) -> Iterator[dg.MaterializeResult[Any]]:
    """Carry out the ruling on the candidate and remember the champion in the ledger."""
    from thunes_pipelines.assets import research_metadata
    from thunes_pipelines.promotion import Settling

    study = context.partition_key
    with told_plainly(), closing(house.ledger()) as ledger:
        promoting = house.promoting(ledger)
        settled = promoting.settle(study)
        in_force = settled.champion
        url = promoting.registry.url_of(in_force.run_id) if in_force else None
    metadata = research_metadata.of_champion(settled, url)
    context.log.info(f"{study}: {settled.outcome}: {settled.why}")
    if settled.outcome is Settling.PROMOTED:
        yield dg.MaterializeResult(metadata=metadata)
    else:
        context.log_event(
            dg.AssetObservation(policies.CHAMPION, partition=study, metadata=metadata)
        )


def _bars_to_search(house: House, study: str, cause: str | None) -> pl.DataFrame:
    settings, store = house.settings(), house.bars()
    if cause == Cause.REVISION:
        with closing(house.ledger()) as ledger:
            champion = ledger.remembered_champion(study)
        stood_on = research_plan.under_evidence(store, champion, settings)
        if stood_on is not None:
            return stood_on
    return research_plan.history(store, study, settings)


def _verdict(
    ruling: Ruling, evidence: Evidence, version: str, *, intact: bool
) -> dg.AssetCheckResult:
    """Judge the candidate; to keep what there is, or nothing, is a result and not a failure.

    A version that the registry does not hold as it was judged is a failure: it blocks the rest.
    Its numbers are the findings that passed, of all; and the Sharpe ratio against the champion's.
    """
    against = [finding for finding in evidence.findings if finding.name not in FINDINGS]
    severity = dg.AssetCheckSeverity.WARN if intact else dg.AssetCheckSeverity.ERROR
    return dg.AssetCheckResult(
        passed=intact and ruling.outcome is not Outcome.REFUSE,
        check_name=BEATS_CHAMPION,
        severity=severity,
        metadata={
            "why": ruling.why if intact else "the registry does not hold what was judged",
            "outcome": str(ruling.outcome),
            "policy": str(ruling.policy),
            "version": version,
            "value": sum(finding.passed for finding in evidence.findings),
            "threshold": len(evidence.findings),
            **{
                f"against_champion_{k}": v for f in against for k, v in _finding_metadata(f).items()
            },
        },
    )


def _finding_checks(evidence: Evidence) -> Iterator[dg.AssetCheckResult]:
    """Yield one check result per finding that is declared; they warn, the verdict blocks."""
    found = {finding.name: finding for finding in evidence.findings}
    for name in FINDINGS:
        yield dg.AssetCheckResult(
            passed=found[name].passed,
            check_name=name,
            severity=dg.AssetCheckSeverity.WARN,
            metadata=_finding_metadata(found[name]),
        )


def _finding_metadata(finding: Finding) -> dict[str, Any]:
    numbers = {"value": finding.value, "threshold": float(finding.threshold)}
    return {
        "sentence": finding.sentence,
        **{name: value for name, value in numbers.items() if math.isfinite(value)},
    }


def _log_progress(context: dg.AssetExecutionContext) -> Callable[[int, int, str], None]:
    """Report about twenty times a walk in the run's log."""
    told = 0

    def tell(done: int, total: int, name: str) -> None:
        nonlocal told
        reached = done * _REPORTS_A_WALK // total
        if reached > told:
            context.log.info(f"{name}: {done} of {total} trials")
        told = reached

    return tell


ASSETS = [walk_forward, parameter_set, champion]
CHECKS: list[dg.AssetChecksDefinition] = []
