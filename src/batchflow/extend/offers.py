"""What a plugin handed over: a name and a factory, which is imported no sooner than somebody wants it."""

from collections.abc import Callable
from importlib import import_module
from typing import Any, TypeAlias

import msgspec

from batchflow.extend.kinds import Kind
from batchflow.model.errors import PluginError

Factory: TypeAlias = Callable[..., Any]


class Origin(msgspec.Struct, frozen=True):
    """Which plugin something came from, and which installed distribution brought it."""

    plugin: str
    distribution: str = ""
    version: str = ""

    def __str__(self) -> str:
        return f"{self.plugin} ({self.distribution} {self.version})" if self.distribution else self.plugin


class Offer(msgspec.Struct, frozen=True, kw_only=True):
    """A component that could be had."""

    kind: Kind
    name: str
    by: Origin
    target: Factory | str

    def load(self) -> Factory:
        """Give the factory, importing it when it was named by path."""
        return self._imported(self.target) if isinstance(self.target, str) else self.target

    def _imported(self, path: str) -> Factory:
        module, _, attribute = path.partition(":")
        try:
            found = getattr(import_module(module), attribute)
        except Exception as error:
            raise self._failure(f"{type(error).__name__}: {error}") from error
        if not callable(found):
            raise self._failure(f"{path} cannot be called")
        return found

    def _failure(self, reason: str) -> PluginError:
        return PluginError(
            f"{self.kind} `{self.name}` of plugin {self.by} cannot be loaded from {self.target}: {reason}",
            hint="mend or remove that plugin, or use another component; nothing was sent",
        )


class Notice(msgspec.Struct, frozen=True):
    """Something about the installed plugins that a person should hear once."""

    text: str


class Broken(msgspec.Struct, frozen=True):
    """A plugin that could not be taken in, and why."""

    by: Origin
    reason: str

    def __str__(self) -> str:
        return f"plugin {self.by} was left out: {self.reason}"
