"""`{file: ...}`: prompts, messages and schemas that live in files of their own.

Files are read when the component is made, relative to the job file's folder, and never again: a run that takes a day
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


def text_of(value: Any, *, where: str, base: Path) -> str:
    """Reads a text: inline, or `{file: PATH}`. A plain string that looks like a path is refused, for it would be sent."""
    if is_file(value):
        return _read(base / value["file"], where)
    if not isinstance(value, str):
        raise ValueError(f"{where} must be a text or {{file: PATH}}, not {_kind(value)}")  # noqa: TRY004 # a setting is wrong, and config reports ValueError
    if _looks_like_a_path(value, base):
        raise ValueError(
            f"{where} is the text {value!r}, which looks like a file's name and would be sent as it is; write {{file: {value}}} to send what the file holds"
        )
    return value


def data_of(value: Any, *, where: str, base: Path) -> Any:
    """Reads a value: inline, or `{file: PATH}` to a JSON or YAML file."""
    if not is_file(value):
        return value
    path = base / value["file"]
    text = _read(path, where)
    try:
        return msgspec.json.decode(text) if path.suffix == ".json" else _yaml(text)
    except ValueError as error:
        raise ValueError(
            f"{where}: {path} cannot be read as {'JSON' if path.suffix == '.json' else 'YAML'}: {error}"
        ) from error


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
