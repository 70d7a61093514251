"""Everything a plugin author imports, in one place: `from batchflow.plugin import hookimpl, Doc, Record, ...`."""

from batchflow.extend.hooks import Register, hookimpl
from batchflow.model.blob import Blob, checked_name, is_name
from batchflow.model.errors import (
    BatchflowError,
    ObjectDamaged,
    SinkError,
    SinkRefused,
    SourceError,
    StoreUnavailable,
)
from batchflow.model.record import Cursor, Idle, Page, Record, Skip, Unreadable
from batchflow.model.result import Bad, Result, Usage
from batchflow.model.state import Event
from batchflow.model.units import Doc, Dollars, Given, Mendable, Seconds, Secret, Size
from batchflow.model.words import Word
from batchflow.ports.blobs import BlobStore, BlobWriter
from batchflow.ports.builder import Builder, BuildError, ByPage, Params
from batchflow.ports.check import Check
from batchflow.ports.retry import Accept, Failure, GiveUp, Pause, Retry, RetryPolicy, Verdict
from batchflow.ports.sink import (
    Completing,
    Part,
    Promise,
    Receipt,
    Refusal,
    Releasing,
    Sink,
    SinkContext,
    Written,
)
from batchflow.ports.source import Source

__all__ = [
    "Accept",
    "Bad",
    "BatchflowError",
    "Blob",
    "BlobStore",
    "BlobWriter",
    "BuildError",
    "Builder",
    "ByPage",
    "Check",
    "Completing",
    "Cursor",
    "Doc",
    "Dollars",
    "Event",
    "Failure",
    "GiveUp",
    "Given",
    "Idle",
    "Mendable",
    "ObjectDamaged",
    "Page",
    "Params",
    "Part",
    "Pause",
    "Promise",
    "Receipt",
    "Record",
    "Refusal",
    "Register",
    "Releasing",
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
    "StoreUnavailable",
    "Unreadable",
    "Usage",
    "Verdict",
    "Word",
    "Written",
    "checked_name",
    "hookimpl",
    "is_name",
]
