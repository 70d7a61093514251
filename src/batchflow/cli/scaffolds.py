"""The kinds of plugin that can be written anew, which the verb and what writes them both go by; it imports nothing heavy."""

from typing import Literal, TypeAlias

Wanted: TypeAlias = Literal[
    "sink",
    "source",
    "builder",
    "filter",
    "global",
    "loader",
    "check",
    "retry",
    "provider",
    "prices",
    "notifier",
    "secret_store",
    "state_store",
    "blob_store",
    "command",
    "hook",
]
"""Each is a folder of `batchflow.scaffold`."""
