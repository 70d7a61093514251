"""A plugin for batchflow: a blob store: payloads in a folder that you decide once for everybody, `your_part`, named by path so that only who uses it imports it."""

from batchflow.plugin import Register, hookimpl

batchflow_api = 1  # the version of `batchflow.plugin` that this was written for


@hookimpl
def register_blob_stores(register: Register) -> None:
    """Hand over a blob store: payloads in a folder that you decide once for everybody."""
    register("your_part", "your_plugin.blobs:blobs")
