"""The desk's sink against every promise of one, and against a desk that is busy or does not know us."""

import pytest

from batchflow.plugin import PlainPart, Secret, SinkError, SinkRefused
from batchflow.testing import SinkContract
from batchflow.testing.sink import results

TOKEN = "desk-token-of-the-night-job"


class TestDesk(SinkContract):
    @pytest.fixture
    def make_sink(self, team, desk):
        return lambda: team.sink("desk")(url=desk.url, token=Secret(TOKEN))

    @pytest.fixture
    def read_back(self, desk):
        async def read():
            return [(claim, row["verdict"]) for claim, row in desk.verdicts.items()]

        return read

    @pytest.fixture
    def unwanted(self):
        return "paid with 4111 1111 1111 1111"


def written(team, url, token=TOKEN):
    return team.sink("desk")(url=url, token=Secret(token)).write(PlainPart(name="p1", rows=iter([results(0, 3)])))


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_busy_desk_is_tried_again(team, desk, status):
    desk.status = status
    with pytest.raises(SinkError, match=f"/verdicts answered {status}") as caught:
        written(team, desk.url)
    assert not isinstance(caught.value, SinkRefused)


def test_a_desk_that_is_down_is_tried_again(team):
    with pytest.raises(SinkError, match="cannot be reached"):
        written(team, "http://127.0.0.1:9")


def test_a_token_that_is_not_known_waits_for_a_person(team, desk):
    with pytest.raises(SinkRefused, match="answered 401") as caught:
        written(team, desk.url, token="hunter2")
    assert "mend the token" in caught.value.hint
    assert "hunter2" not in f"{caught.value} {caught.value.hint}"


def test_an_address_that_is_none_is_refused_before_a_run(team):
    with pytest.raises(ValueError, match="should begin with https"):
        team.sink("desk")(url="desk.internal", token=Secret(TOKEN))
