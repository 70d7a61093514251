"""A job as it was read: every component named and its options checked, and none of them made yet."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, TypeAlias

import msgspec

from batchflow.config.faults import Fault, Page
from batchflow.config.tree import Tree
from batchflow.extend.kinds import Kind
from batchflow.extend.offers import Factory, Offer
from batchflow.model import problem
from batchflow.model.errors import PluginError
from batchflow.model.notification import Kind as Kind_
from batchflow.model.notification import Threshold
from batchflow.model.problem import Problem
from batchflow.model.rules import Rules

On: TypeAlias = Literal["ok", "dead", "all"]


class Component(msgspec.Struct, frozen=True, kw_only=True):
    """One part of a job: which factory makes it, from what. `path` is where it stands in the job."""

    offer: Offer
    kwargs: dict[str, Any]
    given: frozenset[str] = frozenset()
    """Names of parameters that the app supplies."""
    mendable: frozenset[str] = frozenset()
    """Names of parameters that are no part of the job's identity."""
    path: problem.Path
    shown: dict[str, Any] = {}
    """The options as written, secrets starred."""
    guessed: bool = False
    """Unknown options were read as what was probably meant: it may be looked at, and never run."""

    @property
    def kind(self) -> Kind:
        """What it is."""
        return self.offer.kind

    @property
    def type(self) -> str:
        """Its name among its kind."""
        return self.offer.name

    @property
    def factory(self) -> Factory:
        """What makes it; imported now if it was not before."""
        return self.offer.load()


class Outlet(msgspec.Struct, frozen=True, kw_only=True):
    """A sink of the job, under its name there."""

    name: str
    on: On
    sink: Component


class Heed(msgspec.Struct, frozen=True, kw_only=True):
    """A notifier of the job, under its name there, and what it is told of."""

    name: str
    on: tuple[Kind_, ...]
    dead: Threshold
    patience: float
    notifier: Component


class Draft(msgspec.Struct, frozen=True, kw_only=True):
    """One job of a file as far as it could be read: None, or missing, is what has mistakes that are told elsewhere."""

    name: str
    file: Path
    source: Component | None
    builder: Component | None
    checks: Sequence[Component]
    retry: Component | None
    sinks: Sequence[Outlet]
    provider: Component | None
    rules: Rules
    tree: Tree
    page: Page
    notify: Sequence[Heed] = ()

    @property
    def base(self) -> Path:
        """The folder that relative paths start from."""
        return self.file.parent

    def fault(self, found: Problem) -> Fault:
        """Point at the line that a problem is about."""
        place = self.tree.locate(found.path, at_key=found.at_key)
        return Fault(place, found.message, found.hint, found.warning, plugin=found.plugin)


class JobSpec(Draft, frozen=True, kw_only=True):
    """One job of a file, ready to be built."""

    source: Component
    builder: Component
    retry: Component
    provider: Component
    config: str
    """A hash of everything that changes what is asked or where it goes; secrets are no part of it."""
    summary: dict[str, Any]
    """The job for people: as written, references unresolved, secrets starred."""

    @property
    def components(self) -> list[Component]:
        """All parts, in the order in which they stand in DESIGN: source to sinks, then the provider and the notifiers."""
        sinks = [outlet.sink for outlet in self.sinks]
        notifiers = [heed.notifier for heed in self.notify]
        return [self.source, self.builder, *self.checks, self.retry, *sinks, self.provider, *notifiers]

    def told(self, found: Problem) -> str:
        """Say a problem with its file, line, column and excerpt."""
        return self.page.told(self.fault(found))

    def __repr__(self) -> str:
        return f"JobSpec({self.name!r} of {self.page.shown})"


class Stores(msgspec.Struct, frozen=True, kw_only=True):
    """The stores that a file declares: of `parts` (`store`, `objects`), those that are missing lie in the state folder."""

    parts: Mapping[str, Component] = {}
    secrets: Mapping[str, Component] = {}
    base: Path
    tree: Tree
    page: Page
    were: Mapping[str, Any] = {}
    """What a state folder remembers of them beside how they were written: where the references led then."""

    @property
    def is_whole(self) -> bool:
        """Tell whether all that are declared could be read."""
        node = self.tree.child("state")
        declared = node.items if node is not None else {}
        return all(name in self.parts for name in ("store", "objects") if name in declared)

    def __repr__(self) -> str:
        return f"Stores({', '.join(self.parts)})"


class JobFile(msgspec.Struct, frozen=True, kw_only=True):
    """A job file whose every job is sound, but for those that need a plugin which is broken or was not loaded."""

    path: Path
    jobs: Mapping[str, JobSpec]
    state: Path | None = None
    secrets: Mapping[str, Component] = {}
    """The secret stores that the file declares; the first is asked where a reference names none."""
    stores: Stores
    warnings: Sequence[str] = ()
    left_out: PluginError | None = None
    """Which jobs cannot run for want of a plugin, and why; the others can."""
