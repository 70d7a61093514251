"""The prompts against every promise of a loader, from a real repository."""

import pytest

from batchflow.testing import LoaderContract


class Repository:
    """A clone beside the job file, with a new tag for each text."""

    def __init__(self, base, team, prepare):
        self.base, self.team, self.prepare = base, team, prepare
        self.tags = 0

    def put(self, text):
        self.tags += 1
        self.prepare.tagged(self.base / "prompts", "triage.md", text, f"v{self.tags}")
        return self.options(tag=f"v{self.tags}")

    def options(self, **changed):
        return {"repository": "prompts", "path": "triage.md", "tag": "v1", **changed}

    def loader(self):
        return self.team.loader("prompt")

    def nowhere(self):
        branch, option = self.options(tag="main"), self.options(tag="--help")
        return [self.options(tag="v99"), self.options(path="none.md"), self.options(repository="none"), branch, option]


class TestPrompts(LoaderContract):
    pinned = True

    @pytest.fixture
    def library(self, tmp_path, team, prepare):
        return Repository(tmp_path, team, prepare)
