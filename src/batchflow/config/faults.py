"""Everything wrong with a job file, each said at its line with an excerpt and a caret, and all of it at once."""

import re
from collections.abc import Iterable, Iterator

import msgspec

from batchflow.config.tree import Place
from batchflow.model.errors import ConfigError
from batchflow.model.units import SHORTEST_SECRET

WIDEST = 110
_KEY_LIKE = re.compile(r"sk-[A-Za-z0-9_-]{8,}")


class Fault(msgspec.Struct, frozen=True):
    """One thing wrong, at one place. A warning is said and stops nobody."""

    place: Place
    message: str
    hint: str = ""
    warning: bool = False
    credentials: bool = False
    """It is a credential that is not there, rather than a mistake in the file."""
    plugin: bool = False
    """A plugin is broken, or was not loaded, rather than the file wrong: jobs that do not need it can run."""


class Page:
    """A job file's text, for pointing at. Secrets that stand in it are starred out before a line is shown."""

    def __init__(self, shown: str, text: str) -> None:
        self.shown = shown
        self.text = text
        self._lines = text.splitlines()
        self._concealed: dict[str, str] = {}

    def conceal(self, text: str, instead: str = "***") -> None:
        """Remember a text that must not be seen in anything this page says; a few letters are in every sentence, and no key."""
        if len(text.strip()) >= SHORTEST_SECRET:
            self._concealed[text] = instead

    def told(self, fault: Fault) -> str:
        """Render a fault: `file:line:col: message`, the line, a caret, and what to do."""
        head = f"{self.shown}:{fault.place.line}:{fault.place.column}: {'warning: ' if fault.warning else ''}"
        return "\n".join([head + self.discreet(fault.message), *self._excerpt(fault.place), *self._hint(fault)])

    def discreet(self, text: str) -> str:
        """Take out of a text what must not be seen."""
        for secret in sorted(self._concealed, key=len, reverse=True):
            text = text.replace(secret, self._concealed[secret])
        return _KEY_LIKE.sub("***", text)

    def find(self, text: str, after: Place) -> Place:
        """Find where a text stands on the line of a value, or else where the value begins."""
        column = self._line(after).find(text, after.column - 1)
        return Place(after.line, column + 1) if column >= 0 else after

    def _line(self, place: Place) -> str:
        return self._lines[place.line - 1] if place.line <= len(self._lines) else ""

    def _hint(self, fault: Fault) -> Iterator[str]:
        if fault.hint:
            yield f"  = {self.discreet(fault.hint)}"

    def _excerpt(self, place: Place) -> Iterator[str]:
        line = "".join(letter if letter.isprintable() else " " for letter in self._starred(self._line(place)))
        if line.strip():
            start = max(0, place.column - WIDEST // 2) if len(line) > WIDEST else 0
            yield f"  | {line[start : start + WIDEST].rstrip()}"
            yield f"  | {' ' * (place.column - 1 - start)}^"

    def _starred(self, line: str) -> str:
        for secret in self._concealed:
            line = line.replace(secret, "*" * len(secret))
        return _KEY_LIKE.sub(lambda match: "*" * len(match[0]), line)


class Faults:
    """Collects what is wrong. One place says one thing once, however many jobs the line is merged into."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self._found: dict[tuple[Place, str], Fault] = {}
        self._unreadable: set[Place] = set()

    def add(self, fault: Fault) -> None:
        """Remember a fault, unless it only follows from one that is known."""
        if fault.place not in self._unreadable:
            self._found.setdefault((fault.place, fault.message), fault)

    def add_unreadable(self, fault: Fault, value: Place) -> None:
        """Remember that a value cannot be known: whatever else would be said about it is beside the point."""
        self.add(fault)
        self._unreadable.add(value)

    @property
    def warnings(self) -> list[str]:
        """What is worth saying and stops nobody."""
        return [self.page.told(fault) for fault in self._in_order() if fault.warning]

    @property
    def errors(self) -> list[Fault]:
        """What stops the job file from being used."""
        return [fault for fault in self._in_order() if not fault.warning]

    def stop(self) -> None:
        """Raise everything found, if anything was."""
        if self.errors:
            raise refusal(self.page, self.errors)

    def _in_order(self) -> list[Fault]:
        return sorted(self._found.values(), key=lambda fault: fault.place)


def refusal(page: Page, faults: Iterable[Fault]) -> ConfigError:
    """Make the error that tells all of these faults."""
    found = list(faults)
    told = [page.told(fault) for fault in found]
    count = "1 problem" if len(told) == 1 else f"{len(told)} problems"
    return ConfigError(
        f"{count} in {page.shown}; nothing was sent and nothing was written",
        problems=told,
        hint=f"mend {'it' if len(told) == 1 else 'them'}, then type `batchflow validate {page.shown}`",
        credentials=all(fault.credentials for fault in found),
    )
