"""batchflow runs on asyncio, and so do its plugins' tests."""

import pytest


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"
