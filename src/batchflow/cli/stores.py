"""Which stores a state folder has: those in it, or those that it remembers, whatever a job file says today.

What reads job files is imported only where a folder remembers something: `ps` is typed often.
"""

import os
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import TYPE_CHECKING, Any

from batchflow.cli.place import DATABASE, OBJECTS, STORES
from batchflow.extend.facade import Plugins
from batchflow.model.errors import RunRefused, StoreUnavailable
from batchflow.model.state import Run
from batchflow.ports.blobs import BlobStore
from batchflow.ports.state import StateStore

if TYPE_CHECKING:
    from batchflow.config.job import Stores

WORDS = {"store": "state", "objects": "objects"}


def known(place: Path) -> "Stores | None":
    """Read what a folder remembers; None where everything lies in it."""
    if not (place / STORES).is_file():
        return None
    from batchflow.config.stores import remembered, told

    kept = remembered(place / STORES, _plugins_of(place))
    for name, word in WORDS.items():
        if kept.were.get(name) != (now := told(kept, place)).get(name):
            raise RunRefused(
                f"the runs in {place} have their {word} {_shown(kept.were.get(name))}, and what {STORES} refers to now leads elsewhere: "
                f"{_shown(now.get(name))}",
                hint="set the environment's variables and files back to what they were",
            )
    return kept


def state_at(
    place: Path, stores: "Stores | None" = None, plugins: Plugins | None = None, *, looking: bool = False
) -> StateStore:
    """Make the state store of a folder; who is only `looking` leaves the folder's own file of an older schema as it is."""
    if stores is not None and "store" in stores.parts:
        return _made(place, stores, "store", plugins)
    return (plugins or Plugins(entry_points=False)).state_store("sqlite")(path=place / DATABASE, looking=looking)


def objects_at(place: Path, stores: "Stores | None" = None, plugins: Plugins | None = None) -> BlobStore:
    """Make the blob store of a folder."""
    if stores is not None and "objects" in stores.parts:
        return _made(place, stores, "objects", plugins)
    return (plugins or Plugins(entry_points=False)).blob_store("folder")(path=place / OBJECTS)


def _made(place: Path, stores: "Stores", name: str, plugins: Plugins | None) -> Any:
    from batchflow.config.stores import make
    from batchflow.stages.walled import walled

    return walled(make(stores, name, plugins or _plugins_of(place)))


def _plugins_of(place: Path) -> Plugins:
    """Load the plugins of the job file that the stores were declared in: they may bring them."""
    from batchflow.config.plugging import plugins_for
    from batchflow.config.stores import file_of

    return plugins_for(file_of(place / STORES))


@asynccontextmanager
async def opened_objects(place: Path) -> AsyncGenerator[BlobStore]:
    """Open the objects of a folder, wherever they are."""
    blobs = objects_at(place, known(place))
    try:
        yield blobs
    finally:
        await blobs.close()


async def settled(place: Path, declared: "Stores", file: Path) -> "Stores | None":
    """Choose the stores for jobs of a file: a folder with runs keeps those that it has, and a file that names others is refused."""
    kept = known(place)
    if not declared.parts:
        return kept
    if kept is None and not await _has_runs(place):
        return declared
    from batchflow.config.stores import told

    before = told(kept, place) if kept else {}
    for name, word in WORDS.items():
        if before.get(name) != told(declared, place).get(name):
            raise RunRefused(
                f"the runs in {place} have their {word} {_shown(before.get(name))}, and {file.name} says {_shown(told(declared, place).get(name))}. "
                "Nothing was sent and nothing was changed",
                hint="write back what it was, or give the file a state folder of its own: `state: {folder: .batchflow-2, ...}`",
            )
    return declared


def remember(place: Path, stores: "Stores", file: Path) -> None:
    """Let a folder remember the stores that a file declares, for whoever looks at it without that file."""
    if not stores.parts:
        return
    from batchflow.config.stores import written

    text = written(stores, file, place)
    try:
        if (place / STORES).is_file() and (place / STORES).read_text(encoding="utf-8") == text:
            return
        if not place.exists():
            place.mkdir(mode=0o700, parents=True)
            (place / ".gitignore").write_text("*\n")
        with NamedTemporaryFile("w", dir=place, prefix="stores-", delete=False, encoding="utf-8") as made:
            made.write(text)
            made.flush()
            os.fsync(made.fileno())
        Path(made.name).replace(place / STORES)
    except OSError as error:
        raise StoreUnavailable(
            f"{place / STORES} cannot be written: {error.strerror or error}. Nothing was sent",
            hint="make room, or mend its permissions",
        ) from error


async def _has_runs(place: Path) -> bool:
    if not (place / DATABASE).is_file():
        return False
    store = state_at(place)
    await store.open()
    try:
        return bool(await store.find(Run, {}, limit=1))
    finally:
        await store.close()


def _shown(described: Mapping[str, Any] | None) -> str:
    if described is None:
        return "in the folder itself"
    options = "".join(f", {name}: {value}" for name, value in described["options"].items())
    return f"in {{type: {described['type']}{options}}}"
