"""docs/guarantees.md is true to its word: each promise names tests, and each test that it names is there."""

import ast
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/guarantees.md").read_text(encoding="utf-8")
NAMED = re.compile(r"`(?P<file>tests/[\w/]+\.py)::(?P<test>\w+)(?:\[(?P<case>[^`]+)\])?`")
PROMISE = re.compile(r"^### (?P<says>.+)\n(?P<text>(?:(?!^##).*\n)+)", re.MULTILINE)
TABLE = re.compile(r"^## (?:The lying|Local).*\n(?P<text>(?:(?!^##).*\n)+)", re.MULTILINE)


@cache
def contents(file):
    """Gives the tests of a file, and every string in it: among these are the cases of its tests."""
    found = list(ast.walk(ast.parse((ROOT / file).read_text(encoding="utf-8"))))
    tests = {node.name for node in found if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}
    return tests, {node.value for node in found if isinstance(node, ast.Constant) and isinstance(node.value, str)}


def missing(file, test, case):
    """Says what of a reference is not there."""
    if not (ROOT / file).exists():
        return "no such file"
    tests, strings = contents(file)
    if not test.startswith("test_") or test not in tests:
        return "no such test"
    return "no such case" if case and case not in strings else ""


def test_every_test_that_the_page_names_is_there():
    named = [found.group("file", "test", "case") for found in NAMED.finditer(PAGE)]
    assert len(named) > 50
    assert {reference: why for reference in named if (why := missing(*reference))} == {}
    assert PAGE.count("::test_") == len(named)  # no reference is written in a way that is passed over


@pytest.mark.parametrize("promise", list(PROMISE.finditer(PAGE)), ids=lambda promise: promise["says"])
def test_every_promise_says_what_it_rests_on_what_it_is_not_and_what_proves_it(promise):
    for part in ("Rests on: ", "Not promised: "):
        assert f"\n{part}" in promise["text"]
    assert NAMED.search(promise["text"])


def test_every_line_of_the_tables_names_its_test():
    tables = [found["text"] for found in TABLE.finditer(PAGE)]
    lines = [line for table in tables for line in table.splitlines() if line.startswith("|")]
    assert len(tables) == 2
    assert [line for line in lines if not NAMED.search(line) and "---" not in line and "| test |" not in line] == []


def test_the_page_has_promises():
    assert len(PROMISE.findall(PAGE)) >= 10


@pytest.mark.parametrize(
    ("reference", "why"),
    [
        (("tests/none.py", "test_a", None), "no such file"),
        (("tests/guarantees/test_page.py", "test_that_nobody_wrote", None), "no such test"),
        (("tests/guarantees/test_page.py", "contents", None), "no such test"),
        (("tests/engine/test_results.py", "test_flat_errors_are_errors_too", "results::nothing"), "no such case"),
    ],
)
def test_what_is_not_there_would_be_found(reference, why):
    assert missing(*reference) == why
