"""The policy against every promise of one, and what each tier gets."""

import pytest

from batchflow.plugin import Failure, GiveUp, Pause, Retry, Word
from batchflow.testing import RetryContract


@pytest.fixture
def policy(team):
    return team.retry("by_tier")(attempts={"premium": 5, "trial": 1})


class TestByTier(RetryContract):
    @pytest.fixture
    def policy(self, policy):
        return policy


def failure(word, tier, attempt=1):
    return Failure(word=word, message="busy", key="C-1", carried={"tier": tier}, attempt=attempt)


@pytest.mark.parametrize(("tier", "asked"), [("premium", 5), ("standard", 3), ("trial", 1)])
def test_a_claim_is_asked_as_often_as_its_tier_allows(policy, tier, asked):
    verdicts = [policy.decide(failure(Word.OVERLOADED, tier, attempt)) for attempt in range(1, 7)]
    assert [isinstance(verdict, Retry) for verdict in verdicts] == [attempt < asked for attempt in range(1, 7)]
    assert verdicts[-1] == GiveUp()


def test_an_empty_account_pauses_the_run_for_trial_claims_too(policy):
    assert isinstance(policy.decide(failure(Word.NO_CREDIT, "trial")), Pause)
