"""A blob store: keeps payloads in a folder. It begins as the built-in one; put your own methods in its place."""

from pathlib import Path
from typing import Annotated, Any

from batchflow import Plugins
from batchflow.plugin import BlobStore, Doc


def blobs(*, path: Annotated[Path, Doc("The folder; it is made if missing.")]) -> BlobStore:
    """Keep payloads in a folder."""
    folder: Any = Plugins(entry_points=False).blob_store("folder")
    return folder(path=path)
