"""What plugins rely on changes only on purpose: the public surface is written down, and names that move go on working."""

import sys
from types import MappingProxyType, ModuleType

import plugin_api
import pytest

from batchflow import plugin
from batchflow.extend.moved import Moved, look_up
from batchflow.extend.versions import API, FIRST_IN

WAS = "API = 1\n\nclass Page(Struct):\n    items: list\n\nclass Part(Struct):\n    name: str\n"


def test_the_public_surface_is_what_was_written_down():
    said = plugin_api.advice(plugin_api.SNAPSHOT.read_text(encoding="utf-8"), plugin_api.surface())
    assert not said, said


@pytest.mark.parametrize(
    ("now", "said"),
    [
        (WAS, ""),
        (WAS + "    cursor: dict = {}\n", "plugins may rely on more"),
        (WAS.replace("items: list", "name: str"), "gone or different:\n  class Page: items: list\n"),
        (WAS.replace("    name: str\n", "").replace("items: list", "items: list\n    name: str"), "gone or different"),
        (WAS.replace("items: list", "rows: list"), "gone or different:\n  class Page: items: list\n"),
        (WAS.replace("items: list", "rows: list"), "raise API"),
        (WAS.replace("items: list", "rows: list").replace("API = 1", "API = 2"), "a new version of the plugin API"),
    ],
)
def test_a_change_is_answered_with_what_it_asks_for(now, said):
    told = plugin_api.advice(WAS, now)
    assert (said in told) if said else not told
    assert not told or "uv run python scripts/plugin_api.py" in told


def test_every_public_name_field_method_fixture_and_hook_is_written_down():
    text = plugin_api.surface()
    for line in (
        f"API = {API}",
        "    key: str",
        "    async def write(self, part: Part) -> Receipt | Written",
        "Receipt: TypeAlias = dict[str, Any]",
        "    @pytest.fixture def make_sink(self) -> MakeSink",
        "@hookspec def on_event(event: Event, job: str) -> None",
        "    OVERLOADED = 'overloaded'",
        "def json_lines(",
    ):
        assert line in text
    assert [name for name in plugin.__all__ if name not in text] == []


def test_each_version_says_which_batchflow_first_had_it():
    assert sorted(FIRST_IN) == list(range(1, API + 1))
    assert plugin.API == API


@pytest.fixture
def module(monkeypatch):
    """Makes a public module in which two names have moved."""
    table = MappingProxyType(
        {
            "Row": Moved(found="batchflow.plugin:Record", now="Record", gone_in=3),
            "Envelope": Moved(found="batchflow.plugin:Part", gone_in=3),
        }
    )
    made = ModuleType("house_api")
    made.__getattr__ = lambda name: look_up("house_api", name, table)
    monkeypatch.setitem(sys.modules, "house_api", made)


@pytest.mark.usefixtures("module")
def test_a_renamed_name_goes_on_working_and_says_what_it_is_called_now():
    with pytest.warns(
        DeprecationWarning, match=r"^house_api.Row is called house_api.Record now: .* version 3 "
    ) as told:
        from house_api import Row
    assert Row is plugin.Record
    assert told[0].filename == __file__


@pytest.mark.usefixtures("module")
def test_a_retired_name_goes_on_working_and_says_that_nothing_takes_its_place():
    with pytest.warns(DeprecationWarning, match=r"^house_api.Envelope is retired, and nothing takes its place"):
        from house_api import Envelope
    assert Envelope is plugin.Part


@pytest.mark.parametrize("name", ["house_api", "batchflow.plugin"])
@pytest.mark.usefixtures("module")
def test_a_name_that_never_was_is_an_import_error(name):
    with pytest.raises(ImportError, match="Nonesuch"):
        exec(f"from {name} import Nonesuch")


def test_names_that_moved_are_found_and_have_names_to_go_to():
    for name, moved in plugin._MOVED.items():
        assert name not in plugin.__all__
        assert not moved.now or moved.now in plugin.__all__
        assert moved.gone_in > API
        with pytest.warns(DeprecationWarning, match=name):
            assert getattr(plugin, name) is not None
