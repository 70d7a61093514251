"""What a usable answer is, in the job's own eyes."""

from typing import Protocol, runtime_checkable

from batchflow.model.result import Bad, Result


@runtime_checkable
class Check(Protocol):
    """Business validation and redaction. Pure and quick; it runs on answered rows, before the sinks, maybe twice."""

    def check(self, result: Result) -> Result | Bad:
        """Passes a result on, perhaps changed, or says why it will not do."""
        ...
