"""Public contract suites, fakes and clocks: what our own parts are tested with, for plugin authors to use.

    class TestMyStore(StateStoreContract):
        @pytest.fixture
        def connect(self, clock, tmp_path):
            return lambda: my_store(path=tmp_path / "state", clock=clock)

A subclass and a fixture or two give every promise of a port as a small named test. The suites need pytest and
hypothesis, so each is imported when it is asked for and not before.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from batchflow.testing.blobs import BlobStoreContract
    from batchflow.testing.builder import BuilderContract
    from batchflow.testing.check import CheckContract
    from batchflow.testing.clock import ManualClock
    from batchflow.testing.loader import LoaderContract
    from batchflow.testing.notifier import NotifierContract
    from batchflow.testing.provider import ProviderContract
    from batchflow.testing.retry import RetryContract
    from batchflow.testing.scaled import ScaledClock
    from batchflow.testing.secrets import SecretStoreContract
    from batchflow.testing.sink import SinkContract
    from batchflow.testing.source import SourceContract
    from batchflow.testing.state import StateStoreContract

__all__ = [
    "BlobStoreContract",
    "BuilderContract",
    "CheckContract",
    "LoaderContract",
    "ManualClock",
    "NotifierContract",
    "ProviderContract",
    "RetryContract",
    "ScaledClock",
    "SecretStoreContract",
    "SinkContract",
    "SourceContract",
    "StateStoreContract",
]

_HOMES = {
    "BlobStoreContract": "blobs",
    "BuilderContract": "builder",
    "CheckContract": "check",
    "LoaderContract": "loader",
    "ManualClock": "clock",
    "NotifierContract": "notifier",
    "ProviderContract": "provider",
    "RetryContract": "retry",
    "ScaledClock": "scaled",
    "SecretStoreContract": "secrets",
    "SinkContract": "sink",
    "SourceContract": "source",
    "StateStoreContract": "state",
}


def __getattr__(name: str) -> Any:
    """Imports what was asked for: pytest loads this package in everybody's runs, most of which need none of it."""
    from importlib import import_module

    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
