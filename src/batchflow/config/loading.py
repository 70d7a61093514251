"""`{load: NAME, ...}`: a text that a plugin's loader gives, wherever a component takes `{file: PATH}`.

It is loaded when the job file is read and never again, and what came is part of the options from there on: so it is part of
the job's identity, and a prompt that was changed at its source in the middle of a run is refused like a changed file.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from inspect import iscoroutine
from pathlib import Path
from typing import Any, cast

import msgspec

from batchflow.extend.deadline import patience, told, within
from batchflow.extend.facade import Plugins
from batchflow.extend.kinds import Kind
from batchflow.extend.offers import Offer
from batchflow.extend.signature import Spec
from batchflow.model import problem
from batchflow.model.errors import BatchflowError, PluginError
from batchflow.model.problem import Problem

LOAD = "load"
LOADED = "loaded"
"""What stands for a text that came: `{loaded: TEXT, from: LOADER}`."""


def loads(value: Any) -> bool:
    """Tell whether a value names a loader."""
    return isinstance(value, dict) and isinstance(cast("dict[str, Any]", value).get(LOAD), str)


def loaders_of(options: Any) -> Iterator[str]:
    """Name the loaders that gave texts of these options."""
    match options:
        case {"loaded": str(), "from": str() as loader}:
            yield loader
        case dict():
            for value in cast("dict[str, Any]", options).values():
                yield from loaders_of(value)
        case list():
            for value in cast("list[Any]", options):
                yield from loaders_of(value)
        case _:
            return


class Loading:
    """Loads the texts of one component. Whatever is wrong is told to `wrong`, and something else stands for it."""

    def __init__(self, plugins: Plugins, base: Path, wrong: Callable[[Problem], None], instead: str) -> None:
        self._plugins = plugins
        self._base = base
        self._wrong = wrong
        self._instead = instead
        self.failed: set[str] = set()
        """Options of which something could not be loaded."""

    def options(self, values: Mapping[str, Any], path: problem.Path) -> dict[str, Any]:
        """Load what the options name: one that is a text as a whole, or the texts of one that is a list."""
        return {name: self._option(value, (*path, name), name) for name, value in values.items()}

    def _option(self, value: Any, path: problem.Path, option: str) -> Any:
        if loads(value):
            return self._loaded(cast("dict[str, Any]", value), path, option)
        return self._inside(value, path, option) if isinstance(value, list) else value

    def _inside(self, value: Any, path: problem.Path, option: str) -> Any:
        match value:
            case dict() if loads(cast("object", value)):
                return self._loaded(cast("dict[str, Any]", value), path, option)
            case dict():
                items = cast("dict[str, Any]", value).items()
                return {key: self._inside(item, (*path, key), option) for key, item in items}
            case list():
                rows = enumerate(cast("list[Any]", value))
                return [self._inside(item, (*path, place), option) for place, item in rows]
            case _:
                return value

    def _loaded(self, written: Mapping[str, Any], path: problem.Path, option: str) -> dict[str, str]:
        found = self._text(written, path)
        if isinstance(found, str):
            return {LOADED: found, "from": str(written[LOAD])}
        self.failed.add(option)
        for one in found:
            self._wrong(one)
        return {LOADED: self._instead, "from": str(written[LOAD])}

    def _text(self, written: Mapping[str, Any], path: problem.Path) -> str | Sequence[Problem]:
        try:
            offer = self._plugins.offer(Kind.LOADER, str(written[LOAD]))
            loader = offer.load()
            spec = Spec.of(loader)
        except BatchflowError as error:
            broken = isinstance(error, PluginError) or self._plugins.lack_some
            return [Problem(error.message, (*path, LOAD), error.hint, plugin=broken)]
        options = {name: value for name, value in written.items() if name != LOAD}
        kwargs, problems = spec.parse(options, self._base, beside=(LOAD,))
        if problems:
            return [msgspec.structs.replace(one, path=(*path, *one.path)) for one in problems]
        return self._called(offer, spec, loader, kwargs, path)

    def _called(
        self, offer: Offer, spec: Spec, loader: Callable[..., Any], kwargs: dict[str, Any], path: problem.Path
    ) -> str | Sequence[Problem]:
        """Ask the loader: a `ValueError` is its own sentence about what was asked for, anything else a fault of the plugin."""
        by = f"loader `{offer.name}` of plugin {offer.by}"
        given = {"base": self._base} if "base" in spec.given else {}
        hint = "this is a fault of that plugin; nothing was sent"
        try:
            text = within(patience(), partial(loader, **kwargs, **given))
        except ValueError as error:
            return [Problem(f"{offer.name}: {error}", (*path, LOAD))]
        except Exception as error:  # noqa: BLE001 - it is not our code, and jobs that do not ask for it can run
            return [Problem(f"{by} failed: {told(error)}", (*path, LOAD), hint, plugin=True)]
        if isinstance(text, str):
            return text
        if iscoroutine(text):
            text.close()  # nobody will await it, and Python would say so somewhere else
        return [Problem(f"{by} gave {type(text).__name__}, not a text", (*path, LOAD), hint, plugin=True)]
