"""What is told on a bench is told in its time."""

import pytest

from batchflow.sim import Simulator


@pytest.fixture(scope="session")
def anyio_backend(jumping):
    return jumping


@pytest.fixture(scope="module")
def sim():
    with Simulator(speed=6000.0, duration=30.0, seed=7) as sim:
        yield sim
