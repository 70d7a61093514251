"""Plugins that are files beside a job file, for teams who publish nothing: imported without a place on `sys.path`.

Each app imports them afresh, under a package name of its own: two files of one name are two modules, nothing is shared
between apps, and a file may still import its neighbour (`from .queries import ORDERS`).
"""

import importlib
import sys
import traceback
from importlib.machinery import ModuleSpec
from importlib.util import module_from_spec
from pathlib import Path
from types import ModuleType
from uuid import uuid4

from batchflow.extend.deadline import told

PREFIX = "batchflow_files_"
"""What the names of all such packages begin with."""


class Files:
    """Imports the plugin files of one app."""

    def __init__(self) -> None:
        self._packages: dict[Path, str] = {}

    def load(self, file: Path) -> ModuleType:
        """Import one file; whatever it raises is raised."""
        return importlib.import_module(f"{self._package(file.parent)}.{file.stem}")

    def _package(self, folder: Path) -> str:
        """Name the package that stands for a folder. It stays in `sys.modules`, where annotations are looked up later."""
        if folder not in self._packages:
            importlib.invalidate_caches()  # the folder may have been looked into before, by another app
            spec = ModuleSpec(f"{PREFIX}{uuid4().hex}", None, is_package=True)
            spec.submodule_search_locations = [str(folder)]
            sys.modules[spec.name] = module_from_spec(spec)
            self._packages[folder] = spec.name
        return self._packages[folder]


def failing_line(file: Path, error: BaseException) -> str:
    """Say what went wrong in a file and in which of its lines."""
    if isinstance(error, SyntaxError) and error.filename == str(file):
        return f"line {error.lineno}: {type(error).__name__}: {error.msg}"
    lines = [at.lineno for at in traceback.extract_tb(error.__traceback__) if at.filename == str(file)]
    return f"{f'line {lines[-1]}: ' if lines else ''}{told(error)}"
