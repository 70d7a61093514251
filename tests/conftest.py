"""What every test here stands on: asyncio (aiosqlite knows nothing else), and a bench to run whole jobs on."""

import gc
import os
import shutil
from pathlib import Path

import pytest

SEED = 484465
MEMORY = Path("/dev/shm")
ROOM = 4 << 30


def pytest_addoption(parser):
    group = parser.getgroup("batchflow", "how long the guarantees are put to the test")
    group.addoption("--all-kills", action="store_true", help="kill at every pair of steps, not at 60 of them: hours")
    group.addoption("--schedules", type=int, default=2000, help="random schedules to tell (2000)")
    # A fixed seed, so that a change is red for what it did; whoever looks for more gives other numbers.
    group.addoption("--schedule-seed", type=int, default=SEED, help=f"the seed they are drawn from ({SEED})")


def pytest_configure(config):
    """Files of tests lie in memory where there is room: to flush a file to a disk takes longer than most tests."""
    if not config.option.basetemp and os.access(MEMORY, os.W_OK) and shutil.disk_usage(MEMORY).free > ROOM:
        os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(MEMORY))


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items):
    """The slow ones come first in each worker's share: one that comes last has the others wait."""
    workers = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    if workers > 1:
        slow = [item for item in items if item.get_closest_marker("slow")]
        others = [item for item in items if not item.get_closest_marker("slow")]
        share = -(-len(others) // workers)
        shares = ((*slow[n::workers], *others[n * share : (n + 1) * share]) for n in range(workers))
        items[:] = [item for each in shares for item in each]


def pytest_collection_finish():
    """What is there by now stays: nobody need look through it for cycles again and again."""
    gc.freeze()
    gc.set_threshold(20_000, 20, 100)


def pytest_unconfigure():
    gc.unfreeze()  # some libraries count at the end what they gave out


def pytest_xdist_auto_num_workers():
    # Twice the cores: half of the tests wait for processes and servers of their own.
    return 2 * (os.cpu_count() or 1)


def pytest_report_header(config):
    return f"random schedules: --schedule-seed {config.option.schedule_seed}"


@pytest.fixture(scope="session")
def schedule_seed(request):
    return request.config.getoption("--schedule-seed")


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="session")
def jumping():
    """The event loop of a bench: whoever uses that names it as its `anyio_backend`."""
    from jumping import JumpingLoop, seen_at_work  # it loads the whole of batchflow, which most tests do not need

    with seen_at_work():
        yield "asyncio", {"loop_factory": JumpingLoop}


@pytest.fixture(scope="session")
def forge():
    """Begins processes that type commands, each at a tenth of what a process costs."""
    from processes import Forge

    with Forge() as forge:
        yield forge


@pytest.fixture
async def bench(tmp_path):
    from bench import Bench

    async with Bench(tmp_path) as bench:
        yield bench
