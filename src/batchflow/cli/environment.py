"""The environment as it is shown to job files."""

import os
from collections.abc import Iterator, Mapping


class Keyless(Mapping[str, str]):
    """The environment, where a variable that is not set reads as `unset-NAME`: whoever only looks needs no credentials."""

    def __getitem__(self, name: str) -> str:
        return os.environ.get(name, f"unset-{name}")

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str)

    def __iter__(self) -> Iterator[str]:
        return iter(os.environ)

    def __len__(self) -> int:
        return len(os.environ)
