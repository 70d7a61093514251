"""The redaction against every promise of a check, and that nothing of a card gets past it."""

import msgspec
import pytest

from batchflow.plugin import Result, Word
from batchflow.testing import CheckContract


def answered(text, output=None):
    line = msgspec.json.encode({"result": {"message": {"content": [{"type": "text", "text": text}]}}})
    return Result(
        key="a",
        word=Word.OK,
        attempt=1,
        batch="b",
        row=0,
        origin="in:1",
        carried={},
        text=text,
        output=output,
        line=line,
    )


class TestRedact(CheckContract):
    @pytest.fixture
    def check(self, team):
        return team.check("redact")()

    @pytest.fixture
    def good(self):
        return [answered("no card at all"), answered("paid with 4111 1111 1111 1111."), answered("", {"urgent": True})]

    @pytest.fixture
    def bad(self):
        return []  # it refuses nothing


@pytest.mark.parametrize("card", ["4111 1111 1111 1111", "4111-1111-1111-1111", "4111111111111111", "378282246310005"])
def test_no_sink_sees_a_card_number(team, card):
    passed = team.check("redact")().check(answered(f"paid with {card}.", {"notes": [f"card {card}"]}))
    assert passed.text == "paid with [card]."
    assert card not in msgspec.json.encode(passed).decode()


def test_other_numbers_are_left_alone(team):
    told = answered("claim 20261122 of policy 12345678, 1,250.00 EUR, call 030 1234567")
    assert team.check("redact")().check(told) is told
