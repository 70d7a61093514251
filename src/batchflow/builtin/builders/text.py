"""One text of a request: rendered from a record, and encoded as the JSON it becomes."""

import re
from collections.abc import Collection
from difflib import get_close_matches
from functools import cached_property

import msgspec
from jinja2 import TemplateSyntaxError, nodes
from jinja2.environment import Template
from jinja2.meta import find_undeclared_variables

from batchflow.builtin.builders.concatenation import WHOLE, concatenation, path_of, plain
from batchflow.builtin.builders.environment import Environment
from batchflow.builtin.builders.shapes import Data
from batchflow.builtin.builders.splice import Splice, splice
from batchflow.model.record import Columns
from batchflow.ports.builder import BuildError

ELSEWHERE = (nodes.Extends, nodes.Include, nodes.Import, nodes.FromImport)
_UNKNOWN = re.compile(r"No (filter|test) named '(.*)'\.")
_encode = msgspec.json.Encoder().encode


class Text:
    """A template whose rendering is a JSON string. `where` is what messages call it: "prompt", "messages[0].content".

    A template that cannot be compiled has `faults` and refuses to render; `problems` tells them before anything runs.
    """

    def __init__(self, source: str, *, where: str, environment: Environment, blank: bool = False) -> None:
        self.where = where
        self.faults: list[str] = []
        self._source = source
        self._environment = environment
        self._blank = blank
        self._tree = environment.parse("")
        try:
            self._tree = environment.parse(source)
            pieces = plain(self._tree, globals_=environment.globals)
            self._quick = concatenation(pieces) if pieces is not None else None
            self.splice = splice(pieces, blank=blank) if pieces is not None else None
            self._stand_alone()
        except TemplateSyntaxError as error:
            self._quick, self.splice = None, None
            self._blame(error)

    def _blame(self, error: TemplateSyntaxError) -> None:
        """Remembers a fault; an unknown filter or test is then taken for a known one, so that the rest is looked at too."""
        self.faults.append(f"{self.where}: line {error.lineno}: {self._in_words(error)}")
        unknown = _UNKNOWN.fullmatch(str(error.message))
        if unknown is None:
            self._tree = self._environment.parse("")
            return
        kind, known = (nodes.Filter, "string") if unknown[1] == "filter" else (nodes.Test, "none")
        for node in self._tree.find_all(kind):
            node.name = known if node.name == unknown[2] else node.name
        try:
            self._environment.compile(self._tree)
        except TemplateSyntaxError as next_error:
            self._blame(next_error)

    def _stand_alone(self) -> None:
        """Compiles now whatever Jinja2 will have to run, since unknown filters show only then."""
        for node in self._tree.find_all(ELSEWHERE):
            raise TemplateSyntaxError("a template stands alone here: it cannot include or import another", node.lineno)
        if self._quick is None:
            _ = self._jinja

    def _in_words(self, error: TemplateSyntaxError) -> str:
        message = str(error.message).rstrip(".")
        wanted = message.removeprefix("No filter named ").strip("'")
        near = get_close_matches(wanted, self._environment.filters, 1) if wanted != message else []
        return f"{message}; did you mean {near[0]!r}?" if near else message

    @cached_property
    def _jinja(self) -> Template:
        return self._environment.from_string(self._source)

    @cached_property
    def constant(self) -> str | None:
        """The text itself where no record can change it."""
        only_text = all(isinstance(node, nodes.Output) for node in self._tree.body)
        plain = only_text and not [
            node for node in self._tree.find_all(nodes.Expr) if type(node) is not nodes.TemplateData
        ]
        return self._quick({}) if plain and self._quick else None

    @property
    def functions(self) -> Collection[str]:
        """What a template may call by name."""
        return self._environment.globals.keys()

    @property
    def is_empty(self) -> bool:
        """Whether it renders to nothing that the API takes, whatever the record."""
        return not self._blank and self.constant is not None and not self.constant.strip()

    @cached_property
    def variables(self) -> dict[str, int]:
        """The columns it reads by name, each with the line where it first does."""
        return {name: self._line(name) for name in sorted(find_undeclared_variables(self._tree) - {WHOLE})}

    def _line(self, name: str) -> int:
        return min((node.lineno for node in self._tree.find_all(nodes.Name) if node.name == name), default=1)

    @cached_property
    def spelt_out(self) -> dict[str, int]:
        """The columns it reads as `record["..."]`, each with its line. `record.items()` is a call, and no column."""
        called = {id(node.node) for node in self._tree.find_all(nodes.Call)}
        read = [node for node in self._tree.find_all((nodes.Getattr, nodes.Getitem)) if id(node) not in called]
        paths = [(path, node.lineno) for node in read if (path := path_of(node))]
        return {str(path.steps[0]): line for path, line in reversed(paths) if path.root == WHOLE}

    @cached_property
    def optional(self) -> frozenset[str]:
        """The columns it can do without: asked about with `is defined`, or given a `default`."""
        asked = [node.node for node in self._tree.find_all(nodes.Test) if node.name in {"defined", "undefined"}]
        given = [node.node for node in self._tree.find_all(nodes.Filter) if node.name in {"default", "d"}]
        paths = [path_of(node) for node in (*asked, *given) if node is not None]
        return frozenset(
            str(path.steps[0]) if path.root == WHOLE and path.steps else path.root for path in paths if path
        )

    def render(self, data: Data) -> str:
        """Makes the text of one record, or raises `BuildError` saying what is missing."""
        text = self._fill(data)
        if not self._blank and (not text or text.isspace()):
            raise BuildError(f"{self.where}: it renders to nothing, and an empty text is refused by the API")
        return text

    def fill(self, data: Data) -> bytes:
        """Makes the JSON string of one record."""
        if self.splice is not None and type(data) is Columns and (made := self.splice.fill(data.raw)) is not None:
            return made
        try:
            return _encode(self.render(data))
        except UnicodeEncodeError as error:
            raise BuildError(
                f"{self.where}: it holds half a character (a lone surrogate, {error.object[error.start]!a}), which no JSON text can carry"
            ) from error

    def _fill(self, data: Data) -> str:
        if self._quick is not None:
            try:
                return self._quick(data)
            except (LookupError, TypeError, ValueError):
                pass  # Jinja2 knows what to find there, or what to call the error
        return self._run(data)

    def _run(self, data: Data) -> str:
        if self.faults:
            raise ValueError(self.faults[0])
        try:
            return self._jinja.render({WHOLE: data, **data})
        except Exception as error:  # a template can fail in any way on one record; it must not stop the others
            raise BuildError(f"{self.where}: {error or type(error).__name__}") from error


class Number:
    """A template whose rendering is a whole number of at least 1."""

    splice: Splice | None = None

    def __init__(self, text: Text) -> None:
        self.text = text

    def fill(self, data: Data) -> bytes:
        """Makes the JSON number of one record."""
        written = self.text.render(data).strip()
        if not (written.isascii() and written.isdigit()) or int(written) < 1:
            raise BuildError(
                f"{self.text.where}: it renders to {written[:40]!r}, which is no whole number of at least 1"
            )
        return str(int(written)).encode()
