"""The environment as it is shown to job files."""

import os
from collections.abc import Iterator, Mapping
from typing import Any


class Keyless(Mapping[str, str]):
    """The environment, where a variable that is not set reads as `unset-NAME`: whoever only looks needs no credentials."""

    def __getitem__(self, name: str) -> str:
        return os.environ.get(name, f"unset-{name}")

    def get(self, key: str, default: Any = None) -> Any:
        """Leave a job file's own default alone: only what has none is made up."""
        return os.environ.get(key, default)

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str)

    def __iter__(self) -> Iterator[str]:
        return iter(os.environ)

    def __len__(self) -> int:
        return len(os.environ)
