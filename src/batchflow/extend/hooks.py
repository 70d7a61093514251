"""The hooks. Their first word says how they are called.

register_*   hand over factories: called once per app instance, everyone answers
check_*      look at a plan before money is spent: everyone answers, problems are joined
choose_*     decide one thing: the first answer that is not None wins
on_*         told after the commit, each plugin in its own thread: an error is contained and attributed
"""

from collections.abc import Callable, Sequence
from typing import Any, Protocol

import pluggy

from batchflow.model.state import Event
from batchflow.ports.job import JobView

PROJECT = "batchflow"
hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)


class Register(Protocol):
    """The verb a plugin is handed: a name, and a factory or the `module:attribute` where one is found when needed."""

    def __call__(self, name: str, factory: Callable[..., Any] | str, /) -> None:
        """Remember a factory under a name."""
        ...


@hookspec
def register_sources(register: Register) -> None:
    """Hand over factories of sources."""


@hookspec
def register_builders(register: Register) -> None:
    """Hand over factories of request builders."""


@hookspec
def register_filters(register: Register) -> None:
    """Hand over template filters: plain functions, used by the `template` builder."""


@hookspec
def register_globals(register: Register) -> None:
    """Hand over template functions, called like `{{ name(column) }}`; for one record always the same answer."""


@hookspec
def register_loaders(register: Register) -> None:
    """Hand over loaders of texts: functions that give what `{load: NAME, ...}` stands for; their options stand beside `load`."""


@hookspec
def register_providers(register: Register) -> None:
    """Hand over factories of providers."""


@hookspec
def register_checks(register: Register) -> None:
    """Hand over factories of checks on results."""


@hookspec
def register_retries(register: Register) -> None:
    """Hand over factories of retry policies."""


@hookspec
def register_sinks(register: Register) -> None:
    """Hand over factories of sinks."""


@hookspec
def register_state_stores(register: Register) -> None:
    """Hand over factories of state stores."""


@hookspec
def register_blob_stores(register: Register) -> None:
    """Hand over factories of blob stores."""


@hookspec
def register_prices(register: Register) -> None:
    """Hand over price books: factories of objects with `price(model)`; later plugins are asked first."""


@hookspec
def register_secrets(register: Register) -> None:
    """Hand over factories of secret stores: objects with `find(name)`, asked for `${secret:NAME}` when a job is driven."""


@hookspec
def register_notifiers(register: Register) -> None:
    """Hand over factories of notifiers: who tells people outside that a run is finished, paused or in trouble."""


@hookspec
def register_commands(register: Register) -> None:
    """Hand over command line verbs: plain functions, in cyclopts' style."""


@hookspec
def check_job(job: JobView) -> Sequence[str] | None:
    """Look at a job as configured and name problems. Called by `validate`, `plan` and `run`."""


@hookspec(firstresult=True)
def choose_poll_delay(age: float, default: float) -> float | None:
    """Choose in how many seconds, one to a day, a batch in flight is looked at again that is `age` seconds old. `default` is the seconds without you."""


@hookspec
def on_event(event: Event, job: str) -> None:
    """Hear of something that has been committed, in a run of this job. Called in a thread of its own, so it may block."""
