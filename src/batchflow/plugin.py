"""Everything a plugin author imports, in one place: `from batchflow.plugin import hookimpl, Doc, Record, ...`."""

from batchflow.extend.hooks import Register, hookimpl
from batchflow.model.errors import BatchflowError, SinkError, SinkRefused, SourceError
from batchflow.model.record import Cursor, Idle, Page, Record, Skip, Unreadable
from batchflow.model.result import Bad, Result, Usage
from batchflow.model.state import Event
from batchflow.model.units import Doc, Dollars, Given, Mendable, Seconds, Secret, Size
from batchflow.model.words import Word
from batchflow.ports.builder import Builder, BuildError, Params
from batchflow.ports.check import Check
from batchflow.ports.retry import Accept, Failure, GiveUp, Pause, Retry, RetryPolicy, Verdict
from batchflow.ports.sink import Part, Promise, Receipt, Refusal, Sink, SinkContext, Written
from batchflow.ports.source import Source

__all__ = [
    "Accept",
    "Bad",
    "BatchflowError",
    "BuildError",
    "Builder",
    "Check",
    "Cursor",
    "Doc",
    "Dollars",
    "Event",
    "Failure",
    "GiveUp",
    "Given",
    "Idle",
    "Mendable",
    "Page",
    "Params",
    "Part",
    "Pause",
    "Promise",
    "Receipt",
    "Record",
    "Refusal",
    "Register",
    "Result",
    "Retry",
    "RetryPolicy",
    "Seconds",
    "Secret",
    "Sink",
    "SinkContext",
    "SinkError",
    "SinkRefused",
    "Size",
    "Skip",
    "Source",
    "SourceError",
    "Unreadable",
    "Usage",
    "Verdict",
    "Word",
    "Written",
    "hookimpl",
]
