"""The tests that every loader of texts must pass: subclass `LoaderContract`, say where texts lie, and run pytest.

    class TestGit(LoaderContract):
        @pytest.fixture
        def library(self, tmp_path):
            return Repository(tmp_path)

The loader is called as a job file calls it: its options are read by its signature, and `base` is the job file's folder.
"""

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, TypeAlias

import pytest

from batchflow.extend.signature import Spec

Options: TypeAlias = Mapping[str, Any]
"""What stands beside `load:` in a job file."""

TEXTS = {
    "a template": "Sort this: {{ text }}\n{% if urgent %}Hurry.{% endif %}\n",
    "no line end": "one line",
    "blank lines and spaces": "\n\n  indented\n\ttab  \n\n",
    "every kind of character": "é 漢字 \U0001f680 \u2028 \ufeff\n",
    "line ends of another system": "one\r\ntwo\r\n",
    "nothing": "",
    "three megabytes": "a prompt of many words\n" * 130_000,
}
"""What prompts look like."""


class Library(Protocol):
    """Where texts lie, to be given by the loader under test."""

    base: Path
    """The job file's folder."""

    def put(self, text: str) -> Options:
        """Keeps a text in place of the one before, and gives the options that name it as it is now."""
        ...

    def loader(self) -> Callable[..., str]:
        """Gives the loader."""
        ...

    def nowhere(self) -> Sequence[Options]:
        """Gives options that name nothing: a text that was never there, a version that does not exist."""
        ...


class LoaderContract:
    """What a job file relies on. Give a `library`; say `pinned = True` where options name one version for ever."""

    pinned = False

    @pytest.fixture
    def library(self) -> Library:
        """Where texts lie."""
        raise NotImplementedError("give a `library` fixture in the subclass")

    def test_every_option_has_a_type_and_help(self, library: Library) -> None:
        spec = Spec.of(library.loader())
        assert [one.name for one in spec.parameters.values() if not one.doc or one.annotation is Any] == []
        assert spec.doc, "the first line of its docstring is what `batchflow describe` says of it"
        assert spec.given <= {"base"}, "nothing else is supplied to a loader"

    @pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
    def test_a_text_comes_as_it_is(self, library: Library, text: str) -> None:
        assert load(library, library.put(text)) == text

    def test_it_says_the_same_when_it_is_asked_again(self, library: Library) -> None:
        options = library.put("once")
        assert [load(library, options) for _ in range(3)] == ["once"] * 3

    def test_it_does_not_matter_where_the_command_is_typed(
        self, library: Library, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        options = library.put("here")
        monkeypatch.chdir(tmp_path_factory.mktemp("elsewhere"))
        assert load(library, options) == "here"

    def test_a_text_that_was_changed_is_what_its_options_say(self, library: Library) -> None:
        before = library.put("old")
        after = library.put("new")
        assert load(library, after) == "new"
        assert load(library, before) == ("old" if self.pinned else "new")

    def test_what_is_nowhere_is_a_sentence(self, library: Library) -> None:
        library.put("something")
        nowhere = library.nowhere()
        assert nowhere, "there is always something that is not there"
        for options in nowhere:
            with pytest.raises(ValueError, match=r"\w+ \w+"):
                load(library, options)

    def test_a_sentence_names_what_is_missing(self, library: Library) -> None:
        library.put("something")
        for options in library.nowhere():
            with pytest.raises(ValueError, match=r"\w") as caught:
                load(library, options)
            assert any(str(value) in str(caught.value) for value in options.values())

    def test_what_was_not_there_does_not_spoil_the_next(self, library: Library) -> None:
        options = library.put("something")
        for missing in library.nowhere():
            with pytest.raises(ValueError, match=r"\w"):
                load(library, missing)
        assert load(library, options) == "something"

    def test_it_leaves_the_job_files_folder_as_it_was(self, library: Library) -> None:
        options = library.put("something")
        before = _seen(library.base)
        load(library, options)
        assert _seen(library.base) == before


def load(library: Library, options: Options) -> str:
    """Asks the loader as a job file does."""
    loader = library.loader()
    spec = Spec.of(loader)
    kwargs, problems = spec.parse(options, library.base)
    assert problems == [], "these options could not stand in a job file"
    given = {"base": library.base} if "base" in spec.given else {}
    return loader(**kwargs, **given)


def _seen(folder: Path) -> list[tuple[str, int, int]]:
    files = [Path(where, name) for where, _, names in os.walk(folder) for name in names]
    return sorted((str(file), file.stat().st_size, file.stat().st_mtime_ns) for file in files)
