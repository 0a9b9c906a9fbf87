"""Whether a judged candidate may become champion, and the sentence that says why.

Add here: a policy. Keep out: measuring (evidence), the registry.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from thunes_core.domain.parameters import Champion, ParameterSet
from thunes_core.domain.results import Evidence


class PromotionPolicy(StrEnum):
    """How much evidence a promotion needs.

    STRICT: every finding passes. BOOTSTRAP: the first champion of a paper or local account is
    promoted whatever the findings say, so that the machinery can be watched; they are shown as not
    passed, the version is marked, and from then on the strict rule holds.
    """

    STRICT = "strict"
    BOOTSTRAP = "bootstrap"


class Outcome(StrEnum):
    """What becomes of a candidate."""

    PROMOTE = "promote"
    KEEP = "keep"
    REFUSE = "refuse"


@dataclass(frozen=True, slots=True)
class Ruling:
    """The outcome, the policy it rests on, and the sentence that says why."""

    outcome: Outcome
    policy: PromotionPolicy
    why: str


def rule(
    candidate: ParameterSet,
    evidence: Evidence,
    champion: Champion | None,
    policy: PromotionPolicy = PromotionPolicy.STRICT,
) -> Ruling:
    """Decide on a candidate; `champion` is the present one or None."""
    if champion is not None and champion.parameters.fingerprint == candidate.fingerprint:
        return Ruling(Outcome.KEEP, PromotionPolicy.STRICT, "the candidate is the champion: kept")
    if evidence.passed:
        return Ruling(Outcome.PROMOTE, PromotionPolicy.STRICT, "every finding passed")
    failed = "; ".join(f.sentence for f in evidence.findings if not f.passed)
    if champion is None and policy is PromotionPolicy.BOOTSTRAP:
        why = f"first champion of a paper or local account, although not passed: {failed}"
        return Ruling(Outcome.PROMOTE, PromotionPolicy.BOOTSTRAP, why)
    kept = "the champion is kept" if champion else "nothing is traded"
    return Ruling(Outcome.REFUSE, PromotionPolicy.STRICT, f"{kept}, not passed: {failed}")
