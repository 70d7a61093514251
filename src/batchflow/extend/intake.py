"""Taking plugins in: built-in parts first, then what is installed, then what was handed in; all through one door."""

import reprlib
from collections.abc import Callable, Sequence
from functools import partial
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from inspect import iscoroutine
from pathlib import Path
from typing import Any

import msgspec
import pluggy

from batchflow.extend import hooks
from batchflow.extend.admission import Admission, refusal
from batchflow.extend.deadline import patience, told, within
from batchflow.extend.files import Files, failing_line
from batchflow.extend.inspection import misdeclared, refusals
from batchflow.extend.kinds import HOOKS, Kind
from batchflow.extend.offers import BUILTIN, Broken, Denied, Factory, Notice, Offer, Origin, Taken
from batchflow.extend.versions import Spoken
from batchflow.model.errors import PluginError


class Intake:
    """The plugins of one app instance: who they are, what they offered, and what was wrong with them."""

    def __init__(self, admissions: Sequence[Admission] = (), *, spoken: Spoken | None = None) -> None:
        self._manager = pluggy.PluginManager(hooks.PROJECT)
        self._manager.add_hookspecs(hooks)
        self._origins: dict[str, Origin] = {}
        self.offers: dict[Kind, dict[str, Offer]] = {kind: {} for kind in Kind}
        self._admissions = admissions
        self._spoken = spoken or Spoken()
        self._files = Files()
        self.taken: list[Taken] = []
        self.notices: list[Notice] = []
        self.broken: list[Broken] = []
        self.denied: list[Denied] = []

    def builtin(self) -> None:
        """Take in the parts that come in the box."""
        self.take(import_module(BUILTIN), Origin(BUILTIN))

    def installed(self) -> None:
        """Take in what installed distributions bring. One that fails is noted, and the others go on."""
        for point in sorted(entry_points(group=hooks.PROJECT), key=lambda point: point.name):
            self._attempt(_origin_of(point), partial(_loaded, point), told)

    def file(self, file: Path, shown: str) -> None:
        """Take in a plugin that is a file. One that fails is noted, and the others go on."""
        origin = Origin(file.stem, file=shown)
        self._attempt(origin, partial(self._files.load, file), partial(failing_line, file))

    def take(self, plugin: object, origin: Origin) -> None:
        """Take in one plugin whole, or raise `PluginError` and have none of it."""
        if self._manager.is_registered(plugin):
            return
        judged = self._spoken.judge(plugin)
        if judged.refusal:
            raise PluginError(f"plugin {origin} is refused: {judged.refusal}", hint="nothing of it was loaded")
        name = self._free_name(origin.plugin)
        self._origins[name] = origin
        try:
            self._register(plugin, name)
            offers = self._asked(name)
        except PluginError:
            if self._manager.is_registered(plugin):
                self._manager.unregister(plugin)
            raise
        if judged.notice:
            self.notices.append(Notice(f"plugin {origin}: {judged.notice}"))
        for offer in offers:
            self._adopt(offer)
        callers = self._manager.get_hookcallers(plugin) or ()
        others = tuple(caller.name for caller in callers if caller.name not in HOOKS.values())
        self.taken.append(Taken(by=origin, offers=tuple(offers), hooks=others))

    def impls(self, hook: str) -> list[pluggy.HookImpl]:
        """List the implementations of a hook, those of earlier plugins first."""
        caller: pluggy.HookCaller = getattr(self._manager.hook, hook)
        return caller.get_hookimpls()

    def origin(self, impl: pluggy.HookImpl) -> Origin:
        """Say whose implementation it is."""
        return self._origins[impl.plugin_name]

    def blame(self, impl: pluggy.HookImpl, error: Exception) -> PluginError:
        """Lay an error at its plugin's door."""
        return PluginError(
            f"plugin {self.origin(impl)} failed in {impl.function.__name__}: {told(error)}",
            hint="mend the plugin or leave it out; nothing was sent by this call",
        )

    def _attempt(self, origin: Origin, load: Callable[[], object], told: Callable[[BaseException], str]) -> None:
        if why := refusal(self._admissions, origin):
            self.denied.append(Denied(origin, why))
            return
        try:
            self.take(within(patience(), load), origin)
        except PluginError as error:
            self.broken.append(
                Broken(origin, error.message.removeprefix(f"plugin {origin} ").removeprefix("is refused: "))
            )
        except Exception as error:  # noqa: BLE001 - a plugin may fail in any way; the others must go on
            self.broken.append(Broken(origin, told(error)))

    def _register(self, plugin: object, name: str) -> None:
        if wrong := misdeclared(self._manager, plugin):
            raise _refused(self._origins[name], "; ".join(wrong))
        try:
            self._manager.register(plugin, name)
        except pluggy.PluginValidationError as error:
            raise _refused(self._origins[name], "; ".join(str(error).splitlines()[1:]) or str(error)) from error
        wrong = refusals(self._manager, plugin)
        if wrong:
            raise _refused(self._origins[name], "; ".join(wrong))

    def _asked(self, name: str) -> list[Offer]:
        offers: list[Offer] = []
        for kind, hook in HOOKS.items():
            for impl in self.impls(hook):
                if impl.plugin_name == name:
                    self._ask(impl, partial(_remember, offers, kind, self._origins[name]))
        return offers

    def _ask(self, impl: pluggy.HookImpl, register: hooks.Register) -> None:
        own = self._origins[impl.plugin_name].plugin == BUILTIN
        ask = partial(call, impl, register=register)
        try:
            _refuse_given(ask() if own else within(patience(), ask))
        except Exception as error:
            raise self.blame(impl, error) from error

    def _adopt(self, offer: Offer) -> None:
        family = self.offers[offer.kind]
        earlier = family.pop(offer.name, None)
        if earlier is not None:
            self.notices.append(Notice(f"{offer.kind} `{offer.name}` of {offer.by} replaces the one of {earlier.by}"))
            offer = msgspec.structs.replace(offer, instead_of=(*earlier.instead_of, earlier.by))
        family[offer.name] = offer

    def _free_name(self, wanted: str) -> str:
        taken = sum(origin.plugin == wanted for origin in self._origins.values())
        return f"{wanted}#{taken + 1}" if taken else wanted


def call(impl: pluggy.HookImpl, **given: Any) -> Any:
    """Call one plugin's hook with those of the arguments that it declares."""
    return impl.function(*(given[name] for name in impl.argnames))


def _remember(offers: list[Offer], kind: Kind, by: Origin, name: str, target: Factory | str, /) -> None:
    if not isinstance(name, str) or not name or name.split() != [name]:  # pyright: ignore[reportUnnecessaryIsInstance] - a plugin's, whatever its type says
        raise TypeError(f"a {kind} is registered under a name, a text without spaces, and this is {name!r}")
    if not (callable(target) or isinstance(target, str)):  # pyright: ignore[reportUnnecessaryIsInstance] - a plugin's, whatever its type says
        raise TypeError(f"a factory is a function, a class or `module:attribute`, and this is {target!r}")
    offers.append(Offer(kind=kind, name=name, by=by, target=target))


def _refused(origin: Origin, reason: str) -> PluginError:
    return PluginError(f"plugin {origin} is refused: {reason}", hint="mend the hook, or leave the plugin out")


def _origin_of(point: EntryPoint) -> Origin:
    return Origin(point.name, point.dist.name if point.dist else "", point.dist.version if point.dist else "")


def _loaded(point: EntryPoint) -> object:
    """Import what an entry point names; of a class, each app makes an object for itself."""
    plugin = point.load()
    return plugin() if isinstance(plugin, type) else plugin


def _refuse_given(given: object) -> None:
    if given is not None:
        raise TypeError(f"it gave {_shown(given)}: a part is handed over by `register(name, factory)`")


def _shown(given: object) -> str:
    if iscoroutine(given):
        given.close()  # nobody will await it, and Python would say so somewhere else
        return "a coroutine, which nobody awaits"
    return reprlib.repr(given)
