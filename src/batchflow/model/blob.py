"""The name of an immutable object."""

import msgspec


class Blob(msgspec.Struct, frozen=True):
    """One object in a blob store. `checksum` covers the stored (compressed) bytes."""

    name: str
    size: int
    checksum: str
