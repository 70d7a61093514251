"""A real kit without an engine: memory stores, the real provider (which connects to nobody here), the real prices."""

from itertools import count

import pytest

from batchflow.builtin.anthropic.prices import anthropic_prices
from batchflow.builtin.anthropic.provider import anthropic
from batchflow.builtin.stores.memory import memory_blobs, memory_state
from batchflow.engine.memory import Memory
from batchflow.engine.pricing import PriceBooks
from batchflow.job import Job
from batchflow.model.units import Secret
from batchflow.ports.retry import GiveUp
from batchflow.stages.kit import Kit


@pytest.fixture
def prices():
    return PriceBooks([anthropic_prices()])


@pytest.fixture
def kit(prices):
    job = Job(name="unit", source=list, request=lambda row: row, sinks=[list], retry=lambda _: GiveUp())
    numbers = count(1)
    return Kit(
        run="run",
        owner="test",
        lease="run/run",
        parts=job.parts(job.retry),
        store=memory_state(clock=None),
        blobs=memory_blobs(),
        provider=anthropic(api_key=Secret("sk-nobody")),
        prices=prices,
        hold=Memory().hold,
        now=lambda: 1000.0,
        boot=lambda: 1000.0,
        fresh=lambda: f"id{next(numbers)}",
        token=lambda: "token",
        draw=lambda: 0.5,
        still_mine=lambda _: None,
        told=lambda _: None,
        poll_delay=lambda *, age, default: default,
    )
