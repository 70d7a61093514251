"""What is refused in a plugin before any of its hooks is called.

pluggy would let each of these pass and do nothing, or the wrong thing, much later: a misspelt hook is never called, a
hook without its marker is a plain function, and a coroutine hook answers with a coroutine that nobody awaits.
"""

import inspect
from collections.abc import Iterator
from typing import Any

import pluggy

from batchflow.extend.hooks import PROJECT
from batchflow.extend.near import did_you_mean


def refusals(manager: pluggy.PluginManager, plugin: object) -> list[str]:
    """List what is wrong with the hooks of a registered plugin."""
    return [*_unmarked(manager, plugin), *_misspelt(manager, plugin), *_unsuitable(manager, plugin)]


def misdeclared(manager: pluggy.PluginManager, plugin: object) -> list[str]:
    """List hooks that ask for what nobody gives; pluggy refuses them, too, in words of its own."""
    return [fault for name in _known(manager) for fault in _strange(manager, name, getattr(plugin, name, None))]


def _strange(manager: pluggy.PluginManager, hook: str, function: Any) -> Iterator[str]:
    caller: pluggy.HookCaller = getattr(manager.hook, hook)
    if not inspect.isroutine(function) or not hasattr(function, f"{PROJECT}_impl") or caller.spec is None:
        return
    for name in inspect.signature(function).parameters:
        if name not in caller.spec.argnames:
            yield f"`{hook}` takes `{name}`, which the hook does not give: {did_you_mean(name, caller.spec.argnames)}"


def _unmarked(manager: pluggy.PluginManager, plugin: object) -> Iterator[str]:
    for hook in _known(manager):
        function = getattr(plugin, hook, None)
        marks = (f"{PROJECT}_impl", f"{PROJECT}_spec")
        if inspect.isroutine(function) and not any(hasattr(function, mark) for mark in marks):
            yield f"`{hook}` lacks its `@hookimpl`, so it would never be called"


def _misspelt(manager: pluggy.PluginManager, plugin: object) -> Iterator[str]:
    known = _known(manager)
    for caller in manager.get_hookcallers(plugin) or ():
        if not caller.has_spec():
            yield f"there is no hook `{caller.name}`: {did_you_mean(caller.name, known)}"


def _unsuitable(manager: pluggy.PluginManager, plugin: object) -> Iterator[str]:
    for caller in manager.get_hookcallers(plugin) or ():
        for impl in caller.get_hookimpls():
            if impl.plugin is not plugin:
                continue
            if inspect.iscoroutinefunction(impl.function) or inspect.isasyncgenfunction(impl.function):
                yield f"`{caller.name}` is an async function: hooks are called without await, so make it a plain `def`"
            elif impl.wrapper or impl.hookwrapper:
                yield f"`{caller.name}` is a wrapper: every plugin is called by itself here, so there is nothing to wrap"


def _known(manager: pluggy.PluginManager) -> list[str]:
    return [name for name, caller in vars(manager.hook).items() if caller.has_spec()]
