"""Everything a plugin author imports, in one place: `from batchflow.plugin import hookimpl, Doc, Record, ...`."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from batchflow.builtin.retry import standard
from batchflow.extend.hooks import Register, hookimpl
from batchflow.extend.moved import Moved, look_up
from batchflow.extend.versions import API
from batchflow.model.blob import Blob, checked_name, is_name
from batchflow.model.change import Cap, Change, Count, Entity, Fact, Holding, Note, Put, Step
from batchflow.model.errors import (
    BadReply,
    BatchflowError,
    Locked,
    NoListing,
    NotifyError,
    NotifyRefused,
    ObjectDamaged,
    OverCap,
    ProviderError,
    Refused,
    ReplyLost,
    SchemaTooNew,
    SinkError,
    SinkRefused,
    SourceError,
    Stale,
    StoreUnavailable,
    Unreachable,
)
from batchflow.model.money import Price
from batchflow.model.notification import Notification
from batchflow.model.record import Cursor, Idle, Page, Record, Skip, Unreadable
from batchflow.model.remote import Limits, ListPage, RemoteBatch, Weight
from batchflow.model.result import Answer, Bad, Result, Usage
from batchflow.model.rules import BatchRules, RetryRules, Rules, SubmitRules, Truncated
from batchflow.model.state import (
    COUNTERS,
    SEEN_AT_ONCE,
    Batch,
    BatchState,
    Binding,
    Decision,
    Delivery,
    DeliveryState,
    Due,
    Entry,
    Event,
    Intent,
    Lease,
    Outlet,
    Outlook,
    Remote,
    Run,
    Setback,
    Wish,
)
from batchflow.model.target import Target
from batchflow.model.units import Doc, Dollars, Folder, Given, Mendable, Seconds, Secret, Size
from batchflow.model.words import Word
from batchflow.ports.blobs import BlobStore, BlobWriter
from batchflow.ports.builder import Builder, BuildError, ByPage, Params
from batchflow.ports.check import Check, Shaping
from batchflow.ports.clock import Clock
from batchflow.ports.job import JobView, NotifierView, PartView, SinkView
from batchflow.ports.notifier import Notifier
from batchflow.ports.prices import Prices
from batchflow.ports.provider import Outgoing, Provider
from batchflow.ports.retry import Accept, Failure, GiveUp, Pause, Retry, RetryPolicy, Verdict
from batchflow.ports.secrets import Secrets
from batchflow.ports.sink import (
    Completing,
    Part,
    Placed,
    PlainPart,
    PlainSink,
    Promise,
    Receipt,
    Refusal,
    Releasing,
    Sink,
    SinkContext,
    Written,
)
from batchflow.ports.source import Covering, PlainSource, Source
from batchflow.ports.state import StateStore

__all__ = [
    "API",
    "COUNTERS",
    "SEEN_AT_ONCE",
    "Accept",
    "Answer",
    "Bad",
    "BadReply",
    "Batch",
    "BatchRules",
    "BatchState",
    "BatchflowError",
    "Binding",
    "Blob",
    "BlobStore",
    "BlobWriter",
    "BuildError",
    "Builder",
    "ByPage",
    "Cap",
    "Change",
    "Check",
    "Clock",
    "Completing",
    "Count",
    "Covering",
    "Cursor",
    "Decision",
    "Delivery",
    "DeliveryState",
    "Doc",
    "Dollars",
    "Due",
    "Entity",
    "Entry",
    "Event",
    "Fact",
    "Failure",
    "Folder",
    "GiveUp",
    "Given",
    "Holding",
    "Idle",
    "Intent",
    "JobView",
    "Lease",
    "Limits",
    "ListPage",
    "Locked",
    "Mendable",
    "NoListing",
    "Note",
    "Notification",
    "Notifier",
    "NotifierView",
    "NotifyError",
    "NotifyRefused",
    "ObjectDamaged",
    "Outgoing",
    "Outlet",
    "Outlook",
    "OverCap",
    "Page",
    "Params",
    "Part",
    "PartView",
    "Pause",
    "Placed",
    "PlainPart",
    "PlainSink",
    "PlainSource",
    "Price",
    "Prices",
    "Promise",
    "Provider",
    "ProviderError",
    "Put",
    "Receipt",
    "Record",
    "Refusal",
    "Refused",
    "Register",
    "Releasing",
    "Remote",
    "RemoteBatch",
    "ReplyLost",
    "Result",
    "Retry",
    "RetryPolicy",
    "RetryRules",
    "Rules",
    "Run",
    "SchemaTooNew",
    "Seconds",
    "Secret",
    "Secrets",
    "Setback",
    "Shaping",
    "Sink",
    "SinkContext",
    "SinkError",
    "SinkRefused",
    "SinkView",
    "Size",
    "Skip",
    "Source",
    "SourceError",
    "Stale",
    "StateStore",
    "Step",
    "StoreUnavailable",
    "SubmitRules",
    "Target",
    "Truncated",
    "Unreachable",
    "Unreadable",
    "Usage",
    "Verdict",
    "Weight",
    "Wish",
    "Word",
    "Written",
    "checked_name",
    "hookimpl",
    "is_name",
    "standard",
]

_MOVED: Mapping[str, Moved] = MappingProxyType({})
"""Names that were here in the version before this one. `tests/plugin_api.txt` shows when one is missed."""

if not TYPE_CHECKING:  # a type checker would take any name for one that is here, misspelt ones, too

    def __getattr__(name: str) -> Any:
        """Find a name that moved."""
        return look_up(__name__, name, _MOVED)
