"""`{file: ...}`: prompts, messages and schemas that live in files of their own; or wherever a loader has them.

What `{load: ...}` names comes loaded, as `{loaded: TEXT, from: LOADER}`: config has asked the loader. Files are read when the component is made, relative to the job file's folder, and never again: a run that takes a day
must not change its prompt in the middle. Every complaint is a `ValueError` that names the file.
"""

from pathlib import Path
from typing import Any

import msgspec

from batchflow.builtin.builders.shapes import is_list, is_map

TEXT_ENDINGS = (".md", ".txt")
LONGEST_NAME = 255


def is_file(value: Any) -> bool:
    """Tells whether a value is `{file: PATH}` and nothing else."""
    return is_map(value) and list(value) == ["file"] and isinstance(value["file"], str | Path)


def is_loaded(value: Any) -> bool:
    """Tells whether a value is a text that a loader gave."""
    return is_map(value) and value.keys() == {"loaded", "from"} and isinstance(value["loaded"], str)


def is_elsewhere(value: Any) -> bool:
    """Tells whether a value is a text that is not written in the job file itself."""
    return is_file(value) or is_loaded(value)


def text_of(value: Any, *, where: str, base: Path) -> str:
    """Reads a text: inline, or `{file: PATH}`. A plain string that looks like a path is refused, for it would be sent."""
    if is_file(value):
        return _read(base / value["file"], where)
    if is_loaded(value):
        return value["loaded"]
    if not isinstance(value, str):
        raise ValueError(f"{where} must be a text or {{file: PATH}}, not {_kind(value)}")  # noqa: TRY004 # a setting is wrong, and config reports ValueError
    if _looks_like_a_path(value, base):
        raise ValueError(
            f"{where} is the text {value!r}, which looks like a file's name and would be sent as it is; write {{file: {value}}} to send what the file holds"
        )
    return value


def data_of(value: Any, *, where: str, base: Path) -> Any:
    """Reads a value: inline, or JSON or YAML in a file or from a loader."""
    if is_loaded(value):
        return _parsed(value["loaded"], f"{where}: what {value['from']} gave", is_json=False)
    if not is_file(value):
        return value
    path = base / value["file"]
    return _parsed(_read(path, where), f"{where}: {path}", is_json=path.suffix == ".json")


def _parsed(text: str, what: str, *, is_json: bool) -> Any:
    try:
        return msgspec.json.decode(text) if is_json else _yaml(text)
    except ValueError as error:
        raise ValueError(f"{what} cannot be read as {'JSON' if is_json else 'YAML'}: {error}") from error


def _read(path: Path, where: str) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise ValueError(f"{where}: {path} cannot be read: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise ValueError(
            f"{where}: {path} is not UTF-8 (byte {error.start}: {error.reason}); save it as UTF-8"
        ) from error


def _looks_like_a_path(text: str, base: Path) -> bool:
    name = text.strip()
    if not name or "\n" in name or "\0" in name or len(name) > LONGEST_NAME:
        return False
    return name.lower().endswith(TEXT_ENDINGS) or (base / name).is_file()


def _yaml(text: str) -> Any:
    import yaml  # only jobs with YAML beside them pay for it

    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ValueError(str(error)) from error


def _kind(value: Any) -> str:
    if value is None:
        return "nothing"
    return "a map" if is_map(value) else "a list" if is_list(value) else repr(value)
