"""The parts as a job gets them: loaded from the files in `plugins`, and made by name."""

import importlib.util
import sys
from pathlib import Path
from threading import Thread

import pytest

from batchflow import Plugins

TOP = Path(__file__).parent.parent


@pytest.fixture(scope="session")
def anyio_backend():
    return "asyncio"


@pytest.fixture(scope="session")
def team():
    plugins = Plugins(entry_points=False, files={path.name: path for path in sorted(TOP.glob("plugins/*.py"))})
    assert not plugins.broken
    return plugins


def program(name):
    """Imports a program of this folder, whatever the tests are started from."""
    spec = importlib.util.spec_from_file_location(f"platform_team_{name}", TOP / f"{name}.py")
    sys.modules[spec.name] = module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def prepare():
    return program("prepare")


@pytest.fixture
def desk():
    with program("service").Desk() as serving:
        Thread(target=serving.serve_forever, kwargs={"poll_interval": 0.01}).start()
        yield serving
        serving.shutdown()
