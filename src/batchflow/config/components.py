"""One component of a job file: find its factory by `type`, read the rest of the map by the factory's signature."""

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from batchflow.config.faults import Fault, Faults
from batchflow.config.identity import files_of, starred
from batchflow.config.job import Component
from batchflow.config.loading import Loading
from batchflow.config.references import Unresolved, Wanted, refers, resolve
from batchflow.config.secrets import Unopened, doubt
from batchflow.config.tree import Tree
from batchflow.extend.facade import Plugins
from batchflow.extend.kinds import Kind
from batchflow.extend.near import near
from batchflow.extend.offers import Offer
from batchflow.extend.signature import Spec
from batchflow.model import problem
from batchflow.model.errors import BatchflowError
from batchflow.model.problem import Problem

T = TypeVar("T")
SOMETHING = "the text of a file that is not there"
"""Stands for it where only the rest of its component is to be looked at."""
HEADERS = "headers"
_CREDENTIALS = re.compile(r"(bearer|basic)\s", re.IGNORECASE)
_SECRET_HEADER = re.compile("auth|cookie|token|secret|key|pass", re.IGNORECASE)
"""Other headers may be secret too, and are starred like them; but most say nothing worth a warning."""
SECRET_PLACES = frozenset({"provider"})


class Options(msgspec.Struct, frozen=True):
    """A map in the job file: where it stands in the job, and what it says."""

    path: problem.Path
    tree: Tree


class Reader:
    """Reads parts of one job. Whatever is wrong goes to `faults`; what cannot be read is then None."""

    def __init__(
        self,
        *,
        job: Tree,
        faults: Faults,
        plugins: Plugins,
        env: Mapping[str, str],
        base: Path,
        stores: Sequence[str] = (),
    ) -> None:
        self.job = job
        self.base = base
        self._faults = faults
        self._plugins = plugins
        self._env = env
        self._stores = stores
        """Names of the secret stores that the file declares."""
        self._secret: set[problem.Path] = set()
        """Places where a secret may stand."""
        self._unknown: list[problem.Path] = []
        """Places of values that refer to what is not there."""

    def section(self, make: Callable[..., T], options: Options, *, beside: Sequence[str] = ()) -> T | None:
        """Read a section that is no component: `make` is its signature. `beside` is read elsewhere, and only known here."""
        spec = Spec.of(make)
        kwargs, problems = spec.parse(self._values(options), self.base, beside=beside)
        self._all_wrong(problems, options.path)
        return None if problems else make(**kwargs)

    def component(
        self, kind: Kind, options: Options, *, default: str = "", beside: Callable[..., Any] | None = None
    ) -> Component | None:
        """Read a component. `beside` is the signature of what stands in the same map and is not the factory's.

        One that has unknown or wrong options is guessed, so that it can be looked at; one that cannot be without them is None.
        """
        offer = self._offer(kind, options, default)
        spec = self._spec(offer, options) if offer else None
        if offer is None or spec is None:
            return None
        secret = spec.secret
        others = ("type", *(Spec.of(beside).parameters if beside else ()))
        own = Options(options.path, options.tree.without(*others))
        self._secret |= {(*own.path, name) for name in secret} if kind is not Kind.SECRET_STORE else set()
        self._conceal(own, secret)
        values, lacking = self._values(own), frozenset[str]()
        if "base" in spec.given:
            values, lacking = self._with_texts(own, values)
        kwargs, problems = spec.parse(values, self.base, beside=others)
        self._all_wrong(problems, options.path)
        is_sound = not problems and not lacking
        if not is_sound:
            kwargs, problems = self._guessed(spec, own, values, lacking, others)
        is_unknown = self._is_unknown(own.path)
        if problems or (is_unknown and kind is not Kind.PROVIDER):  # without its key it still tells its version
            return None
        shown = {"type": offer.name} | starred(options.tree.without("type").plain(), secret)
        return Component(
            offer=offer, kwargs=kwargs, given=spec.given, mendable=spec.mendable, path=own.path, shown=shown,
            guessed=is_unknown or not is_sound,
        )  # fmt: skip

    def _guessed(
        self, spec: Spec, own: Options, values: Mapping[str, Any], lacking: frozenset[str], others: Sequence[str]
    ) -> tuple[dict[str, Any], list[Problem]]:
        """Read what was probably meant, and leave out what is wrong of that too: then the rest can be looked at."""
        known = {
            name: SOMETHING if name in lacking else value
            for name, value in meant(spec, values, beside=others).items()
            if not self._is_unknown((*own.path, name))
        }
        kwargs, problems = spec.parse(known, self.base)
        wrong = {found.path[0] for found in problems if found.path}
        if wrong & known.keys():
            return spec.parse({name: value for name, value in known.items() if name not in wrong}, self.base)
        return kwargs, problems

    def picked(self, make: Callable[..., T], options: Options) -> T | None:
        """Read, from a map that also holds other things, only what this signature names."""
        names = Spec.of(make).parameters
        others = [key for key in options.tree.items if key not in names]
        return self.section(make, Options(options.path, options.tree.without(*others)))

    def map_at(self, path: problem.Path) -> Options | None:
        """Find a map; an absent one is empty, anything else is a fault."""
        node = self._node(path)
        if node is None or node.value is None:
            return Options(path, Tree({}, self.job.locate(path, at_key=True)))
        if isinstance(node.value, dict):
            return Options(path, node)
        return self.wrong(Problem(f"`{path[-1]}` should be a map of `name: value`", path))

    def offer(self, kind: Kind, name: str) -> Offer:
        """Find a component that no file names."""
        return self._plugins.offer(kind, name)

    def wrong(self, found: Problem) -> None:
        """Remember a problem at its place in the job."""
        place = self.job.locate(found.path, at_key=found.at_key)
        self._faults.add(Fault(place, found.message, found.hint, found.warning, plugin=found.plugin))

    def _node(self, path: problem.Path) -> Tree | None:
        node: Tree | None = self.job
        for step in path:
            node = node.child(step) if node else None
        return node

    def _offer(self, kind: Kind, options: Options, default: str) -> Offer | None:
        path, named = (*options.path, "type"), options.tree.child("type")
        name = default if named is None else self._value(named, path)
        if not isinstance(name, str) or not name:
            known = ", ".join(sorted(self._plugins.offers(kind)))
            missing = Problem(f"`type` is required: which {kind}?", options.path, f"known: {known}", at_key=True)
            return self.wrong(missing if named is None else Problem("`type` should be a name", path, f"known: {known}"))
        try:
            return self._plugins.offer(kind, name)
        except BatchflowError as error:
            return self.wrong(Problem(error.message, path, error.hint, plugin=self._plugins.lack_some))

    def _spec(self, offer: Offer, options: Options) -> Spec | None:
        try:
            return Spec.of(offer.load())
        except BatchflowError as error:
            return self.wrong(Problem(error.message, (*options.path, "type"), error.hint, plugin=True))

    def _all_wrong(self, problems: list[Problem], path: problem.Path) -> None:
        for found in problems:
            self.wrong(msgspec.structs.replace(found, path=(*path, *found.path)))

    def _values(self, options: Options) -> dict[str, Any]:
        return {name: self._value(node, (*options.path, name)) for name, node in options.tree.items.items()}

    def _value(self, node: Tree, path: problem.Path) -> Any:
        match node.value:
            case dict():
                return {key: self._value(item, (*path, key)) for key, item in node.items.items()}
            case list():
                return [self._value(item, (*path, position)) for position, item in enumerate(node.rows)]
            case str() as text if refers(text) and path[0] == "request":
                return self._kept_out(node, text)
            case str() as text:
                return self._resolved(node, text, path)
            case scalar:
                return scalar

    def _kept_out(self, node: Tree, text: str) -> str:
        """Requests are stored as they are sent, so nothing that may be a secret gets into one."""
        message = "a request may hold no ${env:...}, ${file:...} or ${secret:...}: it would be stored with what they stand for"
        hint = "write the value itself, use {file: PATH} for a prompt, or $${...} for a literal one"
        self._faults.add_unreadable(Fault(node.at, message, hint), node.at)
        return text

    def _resolved(self, node: Tree, text: str, path: problem.Path) -> str | Unopened:
        resolved = resolve(text, self._env, self.base)
        for unresolved in resolved.unresolved:
            self._faults.add_unreadable(self._unresolved(node, unresolved, path), node.at)
            self._unknown.append(path)
        if resolved.wanted and self._may_want(node, resolved.wanted, path):
            return Unopened(resolved.pieces, node.at)
        return resolved.text

    def _may_want(self, node: Tree, secrets: Sequence[Wanted], path: problem.Path) -> bool:
        """Tell whether these secrets may be looked up for this place; what is wrong with them is told."""
        open_place = not any(path[: len(place)] == place for place in self._secret)
        for wanted in secrets:
            wrong = doubt(wanted, self._stores, self._plugins)
            if open_place:
                name = next((str(step) for step in reversed(path) if isinstance(step, str)), "this")
                hint = "an option that takes one says `secret` in `batchflow describe`"
                wrong = f"`{name}` is no place for a secret: it may be shown and stored", hint
            if wrong:
                place = self._faults.page.find(wanted.reference, node.at)
                broken = not open_place and bool(wanted.name) and self._plugins.lack_some
                self._faults.add_unreadable(Fault(place, *wrong, plugin=broken), node.at)
                self._unknown.append(path)
                return False
        return True

    def _is_unknown(self, path: problem.Path) -> bool:
        return any(place[: len(path)] == path for place in self._unknown)

    def _unresolved(self, node: Tree, found: Unresolved, path: problem.Path) -> Fault:
        place = self._faults.page.find(found.reference, node.at)
        is_credential = found.is_unset and path[0] in SECRET_PLACES
        return Fault(place, found.reason, found.hint, credentials=is_credential)

    def _conceal(self, options: Options, secret: frozenset[str]) -> None:
        for name, node in options.tree.items.items():
            if name in secret:
                self._conceal_leaves(node, header=name == HEADERS)

    def _conceal_leaves(self, node: Tree, *, header: bool = False, plain: bool = False) -> None:
        for name, child in node.items.items():
            self._conceal_leaves(child, plain=header and not _SECRET_HEADER.search(name))
        for child in node.rows:
            self._conceal_leaves(child, plain=plain)
        if isinstance(node.value, str):
            self._conceal_text(node, node.value, plain=plain)

    def _conceal_text(self, node: Tree, text: str, *, plain: bool) -> None:
        resolved = resolve(text, self._env, self.base)
        for reference, value in resolved.values:
            self._faults.page.conceal(value, reference)
        if not refers(text):
            self._faults.page.conceal(text)
            if plain and not _CREDENTIALS.match(text):
                return
            hint = "keep it out of the file: ${env:NAME} or ${file:PATH}"
            self._faults.add(Fault(node.at, "a secret is written into the job file", hint, warning=True))

    def _with_texts(self, own: Options, values: dict[str, Any]) -> tuple[dict[str, Any], frozenset[str]]:
        """Load what loaders give, and name the options whose texts are not to be had, be it from them or from files."""
        loading = Loading(self._plugins, self.base, self.wrong, SOMETHING)
        loaded = loading.options(values, own.path)
        return loaded, self._lacking_files(own) | loading.failed

    def _lacking_files(self, options: Options) -> frozenset[str]:
        """Name the options that name files which are not there, and complain of each."""
        written = [(name, path) for name, node in options.tree.items.items() for path in files_of(node.plain())]
        lacking = [(name, self.base / path) for name, path in written if not (self.base / path).is_file()]
        for name, path in lacking:
            self.wrong(Problem(f"file {path} does not exist", (*options.path, name, "file")))
        return frozenset(name for name, _ in lacking)


def meant(spec: Spec, values: Mapping[str, Any], *, beside: Sequence[str]) -> dict[str, Any]:
    """Guess what was meant: a misspelt option stands for the nearest that is not given.

    Any other unknown one stands for nothing, or for itself where any may be given.
    """
    guess = {name: value for name, value in values.items() if name in spec.parameters}
    for name in values.keys() - guess.keys():
        nearest = near(name, [*spec.parameters, *beside])[:1]
        if nearest and nearest[0] in spec.parameters:
            guess.setdefault(nearest[0], values[name])
        if spec.open_ended:
            guess[name] = values[name]
    return guess
