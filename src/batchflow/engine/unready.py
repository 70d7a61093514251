"""A sink that cannot be opened must not keep a run from being canceled: what is at the provider goes on costing money."""

from batchflow.model.errors import PluginError, SinkError, SinkRefused
from batchflow.ports.sink import Part, Promise, Receipt, Sink, SinkContext


class Unready:
    """Stands in for such a sink: its parts are parked with its words, and wait until it is mended."""

    def __init__(self, sink: Sink, error: SinkError | PluginError) -> None:
        self.promise: Promise = sink.promise
        self._error = error

    async def open(self, context: SinkContext, last: Receipt | None) -> None:
        """Do nothing: it was tried."""

    async def write(self, part: Part) -> Receipt:
        """Refuse, as the sink did."""
        del part
        raise SinkRefused(self._error.message, hint=self._error.hint)

    async def close(self) -> None:
        """Do nothing: the sink itself is closed by whoever tried to open it."""
