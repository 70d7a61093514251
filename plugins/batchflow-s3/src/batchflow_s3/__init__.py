"""S3 for batchflow: a sink, a source and a blob store on any server that speaks S3.

place  client  trouble     where a bucket is, how it is reached, what goes wrong there
growth  upload  packing    bytes into one object of any size, in constant memory
names  sink  joining       results, one object a part or one a run
flow  objects  source      records, from objects that are read as streams
blobs                      payloads in a bucket instead of a folder

Factories are named by path, so that an app which uses none of them does not load botocore.
"""

from batchflow.plugin import Register, hookimpl


@hookimpl
def register_sinks(register: Register) -> None:
    """Hand over the sink."""
    register("s3", "batchflow_s3.sink:s3")


@hookimpl
def register_sources(register: Register) -> None:
    """Hand over the source."""
    register("s3", "batchflow_s3.source:s3")


@hookimpl
def register_blob_stores(register: Register) -> None:
    """Hand over the blob store."""
    register("s3", "batchflow_s3.blobs:s3")
