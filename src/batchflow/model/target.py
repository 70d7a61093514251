"""What a sink writes, told so that it can be compared with what others read before anything is opened."""

import os
from pathlib import Path

import msgspec


class Target(msgspec.Struct, frozen=True):
    """A file that a sink writes, or a folder that it puts files into, be it there already or not."""

    place: str
    """Its path, or its address (`s3://lake/triage/`)."""
    like: str = ""
    """Of a folder: a file as it would be put there."""
    shared: bool = False
    """Others may write in it, too: a database, of which this is one table."""
    server: str = ""
    """Of an address: whose it is."""

    @property
    def is_local(self) -> bool:
        """Whether it is a path."""
        return "://" not in self.place

    @property
    def file(self) -> str:
        """A file that is written."""
        return self.like or self.place

    def leads_to(self, path: Path | str) -> bool:
        """Tell whether it is this very file, also by another name: a symbolic or a hard link."""
        return self.is_local and is_same(self.place, path)

    def lies_in(self, folder: Path) -> bool:
        """Tell whether it is a folder, or lies in it, or is another name of a file in it."""
        if not self.is_local:
            return False
        real, inside = os.path.realpath(self.place), os.path.realpath(folder)
        if Path(real).is_relative_to(inside) or is_same(real, inside):
            return True
        linked = Path(real).is_file() and Path(real).stat().st_nlink > 1 and folder.is_dir()
        return linked and any(map(self.leads_to, folder.iterdir()))


def is_same(one: Path | str, other: Path | str) -> bool:
    """Tell whether two paths lead to one file; of what is not there yet, by where the links on the way lead."""
    try:
        return Path(one).samefile(other)
    except OSError:
        return os.path.realpath(one) == os.path.realpath(other)
