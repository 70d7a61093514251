"""Imports go only downward. Each room's own docstring says what it is for; a stray import is answered with it."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import batchflow

ROOT = Path(batchflow.__file__).parent

BELOW_ENGINE = {"stages", "extend", "ports", "machine", "model"}
ROOMS: dict[str, set[str]] = {
    "model": set(),
    "machine": {"model"},
    "ports": {"model"},
    "extend": {"model", "ports"},
    "plugin": {"model", "ports", "extend", "builtin"},
    "lines": {"builtin", "machine"},
    "builtin": {"model", "ports", "extend", "machine"},
    "sim": set(),
    "stages": {"machine", "ports", "model"},
    "engine": BELOW_ENGINE,
    "config": BELOW_ENGINE | {"engine"},
    "job": BELOW_ENGINE | {"engine", "config"},
    "app": BELOW_ENGINE | {"engine", "config", "job"},
    "testing": {"model", "ports", "machine", "extend", "builtin", "stages", "engine", "plugin"},
    "reports": BELOW_ENGINE | {"engine", "config", "job", "app"},
    "cli": BELOW_ENGINE | {"engine", "config", "job", "app", "reports", "sim", "plugin"},
    "scaffold": {"plugin", "testing", "Plugins", "sim"},
    "__main__": {"cli"},
}
"""What each room may import, besides itself. The package's own `__init__` re-exports and may import anything."""

FOREIGN: dict[str, set[str]] = {
    "pluggy": {"extend"},
    "yaml": {"config", "builtin", "sim"},
    "pydantic": {"extend", "config"},
    "anthropic": {"builtin"},
    "aiosqlite": {"builtin"},
    "sqlite3": {"builtin", "scaffold"},
    "jinja2": {"builtin"},
    "jsonschema_rs": {"builtin"},
    "cyclopts": {"cli", "scaffold"},
    "rich": {"cli"},
    "structlog": {"cli"},
    "starlette": {"sim"},
    "uvicorn": {"sim", "cli"},
    "pytest": {"testing", "scaffold"},
}
"""Which rooms may know a library."""


def modules(root: Path) -> list[Path]:
    return [path for path in sorted(root.rglob("*.py")) if path != root / "__init__.py"]


def room_of(path: Path, root: Path) -> str:
    return path.relative_to(root).with_suffix("").parts[0]


def imported(path: Path) -> Iterator[tuple[int, str]]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        match node:
            case ast.Import(names=names):
                yield from ((node.lineno, alias.name) for alias in names)
            case ast.ImportFrom(module=str() as module, level=0, names=names):
                inner = [f"{module}.{alias.name}" for alias in names] if module == "batchflow" else [module]
                yield from ((node.lineno, name) for name in inner)
            case ast.ImportFrom(level=level) if level:
                yield node.lineno, "batchflow.(a relative import: write it in full)"
            case _:
                pass


def sentence(room: str, root: Path) -> str:
    at = root / room / "__init__.py" if (root / room).is_dir() else root / f"{room}.py"
    return ast.get_docstring(ast.parse(at.read_text(encoding="utf-8"))) or f"{room} has no docstring"


def strays(path: Path, root: Path) -> list[str]:
    room = room_of(path, root)
    found: list[str] = []
    for line, name in imported(path):
        top, _, rest = name.partition(".")
        target = rest.partition(".")[0]
        if top == "batchflow" and target not in ROOMS[room] | {room}:
            found.append(f"{path.relative_to(root)}:{line}: `{room}` imports `{name}`")
        elif room not in FOREIGN.get(top, {room}):
            found.append(
                f"{path.relative_to(root)}:{line}: `{room}` imports `{top}`, which only {sorted(FOREIGN[top])} may know"
            )
    return [f"{one}\n\n{room} says of itself:\n{sentence(room, root)}" for one in found]


@pytest.mark.parametrize("path", modules(ROOT), ids=lambda path: str(path.relative_to(ROOT)))
def test_a_module_imports_only_downward(path):
    assert not strays(path, ROOT), "\n\n".join(strays(path, ROOT))


@pytest.mark.parametrize("room", sorted(ROOMS))
def test_every_room_says_what_it_is_for(room):
    assert sentence(room, ROOT) != f"{room} has no docstring"


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("from batchflow.engine.driver import Driver", "`model` imports `batchflow.engine.driver`"),
        ("from batchflow import app", "`model` imports `batchflow.app`"),
        ("import batchflow.stages", "`model` imports `batchflow.stages`"),
        ("from ..ports import sink", "a relative import"),
        ("import pluggy", "`model` imports `pluggy`, which only ['extend'] may know"),
        ("def f():\n    from batchflow.ports.sink import Sink", "`model` imports `batchflow.ports.sink`"),
    ],
)
def test_a_stray_import_is_answered_with_the_rooms_own_sentence(tmp_path, line, complaint):
    room = tmp_path / "model"
    room.mkdir()
    (room / "__init__.py").write_text('"""Facts that decide nothing."""')
    (room / "bad.py").write_text(line)
    [found] = strays(room / "bad.py", tmp_path)
    assert complaint in found
    assert found.endswith("model says of itself:\nFacts that decide nothing.")
