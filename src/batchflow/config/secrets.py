"""`${secret:NAME}` and `${secret:STORE:NAME}`: texts that are looked up when a job is driven, and not before.

Until then an `Unopened` stands for the text: it can be neither hashed into an identity nor shown, for it is a `Secret`. Whoever
only looks at a job file never asks a store.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from inspect import iscoroutine
from pathlib import Path
from typing import Any, cast

from batchflow.config.faults import Fault, Page
from batchflow.config.job import Component
from batchflow.config.references import Wanted
from batchflow.config.tree import Place
from batchflow.extend.deadline import Hung, Quit, patience, within
from batchflow.extend.facade import Plugins
from batchflow.extend.kinds import Kind
from batchflow.extend.near import did_you_mean
from batchflow.extend.offers import Offer, Origin
from batchflow.extend.signature import Spec
from batchflow.model.errors import BatchflowError, PluginError
from batchflow.model.units import Secret
from batchflow.ports.secrets import Secrets
from batchflow.stages.wall import is_foreign

USUAL = "folder"
"""Who is asked where a file names no stores."""


class Unopened(Secret):
    """A secret text that nobody has looked up yet. What it reveals only stands for it."""

    __slots__ = ("at", "pieces")

    def __init__(self, pieces: Sequence[str | Wanted], at: Place) -> None:
        super().__init__("".join(one if isinstance(one, str) else f"secret-{one.name}" for one in pieces))
        self.pieces = pieces
        self.at = at


def is_unopened(options: Any) -> bool:
    """Tell whether some of these options are not known yet."""
    match options:
        case Unopened():
            return True
        case dict():
            return any(map(is_unopened, cast("dict[str, Any]", options).values()))
        case list():
            return any(map(is_unopened, cast("list[Any]", options)))
        case _:
            return False


def doubt(wanted: Wanted, declared: Sequence[str], plugins: Plugins) -> tuple[str, str] | None:
    """Say what is wrong with a reference, and a hint, as far as it shows without asking anybody."""
    offers = plugins.offers(Kind.SECRET_STORE)
    if not wanted.name:
        return f"`{wanted.reference}` names no secret", "write ${secret:NAME}, or ${secret:STORE:NAME}"
    if not wanted.store or wanted.store in declared:
        return None
    if wanted.store not in offers:
        known = did_you_mean(wanted.store, {*declared, *offers})
        return f"there is no secret store `{wanted.store}`: {known}", "name it below `secrets:` at the top of the file"
    return None


class Lookups:
    """The secret stores of one job file, each made when it is first asked. What was looked up is asked for once."""

    def __init__(self, declared: Mapping[str, Component], plugins: Plugins) -> None:
        self._declared = declared
        self._plugins = plugins
        self._made: dict[str, Secrets] = {}
        self._known: dict[tuple[str, str], str | None] = {}

    def opened(self, options: Mapping[str, Any], page: Page, refuse: Callable[[Fault], None]) -> dict[str, Any]:
        """Look up whatever is unopened in these options; what cannot be had is told to `refuse`, at its place."""
        return {name: self._value(value, page, refuse) for name, value in options.items()}

    def _value(self, value: Any, page: Page, refuse: Callable[[Fault], None]) -> Any:
        match value:
            case Unopened():
                return Secret("".join(self._texts(value, page, refuse)))
            case dict():
                return self.opened(cast("dict[str, Any]", value), page, refuse)
            case list():
                return [self._value(item, page, refuse) for item in cast("list[Any]", value)]
            case _:
                return value

    def _texts(self, secret: Unopened, page: Page, refuse: Callable[[Fault], None]) -> Iterator[str]:
        for piece in secret.pieces:
            if isinstance(piece, str):
                yield piece
                continue
            place = page.find(piece.reference, secret.at)
            try:
                text = self._looked_up(piece)
            except ValueError as error:
                refuse(Fault(place, str(error), credentials=True))
                continue
            if not text:
                store = piece.store or self._first
                hint = f"put it there, or name another store: ${{secret:STORE:{piece.name}}}"
                refuse(Fault(place, f"secret store `{store}` has no `{piece.name}`", hint, credentials=True))
                continue
            page.conceal(text, piece.reference)
            yield text

    @property
    def _first(self) -> str:
        return next(iter(self._declared), USUAL)

    def _looked_up(self, wanted: Wanted) -> str | None:
        asked = (wanted.store or self._first, wanted.name)
        if asked not in self._known:
            self._known[asked] = self._asked(*asked)
        return self._known[asked]

    def _asked(self, name: str, secret: str) -> str | None:
        try:
            store = self._store(name)
            found: Any = _answer(store, secret)
        except (BatchflowError, ValueError):
            raise
        except (Hung, Quit) as error:
            raise PluginError(
                f"secret store `{name}` of plugin {self._by(name)} failed to look up `{secret}`: {error}",
                hint="mend the store or its options; nothing was sent",
            ) from None
        except Exception as error:  # noqa: BLE001 - it is not our code; what it says may quote what it knows
            raise PluginError(
                f"secret store `{name}` of plugin {self._by(name)} failed to look up `{secret}`: {type(error).__name__}",
                hint="mend the store or its options; nothing was sent",
            ) from None
        if found is None or isinstance(found, str):
            return found
        if iscoroutine(found):
            found.close()  # nobody will await it, and Python would say so somewhere else
        raise PluginError(
            f"secret store `{name}` of plugin {self._by(name)} gave {type(found).__name__} for `{secret}`, not a text",
            hint="this is a fault of that plugin",
        )

    def _by(self, name: str) -> Origin:
        declared = self._declared.get(name)
        return declared.offer.by if declared is not None else self._plugins.offer(Kind.SECRET_STORE, name).by

    def _store(self, name: str) -> Secrets:
        if name not in self._made:
            self._made[name] = self._new(name)
        return self._made[name]

    def _new(self, name: str) -> Secrets:
        declared = self._declared.get(name)
        if declared is not None:
            return declared.factory(**declared.kwargs)
        offer: Offer = self._plugins.offer(Kind.SECRET_STORE, name)
        kwargs, problems = Spec.of(offer.load()).parse({}, Path())
        if problems:
            raise ValueError(f"secret store `{name}` needs options: {problems[0].message}; write them below `secrets:`")
        return offer.load()(**kwargs)


def _answer(store: Secrets, secret: str) -> Any:
    """Ask a store; one of others has a deadline."""
    return within(patience(), partial(store.find, secret)) if is_foreign(store) else store.find(secret)
