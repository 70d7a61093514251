"""What a usable answer is, in the job's own eyes."""

from collections.abc import Mapping
from typing import Any, Protocol, runtime_checkable

from batchflow.model.result import Bad, Result


@runtime_checkable
class Check(Protocol):
    """Business validation and redaction. Pure and quick; it runs on answered rows, before the sinks, maybe twice."""

    def check(self, result: Result) -> Result | Bad:
        """Passes a result on, perhaps changed, or says why it will not do."""
        ...


@runtime_checkable
class Shaping(Protocol):
    """A check that knows what shape `output` has when it has passed. Sinks with typed columns are made with that (`output`)."""

    schema: Mapping[str, Any]
    """A JSON schema."""
