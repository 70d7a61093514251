"""The policy against every promise of a retry policy."""

import pytest
from batchflow import Plugins
from batchflow.plugin import Failure, GiveUp, Retry, Word
from batchflow.testing import RetryContract

import your_plugin
from your_plugin.retry import ByTenant, retry


class TestRetry(RetryContract):
    @pytest.fixture
    def policy(self):
        return retry(attempts=3, more={"north": 9})


def overloaded(tenant: str, attempt: int) -> Failure:
    carried = {"tenant": tenant}
    return Failure(word=Word.OVERLOADED, message="busy", key="a", carried=carried, attempt=attempt)


def test_some_tenants_are_asked_more_often():
    policy = retry(attempts=2, more={"north": 4}, wait=10.0)
    assert policy.decide(overloaded("south", 1)) == Retry(after=10.0)
    assert policy.decide(overloaded("south", 2)) == GiveUp()
    assert policy.decide(overloaded("north", 3)) == Retry(after=40.0)
    assert policy.decide(overloaded("north", 4)) == GiveUp()


def test_no_attempt_at_all_is_refused():
    with pytest.raises(ValueError, match="at least 1"):
        retry(more={"north": 0})


def test_an_app_finds_it_by_its_name():
    plugins = Plugins([your_plugin], entry_points=False)
    assert isinstance(plugins.retry("your_part")(attempts=2), ByTenant)
