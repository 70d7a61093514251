"""`folder`: secrets as files, one each, as Docker, Kubernetes and systemd put them into a container or a service."""

from pathlib import Path
from typing import Annotated

from batchflow.model.units import Doc

LARGEST = 1 << 20


class Folder:
    """Reads a secret when it is asked for, so that one that was changed is read as it is now."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def find(self, name: str) -> str:
        """Give what the file of that name holds, without the line end that editors put there."""
        wanted = self._path / name
        if Path(name).is_absolute() or ".." in Path(name).parts:
            raise ValueError(f"`{name}` leads out of {self._path}")
        try:
            if not wanted.is_file():
                raise ValueError(f"there is no file {wanted}")
            with wanted.open("rb") as file:
                data = file.read(LARGEST + 1)
        except OSError as error:
            raise ValueError(f"{wanted} cannot be read: {error.strerror or error}") from error
        if len(data) > LARGEST:
            raise ValueError(f"{wanted} is larger than 1 MiB, which is no secret")
        try:
            return data.decode("utf-8-sig").rstrip("\r\n")
        except UnicodeDecodeError:
            raise ValueError(f"{wanted} is not UTF-8 text") from None  # what it says quotes a byte of the secret


def folder(
    *, path: Annotated[Path, Doc("The folder; each file in it is a secret, under its own name.")] = Path("/run/secrets")
) -> Folder:
    """Secrets in files of one folder."""
    return Folder(path)
