"""A secret store: looks names up in a file of JSON. Put your own vault where `_all` is."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, cast

from batchflow.plugin import Doc


class Vault:
    """Looks one name up at a time, when a job is driven. What it says may name a secret, and never quotes one."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def find(self, name: str) -> str | None:
        """Give a secret; None where there is none of that name."""
        found = self._all().get(name)
        if found is None or isinstance(found, str):
            return found
        raise ValueError(f"`{name}` in {self._path} is no text")

    def _all(self) -> Mapping[str, Any]:
        try:
            return cast("dict[str, Any]", json.loads(self._path.read_text(encoding="utf-8")))
        except (OSError, ValueError) as error:
            raise ValueError(f"{self._path} cannot be read: {type(error).__name__}") from None


def vault(*, path: Annotated[Path, Doc("The file: names and secrets, as JSON.")]) -> Vault:
    """Look secrets up in a file of JSON."""
    return Vault(path)
