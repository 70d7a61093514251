"""Names of files for parts: the same every time, never two of one, and good in any place where names are written."""

import re
from collections.abc import Sequence
from hashlib import blake2b

_PLAIN = re.compile(r"[A-Za-z0-9_-]+")
_LONGEST = 200


def spelled(steps: Sequence[str]) -> str:
    """Joins steps by dots if that can be read in one way only; else what can be read of them, and a hash of all."""
    joined = ".".join(steps)
    if len(joined) <= _LONGEST and not joined.startswith("_") and all(map(_PLAIN.fullmatch, steps)):
        return joined
    word = blake2b("/".join(steps).encode("utf-8", "backslashreplace"), digest_size=16).hexdigest()
    readable = re.sub(r"[^A-Za-z0-9]+", "-", joined)[:40].strip("-")
    return f"{readable}.{word}" if readable else word
