"""What a `check_job` hook is shown: a job as configured, to be looked at and not to be changed."""

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, Protocol

from batchflow.model.rules import Rules


class PartView(Protocol):
    """One part of a job: what it is (`sink`), its name among its kind (`s3`), and its options as its factory will get them."""

    @property
    def kind(self) -> str:
        """What it is: `source`, `builder`, `check`, `retry`, `sink`, `provider` or `notifier`."""
        ...

    @property
    def type(self) -> str:
        """Its name among its kind."""
        ...

    @property
    def kwargs(self) -> Mapping[str, Any]:
        """Its options; one that is a secret is a `Secret`, which does not show itself."""
        ...


class SinkView(Protocol):
    """A sink of the job: its name there, and which rows it gets."""

    @property
    def name(self) -> str:
        """Its name in the job."""
        ...

    @property
    def on(self) -> Literal["ok", "dead", "all"]:
        """Which rows it gets."""
        ...

    @property
    def sink(self) -> PartView:
        """The sink itself."""
        ...


class NotifierView(Protocol):
    """A notifier of the job: its name there, and what it is told of."""

    @property
    def name(self) -> str:
        """Its name in the job."""
        ...

    @property
    def on(self) -> Collection[str]:
        """What it is told of: `finished`, `paused`, `failed`, `dead`."""
        ...

    @property
    def notifier(self) -> PartView:
        """The notifier itself."""
        ...


class JobView(Protocol):
    """A job of a job file, sound and not yet made."""

    @property
    def name(self) -> str:
        """Its name in the file."""
        ...

    @property
    def file(self) -> Path:
        """The job file."""
        ...

    @property
    def source(self) -> PartView:
        """Where its records come from."""
        ...

    @property
    def builder(self) -> PartView:
        """What makes requests of them."""
        ...

    @property
    def checks(self) -> Sequence[PartView]:
        """What looks at its results."""
        ...

    @property
    def retry(self) -> PartView:
        """What decides about failures."""
        ...

    @property
    def provider(self) -> PartView:
        """Whom it asks."""
        ...

    @property
    def sinks(self) -> Sequence[SinkView]:
        """Where its results go."""
        ...

    @property
    def notify(self) -> Sequence[NotifierView]:
        """Who is told how it stands."""
        ...

    @property
    def rules(self) -> Rules:
        """Everything else that is set: its budget, what it carries, how it is sent."""
        ...
