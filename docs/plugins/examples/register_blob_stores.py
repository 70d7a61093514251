"""A built-in store under a name of your own, with options that you decide once for everybody."""

from pathlib import Path

from batchflow import Plugins
from batchflow.plugin import BlobStore, Register, hookimpl


def team_objects() -> BlobStore:
    """Keep payloads on the large disk."""
    return Plugins(entry_points=False).blob_store("folder")(path=Path("/mnt/large/batchflow"))


class House:
    @hookimpl
    def register_blob_stores(self, register: Register) -> None:
        register("team", team_objects)


store = Plugins([House()]).blob_store("team")()  # nothing is made yet: `Batchflow(blobs=store)` does that
assert callable(store.create)
