r"""Templates made only of text and plain variables, run as one `%` instead of through Jinja2.

Most prompts are such templates, and Jinja2's 6 to 14 us a record are most of what such a record costs. Jinja2's own
parser decides what the template says (comments, raw blocks, whitespace control and all), so only the running is ours:
`"Title: %s\n%s" % itemgetter("title", "text")(data)`, where `%s` is `str()`, which is what Jinja2 does with a value.
Whatever is not plainly there (a missing key, an index into something odd) is left to Jinja2, which then finds the right
value or the right error. Tests show both equal over random templates and records.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from operator import itemgetter
from typing import Any, NamedTuple

from jinja2 import nodes

from batchflow.builtin.builders.shapes import Data


class Path(NamedTuple):
    """Where a plain variable's value is: a column, and steps into it."""

    root: str
    steps: tuple[str | int, ...] = ()


WHOLE = "record"
"""In a template, the record itself: `{{ record["Claim text"] }}` reads columns whose names are no identifiers."""

RESERVED = frozenset({"self"})
"""Names that Jinja2 binds itself, whatever the record holds."""

PLAIN = (dict, list)
"""Types in which `a.b` and `a[0]` can only mean one thing."""


class NotThere(LookupError):
    """A value is not plainly there: let Jinja2 look."""


def plain(template: nodes.Template, *, globals_: Mapping[str, Any]) -> "list[str | Path] | None":
    """Takes a template of text and plain variables apart; None where it is more than that."""
    found = list(_pieces(template))
    pieces = [piece for piece in found if piece is not None]
    if len(pieces) != len(found):
        return None
    paths = [piece for piece in pieces if isinstance(piece, Path)]
    return None if any(path.root in RESERVED or path.root in globals_ for path in paths) else pieces


def concatenation(pieces: "Sequence[str | Path]") -> Callable[[Data], str]:
    """Compiles what is plain."""
    paths = [piece for piece in pieces if isinstance(piece, Path)]
    layout = "".join("%s" if isinstance(piece, Path) else piece.replace("%", "%%") for piece in pieces)
    values = _values(paths)
    return lambda data: layout % values(data)


def _pieces(template: nodes.Template) -> Iterator[str | Path | None]:
    """Yields texts and paths in order, and None for anything else."""
    for statement in template.body:
        if not isinstance(statement, nodes.Output):
            yield None
            continue
        for node in statement.nodes:
            yield node.data if isinstance(node, nodes.TemplateData) else path_of(node)


def path_of(node: nodes.Node) -> Path | None:
    """Reads `a`, `a.b`, `a["b"]` and `a[0]`, nested as deep as one likes; None for any other expression."""
    match node:
        case nodes.Name(name=str(name)):
            return Path(name)
        case nodes.Getattr(node=inner, attr=str(step)):
            return _and_then(path_of(inner), step)
        case nodes.Getitem(node=inner, arg=nodes.Const(value=int() | str() as step)) if not isinstance(step, bool):
            return _and_then(path_of(inner), step)
        case _:
            return None


def _and_then(path: Path | None, step: str | int) -> Path | None:
    return None if path is None else Path(path.root, (*path.steps, step))


def _values(paths: list[Path]) -> Callable[[Data], tuple[Any, ...]]:
    """Fetches all values in one C call where there are several and the names are plain, which is nearly always."""
    names = [path.root for path in paths if not path.steps and path.root != WHOLE]
    if len(names) == len(paths) > 1:
        return itemgetter(*names)
    return lambda data: tuple([_follow(data, path) for path in paths])


def _follow(data: Data, path: Path) -> Any:
    value: Any = data.get(WHOLE, data) if path.root == WHOLE else data[path.root]
    for step in path.steps:
        if type(value) not in PLAIN:
            raise NotThere
        value = value[step]
    return value
