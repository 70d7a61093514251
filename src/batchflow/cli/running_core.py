"""Where the batchflow that is running was installed from, said so that a new package's own environment gets the same one."""

import json
from importlib.metadata import distribution
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import url2pathname

import msgspec

CORE = "batchflow-jobs"


class Repository(msgspec.Struct, frozen=True):
    """A commit that was built."""

    commit_id: str


class Noted(msgspec.Struct, frozen=True):
    """What the installer noted down (PEP 610); nothing of what came from an index."""

    url: str = ""
    dir_info: dict[str, Any] | None = None
    archive_info: dict[str, Any] | None = None
    vcs_info: Repository | None = None


def noted_by_installer() -> str | None:
    """Read what was noted down when the running core was installed: None where it came from an index."""
    return distribution(CORE).read_text("direct_url.json")


def uv_sources(noted: str | None) -> str:
    """Write a `[tool.uv.sources]` table; nothing where the core came from an index, as it then does again."""
    entry = _entry(msgspec.json.decode(noted, type=Noted)) if noted else ""
    return f"\n[tool.uv.sources]\n{CORE} = {{ {entry} }} # the batchflow that wrote this\n" if entry else ""


def _entry(noted: Noted) -> str:
    if noted.url.startswith("file:") and noted.vcs_info is None:
        return _at(Path(url2pathname(urlsplit(noted.url).path)), editable=noted.dir_info is not None)
    if noted.vcs_info:
        return f"git = {_quoted(noted.url)}, rev = {_quoted(noted.vcs_info.commit_id)}"
    return f"url = {_quoted(noted.url)}" if noted.archive_info is not None else ""


def _at(path: Path, *, editable: bool) -> str:
    """Name a folder or a wheel, unless it is gone since."""
    if not path.exists():
        return ""
    return f"path = {_quoted(str(path))}" + (", editable = true" if editable else "")


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)
