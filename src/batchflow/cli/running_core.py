"""Where the batchflow that is running was installed from, said so that a new package's own environment gets the same one."""

import json
import tomllib
from importlib.metadata import distribution
from pathlib import Path, PurePosixPath
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


def uv_sources(noted: str | None, package: Path) -> str:
    """Write a package's `[tool.uv.sources]` table; nothing where the core came from an index, as it then does again."""
    entry = _entry(msgspec.json.decode(noted, type=Noted), package) if noted else ""
    return f"\n[tool.uv.sources]\n{CORE} = {{ {entry} }} # the batchflow that wrote this\n" if entry else ""


def _entry(noted: Noted, package: Path) -> str:
    if noted.url.startswith("file:") and noted.vcs_info is None:
        core = Path(url2pathname(urlsplit(noted.url).path))
        return "workspace = true" if _is_member(core, package) else _at(core, editable=noted.dir_info is not None)
    if noted.vcs_info:
        return f"git = {_quoted(noted.url)}, rev = {_quoted(noted.vcs_info.commit_id)}"
    return f"url = {_quoted(noted.url)}" if noted.archive_info is not None else ""


def _is_member(core: Path, package: Path) -> bool:
    """Tell whether a folder lies where the core's own checkout has its workspace: there, uv wants no path."""
    try:
        members = tomllib.loads((core / "pyproject.toml").read_text("utf-8"))["tool"]["uv"]["workspace"]["members"]
        place = PurePosixPath(package.resolve().relative_to(core.resolve()).as_posix())
    except (OSError, KeyError, ValueError):
        return False
    return any(place.match(one) and one.count("/") == len(place.parts) - 1 for one in members)


def _at(path: Path, *, editable: bool) -> str:
    """Name a folder or a wheel, unless it is gone since."""
    if not path.exists():
        return ""
    return f"path = {_quoted(str(path))}" + (", editable = true" if editable else "")


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)
