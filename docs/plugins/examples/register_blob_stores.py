"""A built-in store under a name of your own, with options that you decide once for everybody."""

from pathlib import Path

from batchflow import Plugins
from batchflow.builtin.stores.folder import FolderBlobs, folder
from batchflow.plugin import Register, hookimpl


def team_objects() -> FolderBlobs:
    """Keep payloads on the large disk."""
    return folder(path=Path("/mnt/large/batchflow"))


class House:
    @hookimpl
    def register_blob_stores(self, register: Register) -> None:
        register("team", team_objects)


store = Plugins([House()]).blob_store("team")()  # nothing is made yet: `Batchflow(blobs=store)` does that
assert isinstance(store, FolderBlobs)
