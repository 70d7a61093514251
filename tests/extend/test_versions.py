"""A plugin says which version of the API it was written for: this one and the one before it are taken."""

from types import SimpleNamespace

import pytest

from batchflow.extend.facade import Plugins
from batchflow.extend.intake import Intake
from batchflow.extend.kinds import Kind
from batchflow.extend.offers import Origin
from batchflow.extend.versions import Spoken
from batchflow.model.errors import PluginError
from batchflow.plugin import API, hookimpl

THREE = Spoken(newest=3, first_in={1: "0.1", 2: "0.4", 3: "0.9"})
HOUSE = Origin("house", "acme-house", "1.0")


def written_for(stated):
    class House:
        batchflow_api = stated

        @hookimpl
        def register_checks(self, register):
            register("nice", dict)

    return House()


def taken(stated):
    intake = Intake(spoken=THREE)
    intake.take(written_for(stated), HOUSE)
    return intake


def test_this_version_is_taken_without_a_word():
    assert taken(3).notices == []
    assert Plugins([written_for(API)], entry_points=False).check("nice")


def test_the_version_before_is_taken_with_a_notice():
    intake = taken(2)
    assert "nice" in intake.offers[Kind.CHECK]
    [notice] = intake.notices
    assert notice.text == (
        "plugin house (acme-house 1.0): it was written for version 2 of batchflow.plugin, and this is version 3: "
        "the next one will refuse it, so it should be brought up to date"
    )


def test_one_that_says_nothing_is_taken_for_the_oldest_and_not_nagged():
    intake = taken(None)
    assert "nice" in intake.offers[Kind.CHECK]
    assert intake.notices == []


@pytest.mark.parametrize(
    ("stated", "why"),
    [
        (4, r"written for version 4 of batchflow.plugin, and batchflow-jobs .* has version 3: it needs a newer batchflow"),
        (1, r"written for version 1 of batchflow.plugin, and batchflow-jobs .* speaks 2 and 3: it needs batchflow-jobs<0.9"),
        ("3", "`batchflow_api` should be a whole number from 1 to 3, and is '3'"),
        (True, "should be a whole number"),
        (0, "should be a whole number"),
    ],
)  # fmt: skip
def test_one_that_is_not_spoken_is_refused_whole(stated, why):
    intake = Intake(spoken=THREE)
    with pytest.raises(PluginError, match=f"plugin house .acme-house 1.0. is refused: .*{why}"):
        intake.take(written_for(stated), HOUSE)
    assert intake.offers[Kind.CHECK] == {}
    assert intake.taken == []


def test_a_file_from_the_future_is_left_out_and_the_others_go_on(tmp_path):
    (tmp_path / "new.py").write_text(f"batchflow_api = {API + 1}\n")
    (tmp_path / "old.py").write_text(
        "from batchflow.plugin import hookimpl\nbatchflow_api = 1\n\n@hookimpl\ndef register_checks(register):\n    register('nice', dict)\n"
    )
    plugins = Plugins(entry_points=False, files={name: tmp_path / name for name in ("new.py", "old.py")})
    [broken] = plugins.broken
    assert str(broken).startswith("plugin new (new.py) was left out: ")
    assert "it needs a newer batchflow-jobs" in str(broken)
    assert plugins.check("nice")


def test_the_first_version_has_none_before_it():
    assert Spoken(newest=1, first_in={}).oldest == 1
    assert Spoken(newest=1).judge(SimpleNamespace(batchflow_api=1)) == ("", "")
