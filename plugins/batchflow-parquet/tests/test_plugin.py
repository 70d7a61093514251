"""The plugin as an app sees it: found by its entry point, described by its signatures, loaded when it is needed."""

import subprocess
import sys

import pytest

from batchflow.extend.facade import Plugins
from batchflow.extend.signature import Spec


@pytest.mark.parametrize("kind", ["sink", "source"])
def test_an_app_finds_it_by_its_entry_point(kind, tmp_path):
    plugins = Plugins()
    assert not plugins.broken
    factory = getattr(plugins, kind)("parquet")
    spec = Spec.of(factory)
    assert all(one.doc for one in spec.parameters.values())
    assert spec.given == (frozenset({"carry", "output"}) if kind == "sink" else frozenset())
    assert spec.folders == (frozenset({"path"}) if kind == "sink" else frozenset())
    assert factory(path=tmp_path / "lake")


def test_an_app_that_does_not_use_it_does_not_import_pyarrow():
    code = "import sys; from batchflow.extend.facade import Plugins; Plugins().sinks(); print({'pyarrow', 'batchflow_parquet.sink'} & {*sys.modules})"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "set()\n"
