"""What every test here stands on: asyncio (aiosqlite knows nothing else)."""

import pytest


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"
