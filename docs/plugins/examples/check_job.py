"""A rule of the house: every job of a team says who answers for it, by its name. `batchflow validate` says so, too."""

from collections.abc import Sequence
from typing import Any

from batchflow import Plugins
from batchflow.plugin import hookimpl


class House:
    @hookimpl
    def check_job(self, job: Any) -> Sequence[str] | None:
        team, _, rest = job.name.partition("-")
        return None if rest and team in {"search", "support"} else [f"`{job.name}` names no team: `search-{job.name}`"]


class Job:
    name = "triage"


[problem] = Plugins([House()]).check_job(Job())
assert problem.message.startswith("`triage` names no team")
