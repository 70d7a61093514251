"""What AWS's library knows, read without what nobody here asks for.

For one client it reads megabytes of JSON into ordered dicts and keeps them: the endpoints of 400 services, and every
operation of S3 with its documentation. Here that is as much as we use of S3, and the services that hand out keys.
"""

import gzip
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any, TypeAlias, cast

import msgspec
from botocore.loaders import JSONFileLoader, Loader

Told: TypeAlias = dict[str, Any]
OURS = frozenset(
    {
        "AbortMultipartUpload",
        "CompleteMultipartUpload",
        "CreateMultipartUpload",
        "DeleteObject",
        "GetObject",
        "HeadObject",
        "ListMultipartUploads",
        "ListObjectsV2",
        "PutObject",
        "UploadPart",
        "UploadPartCopy",
        "CreateSession",  # the library's own, for directory buckets
        "HeadBucket",  # the library's own, to find a bucket's region
    }
)
"""The operations that are called."""
SERVICES = frozenset({"s3", "sts", "sso", "oidc", "portal.sso", "signin"})
"""The services whose endpoints are looked up: the bucket's, and those that keys come from."""


class Endpoints(msgspec.Struct):
    """The file `endpoints.json`; what is left raw was never made into objects."""

    partitions: list[dict[str, msgspec.Raw]]
    version: int


class Files(JSONFileLoader):
    """Reads the library's files."""

    def load_file(self, file_path: str) -> Any:
        """Gives what a file says, for its name without `.json`; None where there is none."""
        data = _data(file_path)
        try:
            return None if data is None else _lean(Path(file_path).parts, data)
        except (msgspec.MsgspecError, KeyError, TypeError):
            return super().load_file(file_path)  # pyright: ignore[reportUnknownMemberType] - a later library may write its files in another way


@cache
def loader(data_path: str | None) -> Loader:
    """Makes the loader of a process, which keeps what it has read. `data_path` is the user's own (AWS_DATA_PATH)."""
    paths = [str(Path(one).expanduser()) for one in (data_path or "").split(":") if one]
    return Loader(extra_search_paths=paths, file_loader=Files())


def _lean(parts: tuple[str, ...], data: bytes) -> Any:
    match parts:
        case [*_, "endpoints"]:
            return _endpoints(data)
        case [*_, "s3", _, "service-2"]:
            return _s3(_undocumented(msgspec.json.decode(data)))
        case [*_, "service-2"]:
            return _undocumented(msgspec.json.decode(data))
        case _:
            return msgspec.json.decode(data)


def _data(path: str) -> bytes | None:
    ways: Mapping[str, Callable[[bytes], bytes]] = {".json": bytes, ".json.gz": gzip.decompress}
    for ending, unpack in ways.items():
        file = Path(path + ending)
        if file.is_file():
            return unpack(file.read_bytes())
    return None


def _endpoints(data: bytes) -> Told:
    found = msgspec.json.decode(data, type=Endpoints)
    return {"partitions": [_partition(partition) for partition in found.partitions], "version": found.version}


def _partition(raw: Mapping[str, msgspec.Raw]) -> Told:
    services = msgspec.json.decode(raw["services"], type=dict[str, msgspec.Raw])
    kept = {name: msgspec.json.decode(service) for name, service in services.items() if name in SERVICES}
    return {name: msgspec.json.decode(said) for name, said in raw.items() if name != "services"} | {"services": kept}


def _undocumented(said: Any) -> Any:
    """Empties the documentation. A shape's member may bear that name, too, and is a dict."""
    if isinstance(said, dict):
        told = cast("Told", said)
        return {
            name: "" if name == "documentation" and isinstance(value, str) else _undocumented(value)
            for name, value in told.items()
        }
    return [_undocumented(one) for one in cast("list[Any]", said)] if isinstance(said, list) else said


def _s3(model: Told) -> Told:
    """Keeps our operations, and the shapes that they name."""
    model["operations"] = {name: one for name, one in model["operations"].items() if name in OURS}
    shapes: Told = {}
    wanted = set(_named(model["operations"]))
    while wanted:
        name = wanted.pop()
        shapes[name] = model["shapes"][name]
        wanted |= set(_named(shapes[name])) - shapes.keys()
    model["shapes"] = {name: shape for name, shape in model["shapes"].items() if name in shapes}
    return model


def _named(said: Any) -> Iterator[str]:
    """Finds the shapes that something speaks of."""
    if isinstance(said, dict):
        for name, value in cast("Told", said).items():
            if name == "shape" and isinstance(value, str):
                yield value
            else:
                yield from _named(value)
    elif isinstance(said, list):
        for one in cast("list[Any]", said):
            yield from _named(one)
