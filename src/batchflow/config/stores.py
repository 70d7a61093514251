"""`state:` as a map: the folder, and the stores for state and objects where they are not in it.

Who looks at a state folder has no job file. The folder therefore remembers its stores, as they were written: references to
the environment and to secrets are kept as references, and a secret that is written out is refused.
"""

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from batchflow.config import sections
from batchflow.config.build import placed
from batchflow.config.components import Options, Reader
from batchflow.config.faults import Fault, Faults, Page, refusal
from batchflow.config.identity import described
from batchflow.config.job import Component, Stores
from batchflow.config.reading import read
from batchflow.config.references import refers
from batchflow.config.secrets import Lookups
from batchflow.config.tree import Tree
from batchflow.extend.deadline import told as said_of
from batchflow.extend.facade import Plugins
from batchflow.extend.kinds import Kind
from batchflow.extend.signature import Spec
from batchflow.model.errors import BatchflowError, PluginError
from batchflow.model.problem import Problem

KEY = "state"
KINDS: Mapping[str, Kind] = {"store": Kind.STATE_STORE, "objects": Kind.BLOB_STORE}
FORGETFUL = "memory"


def told(stores: Stores, place: Path) -> dict[str, Any]:
    """Tell what makes them the same stores, however they are reached, and wherever the state folder is moved with them."""
    return {name: described(_seen_from(place, part), stores.base) for name, part in stores.parts.items()}


def _seen_from(place: Path, part: Component) -> Component:
    paths = {name: os.path.relpath(value, place) for name, value in part.kwargs.items() if isinstance(value, Path)}
    return msgspec.structs.replace(part, kwargs=part.kwargs | paths)


def written(stores: Stores, file: Path, place: Path) -> str:
    """Write them down for a state folder."""
    kept = {name: stores.tree.items[name].plain() for name in (KEY, "secrets") if name in stores.tree.items}
    kept[KEY] = {name: value for name, value in kept[KEY].items() if name in KINDS}
    whole = {"file": os.path.relpath(file, place), **kept, "were": told(stores, place)}
    return json.dumps(whole, indent=2) + "\n"


def make(stores: Stores, name: str, plugins: Plugins) -> Any:
    """Make one that is declared; what is wrong with it is told at its line."""
    part, page, refused = stores.parts[name], stores.page, list[Fault]()
    kwargs = Lookups(stores.secrets, plugins).opened(part.kwargs, page, refused.append)
    if not refused:
        given = {"base": stores.base} if "base" in part.given else {}
        try:
            return part.factory(**kwargs, **given)
        except ValueError as error:
            found = placed(part, str(error))
            refused.append(Fault(stores.tree.locate(found.path), found.message))
        except BatchflowError:
            raise
        except Exception as error:
            raise PluginError(
                f"{part.kind} `{part.type}` of plugin {part.offer.by} could not be made: {page.discreet(said_of(error))}",
                hint="this is a fault of that plugin",
            ) from error
    raise refusal(page, refused)


def folder_of(reader: Reader, tree: Tree) -> Path | None:
    """Read where the folder is: `state` itself, or `folder` in it."""
    node = tree.child(KEY)
    if node is None or not isinstance(node.value, dict):
        return reader.picked(sections.file, Options((), tree))
    reader.picked(sections.file, Options((), tree.without(KEY)))
    return reader.section(sections.state, Options((KEY,), node.without(*KINDS)), beside=[*KINDS])


def stores_of(reader: Reader, tree: Tree, secrets: Mapping[str, Component], page: Page) -> Stores:
    """Read which stores are declared."""
    node = tree.child(KEY)
    parts: dict[str, Component] = {}
    for name, kind in KINDS.items():
        options = reader.map_at((KEY, name)) if node is not None and name in node.items else None
        part = reader.component(kind, options) if options else None
        if options and part:
            for problem in _wrong(part, options.tree):
                reader.wrong(problem)
            parts[name] = part
    for name, store in secrets.items() if parts else ():
        for problem in _wrong(store, tree.items["secrets"].items[name]):
            reader.wrong(problem)
    return Stores(parts=parts, secrets=secrets, base=reader.base, tree=tree, page=page)


def file_of(remembers: Path) -> Path:
    """Name the job file that a state folder's stores were declared in."""
    written = json.loads(remembers.read_text(encoding="utf-8"))["file"]
    return Path(os.path.normpath(remembers.absolute().parent / written))


def remembered(file: Path, plugins: Plugins, env: Mapping[str, str] = os.environ) -> Stores:
    """Read what a state folder remembers."""
    faults = Faults(Page(str(file), file.read_text(encoding="utf-8")))
    tree = read(faults.page.text, faults)
    faults.stop()
    tree = tree or Tree({}, sections.ORIGIN)
    base = file_of(file).parent
    declared: Sequence[str] = list(tree.items["secrets"].items) if "secrets" in tree.items else []
    reader = Reader(job=tree, faults=faults, plugins=plugins, env=env, base=base, stores=declared)
    stores = stores_of(reader, tree, dict(secrets_of(reader, declared)), faults.page)
    faults.stop()
    return msgspec.structs.replace(stores, were=tree.items["were"].plain())


def secrets_of(reader: Reader, declared: Sequence[str]) -> Iterator[tuple[str, Component]]:
    """Read the secret stores: each by its own name, which is its type where it says none."""
    for name in declared:
        options = reader.map_at(("secrets", name))
        store = reader.component(Kind.SECRET_STORE, options, default=name) if options else None
        if store is not None:
            yield name, store


def _wrong(part: Component, tree: Tree) -> Iterator[Problem]:
    if part.type == FORGETFUL:
        yield Problem(
            f"`{FORGETFUL}` forgets everything when the command ends, and what was paid for with it",
            (*part.path, "type"),
        )
    for name in Spec.of(part.factory).secret & tree.items.keys():
        if not all(map(refers, _texts(tree.items[name]))):
            yield Problem(
                "a secret may not be written out here: the state folder remembers what is", (*part.path, name),
                "keep it out of the file: ${env:NAME}, ${file:PATH} or ${secret:NAME}",
            )  # fmt: skip


def _texts(tree: Tree) -> Iterator[str]:
    for child in (*tree.items.values(), *tree.rows):
        yield from _texts(child)
    if isinstance(tree.value, str):
        yield tree.value
