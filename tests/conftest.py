"""What every test here stands on: asyncio (aiosqlite knows nothing else), and a bench to run whole jobs on."""

import pytest


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def bench(tmp_path):
    from bench import Bench  # it loads the whole of batchflow, which most tests do not need

    with Bench(tmp_path) as bench:
        yield bench
