"""The kinds of component, and the hook through which each is handed over."""

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType


class Kind(StrEnum):
    """What a component is, in the words people type: `batchflow describe sink csv`."""

    SOURCE = "source"
    BUILDER = "builder"
    FILTER = "filter"
    GLOBAL = "global"
    LOADER = "loader"
    PROVIDER = "provider"
    CHECK = "check"
    RETRY = "retry"
    SINK = "sink"
    STATE_STORE = "state_store"
    BLOB_STORE = "blob_store"
    PRICES = "prices"
    SECRET_STORE = "secret_store"  # noqa: S105 - it is the name of a kind
    NOTIFIER = "notifier"
    COMMAND = "command"


HOOKS: Mapping[Kind, str] = MappingProxyType(
    {
        Kind.SOURCE: "register_sources",
        Kind.BUILDER: "register_builders",
        Kind.FILTER: "register_filters",
        Kind.GLOBAL: "register_globals",
        Kind.LOADER: "register_loaders",
        Kind.PROVIDER: "register_providers",
        Kind.CHECK: "register_checks",
        Kind.RETRY: "register_retries",
        Kind.SINK: "register_sinks",
        Kind.STATE_STORE: "register_state_stores",
        Kind.BLOB_STORE: "register_blob_stores",
        Kind.PRICES: "register_prices",
        Kind.SECRET_STORE: "register_secrets",
        Kind.NOTIFIER: "register_notifiers",
        Kind.COMMAND: "register_commands",
    }
)
