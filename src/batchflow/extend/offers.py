"""What a plugin handed over: a name and a factory, which is imported no sooner than somebody wants it."""

from collections.abc import Callable
from importlib import import_module
from typing import Any, TypeAlias

import msgspec

from batchflow.extend.deadline import patience, told, within
from batchflow.extend.kinds import Kind
from batchflow.model.errors import PluginError

Factory: TypeAlias = Callable[..., Any]
BUILTIN = "batchflow.builtin"
"""The plugin of the parts that come in the box."""


class Origin(msgspec.Struct, frozen=True):
    """Which plugin something came from, and which installed distribution or which file brought it."""

    plugin: str
    distribution: str = ""
    version: str = ""
    file: str = ""

    def __str__(self) -> str:
        whence = self.file or f"{self.distribution} {self.version}".strip()
        return f"{self.plugin} ({whence})" if whence else self.plugin


class Offer(msgspec.Struct, frozen=True, kw_only=True):
    """A component that could be had."""

    kind: Kind
    name: str
    by: Origin
    target: Factory | str
    instead_of: tuple[Origin, ...] = ()
    """Whose components of the same name it replaced, the first one first."""

    def load(self) -> Factory:
        """Give the factory, importing it when it was named by path."""
        return self._imported(self.target) if isinstance(self.target, str) else self.target

    def _imported(self, path: str) -> Factory:
        module, _, attribute = path.partition(":")
        try:
            found = self._named(lambda: getattr(import_module(module), attribute))
        except Exception as error:
            raise self._failure(told(error)) from error
        if not callable(found):
            raise self._failure(f"{path} cannot be called")
        return found

    def _named(self, find: Callable[[], Any]) -> Any:
        return find() if self.by.plugin == BUILTIN else within(patience(), find)

    def _failure(self, reason: str) -> PluginError:
        return PluginError(
            f"{self.kind} `{self.name}` of plugin {self.by} cannot be loaded from {self.target}: {reason}",
            hint="mend or remove that plugin, or use another component; nothing was sent",
        )


class Notice(msgspec.Struct, frozen=True):
    """Something about the installed plugins that a person should hear once."""

    text: str


class Taken(msgspec.Struct, frozen=True, kw_only=True):
    """A plugin that was taken in: what it brings, and which hooks it has besides."""

    by: Origin
    offers: tuple[Offer, ...]
    hooks: tuple[str, ...]


class Denied(msgspec.Struct, frozen=True):
    """A plugin that may not be loaded, and was not."""

    by: Origin
    reason: str

    def __str__(self) -> str:
        return f"plugin {self.by} was not loaded: {self.reason}"


class Broken(msgspec.Struct, frozen=True):
    """A plugin that could not be taken in, and why."""

    by: Origin
    reason: str

    def __str__(self) -> str:
        return f"plugin {self.by} was left out: {self.reason}"
