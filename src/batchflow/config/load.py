"""A job file, read and checked as a whole: `load` returns jobs that are sound, or raises with everything that is not.

`survey` stops at nothing that is wrong: what it could read of each job goes on to be looked at, so that all is told at once.
Nothing is made here: no file but the job file and what it refers to is opened, no component is constructed.
"""

import os
import re
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

import msgspec

from batchflow.config import sections
from batchflow.config.components import Reader
from batchflow.config.faults import Fault, Faults, Page
from batchflow.config.job import Component, Draft, JobFile, JobSpec, Stores
from batchflow.config.one_job import KEYS, OneJob
from batchflow.config.plugging import look_at, with_files
from batchflow.config.reading import read
from batchflow.config.stores import folder_of, secrets_of, stores_of
from batchflow.config.tree import Tree, merged
from batchflow.extend.facade import Plugins
from batchflow.extend.near import did_you_mean
from batchflow.model.errors import ConfigError, PluginError

TOP = ("version", "state", "plugins", "secrets", "provider", "defaults", "jobs")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")


class Survey(msgspec.Struct, frozen=True, kw_only=True):
    """A job file as far as it could be read, and what is known to be wrong with it."""

    path: Path
    drafts: Mapping[str, Draft]
    faults: Faults
    state: Path | None = None
    secrets: Mapping[str, Component] = {}
    stores: Stores


def load(path: Path, plugins: Plugins, env: Mapping[str, str] = os.environ, *, only: Collection[str] = ()) -> JobFile:
    """Read a job file, or raise `ConfigError` with every problem in it. `only` names the jobs that matter now.

    Where nothing is wrong but that plugins are broken, or were not loaded, the jobs that do not need them are read.
    """
    found = survey(path, plugins, env, only=only)
    sound = {name: job for name, job in found.drafts.items() if isinstance(job, JobSpec)}
    if not (sound and found.stores.is_whole and all(one.plugin for one in found.faults.errors)):
        found.faults.stop()
    return JobFile(
        path=found.path,
        jobs=sound,
        state=found.state,
        secrets=found.secrets,
        stores=found.stores,
        warnings=[*found.faults.warnings, *map(found.faults.page.told, found.faults.errors)],
        left_out=_left_out([name for name in found.drafts if name not in sound]),
    )


def _left_out(names: Sequence[str]) -> PluginError | None:
    """Say which jobs lack a plugin."""
    if not names:
        return None
    said = "job" if len(names) == 1 else "jobs"
    return PluginError(
        f"{said} {', '.join(names)} left out, for want of a plugin that is broken or was not loaded: its place is said above",
        hint="mend it, and type the same command again: jobs that are done are left alone",
    )


def survey(path: Path, plugins: Plugins, env: Mapping[str, str] = os.environ, *, only: Collection[str] = ()) -> Survey:
    """Read what can be read of a job file; raise `ConfigError` only where that is nothing at all."""
    faults = Faults(Page(_shown(path), _text(path)))
    tree = with_files(_whole(faults))
    loading = _Loading(path.absolute(), tree, faults, plugins, env)
    jobs = {name: loading.job(name) for name in loading.names(only)}
    drafts = {name: job for name, job in jobs.items() if job is not None}
    secrets = loading.secrets()
    return Survey(
        path=loading.path, drafts=drafts, faults=faults, state=loading.state(), secrets=secrets,
        stores=loading.stores(secrets),
    )  # fmt: skip


class _Loading:
    """One job file on its way in."""

    def __init__(self, path: Path, tree: Tree, faults: Faults, plugins: Plugins, env: Mapping[str, str]) -> None:
        self.path = path
        self._tree = tree
        self._faults = faults
        self._plugins = plugins
        self._env = env
        self._refuse_unknown(tree, TOP, own=sections.OWN)
        self._defaults = self._map("defaults")
        self._refuse_unknown(self._defaults, KEYS)
        look_at(self._reader(tree), plugins)

    def names(self, only: Collection[str]) -> list[str]:
        """Name the jobs to read."""
        found = self._map("jobs")
        jobs = found.items
        if not jobs:
            hint = "write `jobs:`, and below it a name for each job"
            self._faults.add(Fault(found.at, "there are no jobs in this file", hint))
        for name in only:
            if name not in jobs:
                raise ConfigError(f"there is no job `{name}` in {self._faults.page.shown}: {did_you_mean(name, jobs)}")
        return [name for name in jobs if not only or name in only]

    def state(self) -> Path | None:
        """Read where runs are kept, when the file says so."""
        return folder_of(self._reader(self._tree), self._tree)

    def secrets(self) -> dict[str, Component]:
        """Read the secret stores."""
        return dict(secrets_of(self._reader(self._tree), list(self._map("secrets").items)))

    def stores(self, secrets: Mapping[str, Component]) -> Stores:
        """Read which stores are used instead of those in the state folder."""
        return stores_of(self._reader(self._tree), self._tree, secrets, self._faults.page)

    def job(self, name: str) -> Draft | None:
        """Read one job, its defaults laid under it."""
        own = self._map("jobs").items[name]
        at_name = self._tree.locate(("jobs", name), at_key=True)
        if not _NAME.fullmatch(name):
            self._faults.add(Fault(at_name, f"a job cannot be called `{name}`", "use letters, digits, and _ . -"))
        if not isinstance(own.value, dict):
            return self._faults.add(Fault(at_name, f"job `{name}` should be a map with source, request and sinks"))
        self._refuse_unknown(own, KEYS)
        tree = self._with_provider(merged(self._defaults, own))
        return OneJob(name, self._reader(Tree(tree.value, at_name, tree.keys)), self._faults.page).read(self.path)

    def _with_provider(self, job: Tree) -> Tree:
        shared = self._tree.child("provider")
        if shared is None or not isinstance(shared.value, dict):
            return job
        under = Tree({"provider": shared}, job.at, {"provider": self._tree.keys["provider"]})
        return merged(under, job)

    def _reader(self, job: Tree) -> Reader:
        return Reader(
            job=job,
            faults=self._faults,
            plugins=self._plugins,
            env=self._env,
            base=self.path.parent,
            stores=list(self._map("secrets").items),
        )

    def _map(self, key: str) -> Tree:
        found = self._tree.child(key)
        if found is None or found.value is None:
            return Tree({}, self._tree.locate((key,), at_key=True))
        if not isinstance(found.value, dict):
            self._faults.add_unreadable(Fault(found.at, f"`{key}` should be a map of `name: value`"), found.at)
            return Tree({}, found.at)
        return found

    def _refuse_unknown(self, tree: Tree, known: Collection[str], *, own: str | None = None) -> None:
        for key in tree.items:
            if key not in known and not (own and key.startswith(own)):
                self._faults.add(Fault(tree.keys[key], f"unknown key `{key}`", did_you_mean(key, known)))


def _text(path: Path) -> str:
    try:
        return path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        raise ConfigError(f"{_shown(path)}:{line}: this line is not UTF-8", hint="save the file as UTF-8") from error
    except FileNotFoundError as error:
        raise ConfigError(
            f"there is no job file {_shown(path)}", hint="type `batchflow init` for one that runs, or name your own"
        ) from error
    except OSError as error:
        raise ConfigError(f"job file {_shown(path)} cannot be read: {error.strerror or error}") from error


def _whole(faults: Faults) -> Tree:
    tree = read(faults.page.text, faults)
    if tree is None:
        faults.stop()
    if tree is None or not isinstance(tree.value, dict):
        faults.add(Fault(sections.ORIGIN, "a job file is a map with `version`, `provider`, `defaults` and `jobs`"))
        faults.stop()
        return Tree({}, sections.ORIGIN)
    return tree


def _shown(path: Path) -> str:
    here = Path.cwd()
    return str(path.relative_to(here)) if path.is_relative_to(here) else str(path)
