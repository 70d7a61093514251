"""What is told on a bench is told in its time."""

import pytest


@pytest.fixture(scope="session")
def anyio_backend(jumping):
    return jumping
