"""A simulator whose clock stands still, official SDK clients without retries, and requests to send."""

from contextlib import ExitStack

import anthropic
import pytest

from batchflow.sim import FaultPlan, Simulator


def _ask(text="The pipe burst and water ran down the kitchen wall", **more):
    return {
        "model": "claude-haiku-4-5",
        "max_tokens": 200,
        "messages": [{"role": "user", "content": text}],
        **more,
    }


def _requests(count, **more):
    return [{"custom_id": f"r-{number}", "params": _ask(f"claim number {number}", **more)} for number in range(count)]


@pytest.fixture
def ask():
    return _ask


@pytest.fixture
def requests_of():
    return _requests


@pytest.fixture
def simulate():
    """Starts simulators: fault flags as positional arguments, options by keyword."""
    with ExitStack() as stack:

        def start(*flags, **options):
            plan = FaultPlan.parse(flags)
            return stack.enter_context(Simulator(**{"speed": 0, "seed": 7, "faults": plan, **options}))

        yield start


@pytest.fixture
def client_of():
    """Makes SDK clients for a simulator; one workspace per key."""
    with ExitStack() as stack:

        def connect(sim, key="key-a", **options):
            client = anthropic.Anthropic(**{"base_url": sim.url, "api_key": key, "max_retries": 0, **options})
            return stack.enter_context(client)

        yield connect


@pytest.fixture
def sim(simulate):
    return simulate()


@pytest.fixture
def client(sim, client_of):
    return client_of(sim)
