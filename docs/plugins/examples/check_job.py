"""Rules of the house: a job bears the name of a team that answers for it, and has a budget. `batchflow validate` says so, too."""

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

from batchflow import Plugins
from batchflow.plugin import JobView, Rules, hookimpl


class House:
    @hookimpl
    def check_job(self, job: JobView) -> Sequence[str]:
        team, _, rest = job.name.partition("-")
        wrong = [] if rest and team in {"search", "support"} else [f"`{job.name}` names no team: `search-{job.name}`"]
        if job.rules.budget is None and job.provider.type == "anthropic":
            wrong.append(f"`{job.name}` has no budget: `budget: {{run: 20.00}}`")
        return wrong


job: Any = SimpleNamespace(
    name="triage", rules=Rules(), provider=SimpleNamespace(type="anthropic")
)  # what it looks at of a job
assert [problem.message.partition(" (says")[0] for problem in Plugins([House()]).check_job(job)] == [
    "`triage` names no team: `search-triage`",
    "`triage` has no budget: `budget: {run: 20.00}`",
]
