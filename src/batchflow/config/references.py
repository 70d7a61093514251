"""`${env:NAME}`, `${env:NAME:-x}` and `${file:PATH}` in the texts of a job file. `$${` stands for a literal `${`.

`${secret:NAME}` is only found here: it is looked up by `secrets`, when a job is driven. What the others put in is remembered beside the reference it came from: whatever is printed later shows the reference.
"""

import re
from collections.abc import Mapping
from pathlib import Path

import msgspec

from batchflow.extend.annotations import Referenced

REFERENCE = re.compile(r"\$?\$\{(env|file|secret):([^}]*)\}")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
LARGEST = 1 << 20


class Unresolved(msgspec.Struct, frozen=True):
    """A reference that leads nowhere, and why."""

    reference: str
    reason: str
    hint: str = ""
    is_unset: bool = False
    """It is an environment variable that is not there."""


class Wanted(msgspec.Struct, frozen=True):
    """A secret that a text asks for."""

    reference: str
    store: str
    name: str


class Resolved(msgspec.Struct, frozen=True):
    """A text with its references replaced, and what each stood for."""

    text: str
    values: tuple[tuple[str, str], ...] = ()
    unresolved: tuple[Unresolved, ...] = ()
    pieces: tuple[str | Wanted, ...] = ()
    """The text taken apart, where it asks for secrets."""

    @property
    def wanted(self) -> list[Wanted]:
        """The secrets that it asks for."""
        return [piece for piece in self.pieces if isinstance(piece, Wanted)]


def refers(text: str) -> bool:
    """Tell whether a text has a reference in it."""
    return any(not match[0].startswith("$$") for match in REFERENCE.finditer(text))


def resolve(text: str, env: Mapping[str, str], base: Path) -> Resolved:
    """Replace every reference in a text."""
    values: list[tuple[str, str]] = []
    unresolved: list[Unresolved] = []

    def put(match: re.Match[str]) -> str | Wanted:
        reference = match[0]
        if reference.startswith("$$"):
            return reference[1:]
        if match[1] == "secret":
            return _wanted(reference, match[2])
        found = _environment(reference, match[2], env) if match[1] == "env" else _file(reference, match[2], base)
        if isinstance(found, Unresolved):
            unresolved.append(found)
            return ""
        values.append((reference, found))
        return found

    pieces: list[str | Wanted] = []
    end = 0
    for match in REFERENCE.finditer(text):
        pieces += [text[end : match.start()], put(match)]
        end = match.end()
    pieces.append(text[end:])
    replaced = "".join(piece for piece in pieces if isinstance(piece, str))
    return Resolved(
        Referenced(replaced) if values or unresolved else replaced, tuple(values), tuple(unresolved), tuple(pieces)
    )


def _wanted(reference: str, inside: str) -> Wanted:
    store, colon, name = inside.partition(":")
    return Wanted(reference, store if colon else "", name if colon else store)


def _environment(reference: str, inside: str, env: Mapping[str, str]) -> str | Unresolved:
    name, has_default, default = inside.partition(":-")
    if not _NAME.fullmatch(name):
        return Unresolved(reference, f"`{name}` is no name of an environment variable")
    if has_default:
        return env.get(name) or default
    if name in env:
        return env[name]
    hint = f"type `export {name}=...` first, or write a default: ${{env:{name}:-...}}"
    return Unresolved(reference, f"environment variable {name} is not set", hint, is_unset=True)


def _file(reference: str, inside: str, base: Path) -> str | Unresolved:
    path = base / Path(inside).expanduser()
    try:
        with path.open("rb") as file:
            data = file.read(LARGEST + 1)
        if len(data) > LARGEST:
            return Unresolved(reference, f"{path} is larger than 1 MiB, which is no setting")
        return data.decode("utf-8-sig").rstrip("\r\n")
    except OSError as error:
        return Unresolved(reference, f"{path} cannot be read: {error.strerror or error}")
    except UnicodeDecodeError:
        return Unresolved(reference, f"{path} is not UTF-8 text")
