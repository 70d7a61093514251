"""A retry policy: how often a claim is asked depends on what its tenant pays. `tier` must be in the source's `carry`.

What is worth asking again is a long table, and not ours: the policy that comes with batchflow has it, one for each number
of attempts. So trouble with the key or the credit pauses the run for a trial claim too, and buries nothing.
"""

from collections.abc import Mapping, Sequence
from typing import Annotated

from batchflow.plugin import Doc, Failure, JobView, Register, RetryPolicy, Verdict, hookimpl, standard


class ByTier:
    """Asks the policy of the tenant's tier. It is pure, as a policy must be: the same failure gets the same verdict."""

    def __init__(self, otherwise: RetryPolicy, tiers: Mapping[str, RetryPolicy]) -> None:
        self._otherwise = otherwise
        self._tiers = tiers

    def decide(self, failure: Failure) -> Verdict:
        """A record from before tiers carries none."""
        return self._tiers.get(failure.carried.get("tier", ""), self._otherwise).decide(failure)


def by_tier(
    *,
    attempts: Annotated[dict[str, int], Doc("How often a claim is asked at most, by tier: {premium: 5, trial: 1}.")],
    otherwise: Annotated[int, Doc("How often where the tier is not named.")] = 3,
) -> ByTier:
    """The standard policy, with more or fewer attempts for some tiers."""
    return ByTier(standard(attempts=otherwise), {tier: standard(attempts=most) for tier, most in attempts.items()})


@hookimpl
def check_job(job: JobView) -> Sequence[str]:
    """Say what would go wrong unseen: without `tier`, every tenant would be like any other."""
    blind = job.retry.type == "by_tier" and "tier" not in job.rules.carry
    return ["retry `by_tier` sees no tiers: write `carry: [tier]` in the source"] if blind else []


@hookimpl
def register_retries(register: Register) -> None:
    """Hand over the policy."""
    register("by_tier", by_tier)
