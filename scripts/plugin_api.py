"""Write down what plugins may rely on, in `tests/plugin_api.txt`: `plugin_api.py`.

It is read from the source, so that it looks the same under every Python: each public name of `batchflow.plugin` and
`batchflow.lines`, with its fields and methods; the hooks; and the fixtures of the contract kits. A test compares it.
"""

import ast
import inspect
import sys
from collections.abc import Iterator
from difflib import SequenceMatcher
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

from batchflow import lines, plugin, testing
from batchflow.extend import hooks

SNAPSHOT = Path(__file__).parent.parent / "tests" / "plugin_api.txt"


def surface() -> str:
    """Write everything down."""
    blocks = [f"API = {plugin.API}"]
    for module in (plugin, lines):
        blocks += [f"# {module.__name__}", *(_public(module, name) for name in sorted(module.__all__) if name != "API")]
    blocks += ["# hooks", *(_function(node) for node in _nodes(hooks) if _is_hook(node))]
    blocks += ["# batchflow.testing", *(_kit(name) for name in sorted(testing.__all__))]
    return "\n\n".join(blocks) + "\n"


def _public(module: ModuleType, name: str) -> str:
    """Write down one name, and the classes that it stands on which have no public name themselves."""
    found: Any = getattr(module, name)
    bases = inspect.getmro(found) if inspect.isclass(found) else ()
    more = [base for base in bases if base.__module__.startswith("batchflow.") and base.__name__ not in module.__all__]
    return "\n".join(
        [
            _declared(*_home(module, name)),
            *(_declared(*_home(import_module(one.__module__), one.__name__)) for one in more),
        ]
    )


def _home(module: ModuleType, name: str) -> tuple[ModuleType, str]:
    """Follow imports to the module that declares a name."""
    for node in _nodes(module):
        if isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                if (alias.asname or alias.name) == name:
                    return _home(import_module(node.module), alias.name)
    return module, name


def _declared(module: ModuleType, name: str) -> str:
    node = next((node for node in _nodes(module) if name in _names(node)), None)
    match node:
        case ast.ClassDef():
            return _class(node)
        case ast.FunctionDef() | ast.AsyncFunctionDef():
            return _function(node)
        case ast.stmt():
            return ast.unparse(node)
        case _:
            return f"{name}: of {module.__name__}"


def _class(node: ast.ClassDef) -> str:
    bases = ", ".join([*map(ast.unparse, node.bases), *map(ast.unparse, node.keywords)])
    return "\n".join([f"class {node.name}({bases}):", *(f"    {line}" for line in _members(node))])


def _members(node: ast.ClassDef) -> Iterator[str]:
    for inner in node.body:
        if isinstance(inner, ast.FunctionDef | ast.AsyncFunctionDef) and (
            _open(inner.name) or inner.name == "__init__"
        ):
            yield _function(inner)
        elif isinstance(inner, ast.AnnAssign | ast.Assign) and any(map(_open, _names(inner))):
            yield ast.unparse(inner)


def _function(node: ast.stmt) -> str:
    assert isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    word = "async def" if isinstance(node, ast.AsyncFunctionDef) else "def"
    marks = "".join(f"@{ast.unparse(mark)} " for mark in node.decorator_list)
    gives = f" -> {ast.unparse(node.returns)}" if node.returns else ""
    return f"{marks}{word} {node.name}({ast.unparse(node.args)}){gives}"


def _kit(name: str) -> str:
    """Write down what a subclass of a contract kit gives, or the public face of what is no kit."""
    kit: Any = getattr(testing, name)
    if not name.endswith("Contract"):
        return _class(_class_node(kit))
    parts = [base for base in inspect.getmro(kit) if base.__module__.startswith("batchflow.")]
    given = [line for part in parts for line in _members(_class_node(part)) if not _is_test(line)]
    return "\n".join([f"class {name}:", *(f"    {line}" for line in dict.fromkeys(given))])


def _class_node(made: Any) -> ast.ClassDef:
    node = next(node for node in _nodes(import_module(made.__module__)) if made.__name__ in _names(node))
    assert isinstance(node, ast.ClassDef)
    return node


def _is_test(line: str) -> bool:
    return "def test_" in line or line.startswith("pytestmark")


def _is_hook(node: ast.stmt) -> bool:
    return isinstance(node, ast.FunctionDef) and any("hookspec" in ast.unparse(mark) for mark in node.decorator_list)


def _nodes(module: ModuleType) -> list[ast.stmt]:
    return ast.parse(inspect.getsource(module)).body


def _names(node: ast.stmt) -> list[str]:
    match node:
        case ast.ClassDef(name=name) | ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
            return [name]
        case ast.AnnAssign(target=ast.Name(id=name)):
            return [name]
        case ast.Assign(targets=targets):
            return [target.id for target in targets if isinstance(target, ast.Name)]
        case _:
            return []


def _open(name: str) -> bool:
    return not name.startswith("_")


def advice(was: str, now: str) -> str:
    """Say what a change of the surface asks for; nothing where there is none."""
    before, after = was.splitlines(), now.splitlines()
    steps = SequenceMatcher(None, before, after, autojunk=False).get_opcodes()
    lost = [
        _placed(before, place)
        for _, first, last, start, end in steps
        for place in range(first, last)
        if before[place] and before[place] not in after[start:end]
    ]
    if before == after:
        return ""
    write = "then write it down: uv run python scripts/plugin_api.py"
    if not lost:
        return f"plugins may rely on more than was written down. If that is meant, {write}"
    if before[0] != after[0]:
        return f"a new version of the plugin API. Say in CHANGELOG.md and docs/plugins/api.md what plugins must change; {write}"
    return "\n".join(
        [
            "plugins rely on what is gone or different:",
            *(f"  {line}" for line in lost),
            "An addition that no plugin can notice (an optional parameter at the end, a field with a default) may be written down as",
            "it is. Anything else: keep the old name working through `_MOVED` in batchflow/plugin.py, raise API in",
            f"batchflow/extend/versions.py and name in FIRST_IN the version that brings it; {write}",
        ]
    )


def _placed(text: list[str], place: int) -> str:
    """Give a line with the class that it stands in."""
    line = text[place]
    if not line.startswith(" "):
        return line
    head = next(one for one in reversed(text[:place]) if not one.startswith(" "))
    return f"{head.partition('(')[0].rstrip(':')}: {line.strip()}"


def main() -> int:
    """Write the surface down."""
    SNAPSHOT.write_text(surface(), encoding="utf-8")
    print(f"wrote {SNAPSHOT}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
