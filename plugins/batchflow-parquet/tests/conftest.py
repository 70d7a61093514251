import pytest
from processes import Forge

USED_LATE = ("batchflow_parquet.sink", "batchflow_parquet.source", "pyarrow.parquet")


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="session")
def forge():
    """Begins processes that type commands, and have all of this plugin at hand."""
    with Forge(*USED_LATE) as forge:
        yield forge
