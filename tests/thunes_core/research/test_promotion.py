"""The rule of promotion: evidence carries, a first paper champion may be let in, else nothing."""

from thunes_core.domain.parameters import Champion, ParameterSet
from thunes_core.domain.results import Evidence, Finding
from thunes_core.research.promotion import Outcome, PromotionPolicy, rule

CANDIDATE = ParameterSet("sma_crossover", {"fast": 10, "slow": 50})
OTHER = Champion("s", ParameterSet("sma_crossover", {"fast": 20, "slow": 90}), "1", "run")
GOOD = Evidence({}, (Finding("dsr", 0.99, 0.95, True, "fine"),))
BAD = Evidence({}, (Finding("dsr", 0.2, 0.95, False, "it may be luck"),))


def test_passing_evidence_promotes_first_and_over_a_champion():
    """Every finding passed: promoted under the strict rule."""
    for champion in (None, OTHER):
        ruling = rule(CANDIDATE, GOOD, champion)
        assert (ruling.outcome, ruling.policy) == (Outcome.PROMOTE, PromotionPolicy.STRICT)


def test_failing_evidence_means_do_nothing():
    """Nothing is good enough: refused, and the reason is named."""
    ruling = rule(CANDIDATE, BAD, None)
    assert ruling.outcome is Outcome.REFUSE
    assert "nothing is traded" in ruling.why
    assert "it may be luck" in ruling.why


def test_bootstrap_lets_in_only_the_first_champion_and_says_so():
    """The first champion is let in and marked; with a champion in force the strict rule holds."""
    first = rule(CANDIDATE, BAD, None, PromotionPolicy.BOOTSTRAP)
    assert (first.outcome, first.policy) == (Outcome.PROMOTE, PromotionPolicy.BOOTSTRAP)
    assert "although not passed: it may be luck" in first.why
    assert rule(CANDIDATE, BAD, OTHER, PromotionPolicy.BOOTSTRAP).outcome is Outcome.REFUSE


def test_bootstrap_is_not_used_where_evidence_suffices():
    """A first champion whose evidence passed is promoted by the strict rule."""
    assert rule(CANDIDATE, GOOD, None, PromotionPolicy.BOOTSTRAP).policy is PromotionPolicy.STRICT


def test_same_parameters_keep_the_champion():
    """A candidate equal to the champion changes nothing, whatever the evidence."""
    same = Champion("s", CANDIDATE, "1", "run")
    assert rule(CANDIDATE, BAD, same).outcome is Outcome.KEEP
